"""An API server with all of deploy/ in it, and the tokens of its agents and its controller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest_asyncio

from tests.cluster.admin import Admin
from tests.cluster.api_server import ApiServer
from tests.integration.policies.attempts import NOWHERE
from tests.integration.policies.sending import NODES, Agents

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tokens(api_server: ApiServer) -> dict[str, str]:
    """The token of each node's agent, and one of an agent without node."""
    async with api_server.admin() as admin:
        await admin.install(DEPLOY)
        tokens = {node: await admin.token_for("akri-agent", "akri", node=node) for node in NODES}
        return tokens | {NOWHERE: await admin.token_for("akri-agent", "akri")}


@pytest_asyncio.fixture
async def agents(admin: Admin, namespace: str, tokens: dict[str, str]) -> AsyncGenerator[Agents]:
    """The agents, in a namespace of this test."""
    yield Agents(admin, namespace, tokens)

"""The API server of the contract suite: one for the whole run, with all of deploy/ in force and the garbage collector at work.

Not the one that other tests share: they take rules away and leave objects behind, and these tests see every object there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from attrs import define, field

from tests.cluster import build, needs, states
from tests.cluster.admin import Admin, Manifest
from tests.cluster.api_server import ApiServer
from tests.guards.tree import ROOT

__all__ = ["AGENT", "CONTROLLER", "NAMESPACE", "ContractServer", "contract_server"]

AGENT = "akri-agent"
CONTROLLER = "akri-controller"
NAMESPACE = "akri"
_FAR_AWAY = 12 * 3600


@define(eq=False)
class ContractServer:
    """The server, and the tokens of those who speak to it."""

    server: ApiServer
    _tokens: dict[str, str] = field(factory=dict[str, str])

    async def agent_token(self, admin: Admin, node: Manifest) -> str:
        """The token that the agent on this node has; it ends with the Node, so a node made again needs another one."""
        name, uid = str(node["metadata"]["name"]), str(node["metadata"]["uid"])
        if uid not in self._tokens:
            self._tokens[uid] = await admin.token_for(AGENT, NAMESPACE, node=name, seconds=_FAR_AWAY)
        return self._tokens[uid]

    async def controller_token(self, admin: Admin) -> str:
        """The token of the controller."""
        if CONTROLLER not in self._tokens:
            self._tokens[CONTROLLER] = await admin.token_for(CONTROLLER, NAMESPACE, seconds=_FAR_AWAY)
        return self._tokens[CONTROLLER]


@asynccontextmanager
async def contract_server() -> AsyncGenerator[ContractServer]:
    """Start it; skips the test where the machine cannot run it."""
    program = build.program_path()
    if lacking := needs.lacks_for_api_server(program):
        pytest.skip(lacking)
    await states.clean_stale()
    with states.run_folder() as state:
        try:
            server = ApiServer(program, state)
            await server.start()
            async with server.admin() as admin:
                await asyncio.gather(admin.install(ROOT / "deploy"), admin.ensure("ServiceAccount", "default", "default"))
            await server.start_controller_manager()
            yield ContractServer(server)
        finally:
            await states.clean(state)

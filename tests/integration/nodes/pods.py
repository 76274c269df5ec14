"""Pods of one test, removed at its end; and what the API says about a node."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from tests.cluster.admin import Admin, Manifest
from tests.cluster.node_pods import STAY, end_pod, pod, reached
from tests.cluster.processes import eventually

__all__ = ["Pods", "condition", "is_ready", "pods_of", "until_ready", "until_reported"]


class Pods:
    """Makes pods with names of their own. See `pods_of`."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.made: list[Manifest] = []

    async def run(
        self,
        node: str = "",
        *,
        script: str = STAY,
        phase: str = "Running",
        restart: str = "Never",
        resources: Mapping[str, int] | None = None,
    ) -> Manifest:
        """Run a pod and wait for a phase; returns it as it then is."""
        added = await self.add(node, script=script, restart=restart, resources=resources)
        return await reached(self.admin, added, phase)

    async def add(
        self, node: str = "", *, script: str = STAY, restart: str = "Never", resources: Mapping[str, int] | None = None
    ) -> Manifest:
        """Make a pod; returns it as it is before anybody did anything for it."""
        manifest = pod(f"test-{secrets.token_hex(4)}", node=node, script=script, restart=restart, resources=resources)
        self.made.append(manifest)
        return await self.admin.create(manifest)


@asynccontextmanager
async def pods_of(admin: Admin) -> AsyncGenerator[Pods]:
    """The pods of one test; they are gone at the end of the block."""
    pods = Pods(admin)
    try:
        yield pods
    finally:
        await end_pod(admin, *pods.made)  # not by force: the kubelet shall be done with them


async def condition(admin: Admin, node: str, kind: str = "Ready") -> str:
    """The status of a condition of a node: True, False or Unknown."""
    conditions = (await admin.get(f"/api/v1/nodes/{node}"))["status"]["conditions"]
    return next(str(each["status"]) for each in conditions if each["type"] == kind)


async def is_ready(admin: Admin, node: str) -> bool:
    """Whether the API says that a node is Ready."""
    return await condition(admin, node) == "True"


async def until_ready(admin: Admin, node: str, *, ready: bool, seconds: float = 60.0) -> None:
    """Wait until the API says that a node is Ready, or is not."""

    async def so() -> bool:
        return await is_ready(admin, node) is ready

    await eventually(so, seconds=seconds, what=f"{node} to be {'Ready' if ready else 'not Ready'}")


async def until_reported(admin: Admin, node: str, *, seconds: float = 60.0) -> None:
    """Wait until the kubelet has told the API its present state, with what it knew when this was called."""
    begun = datetime.fromtimestamp(int(time.time()) + 1, UTC)  # heartbeats are dated in whole seconds

    async def so() -> bool:
        conditions = (await admin.get(f"/api/v1/nodes/{node}"))["status"]["conditions"]
        return any(each["type"] == "Ready" and datetime.fromisoformat(each["lastHeartbeatTime"]) >= begun for each in conditions)

    await eventually(so, seconds=seconds, what=f"{node} to report")

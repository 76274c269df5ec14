"""Nodes are ready as long as somebody holds their locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.readiness import Readiness
from akri.testing.clock import VirtualClock

A, B = NodeName("node-a"), NodeName("node-b")


class Failing(MemoryStore):
    """A store whose disk is full for a while."""

    failures = 0

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise OutcomeUnknownError("the disk is full")
        await super().set_node_ready(name, ready=ready)


@asynccontextmanager
async def watched(store: MemoryStore, folder: Path, clock: VirtualClock) -> AsyncGenerator[None]:
    task = asyncio.create_task(Readiness(store, StateFolder(folder), clock).run())
    try:
        await clock.advance(0)
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ready(store: MemoryStore) -> dict[str, bool]:
    return {node.name: node.ready for node in store.nodes}


async def test_a_node_is_ready_while_its_lock_is_held(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    await store.register_node(A)
    await store.register_node(B)
    own = Lock.take(tmp_path / "nodes/node-a/lock")
    other = Lock.take(tmp_path / "nodes/node-b/lock")
    async with watched(store, tmp_path, clock):
        await clock.advance(5)
        assert ready(store) == {"node-a": True, "node-b": True}
        other.release()
        await clock.advance(1)
        assert ready(store) == {"node-a": True, "node-b": False}
        since = next(node.since for node in store.nodes if node.name == B)
        assert clock.wall() - since <= 1.0
        await clock.advance(100)
        assert next(node.since for node in store.nodes if node.name == B) == since
        with Lock.take(tmp_path / "nodes/node-b/lock"):
            await clock.advance(1)
            assert ready(store) == {"node-a": True, "node-b": True}
    own.release()


async def test_what_cannot_be_stored_is_tried_again_and_an_odd_name_is_not_ready(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = Failing(clock)
    await store.register_node(A)
    await store.register_node(NodeName("odd/name"))
    store.failures = 3
    async with watched(store, tmp_path, clock):
        assert ready(store) == {"node-a": True, "odd/name": True}
        await clock.advance(2)
        assert ready(store) == {"node-a": False, "odd/name": False}

"""The platform in a file as the contract suite drives it, once as one process has it and once as several have it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from akri.core.ids import NodeName
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.store import LocalStore
from akri.ports import ClusterPlatform, NodePlatform
from akri.testing.clock import VirtualClock
from tests.contract.driver import A, B, C, Driver
from tests.contract.memory_driver import LocalDriver

__all__ = ["sqlite", "sqlite_two"]


class _SharedDriver(LocalDriver):
    """Each node and the controller have the file open on their own, as separate processes do; users have it a last time."""

    def __init__(self, clock: VirtualClock, users: LocalStore, controller: LocalStore, nodes: dict[NodeName, LocalStore]) -> None:
        super().__init__(clock, users)
        self._controller = controller
        self._nodes = nodes

    def node(self, name: NodeName) -> NodePlatform:
        return self._nodes[name].node(name)

    def cluster(self) -> ClusterPlatform:
        return self._controller.cluster()


class _Stores:
    """The stores of a test, and whether one of them is at work."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.clock = VirtualClock(busy=self._busy, pause=0.001)
        self._folder = folder
        self._stack = stack
        self._stores: list[SqliteStore] = []

    async def open(self) -> SqliteStore:
        store = await self._stack.enter_async_context(SqliteStore(self._folder, self.clock))
        self._stores.append(store)
        return store

    def _busy(self) -> bool:
        return any(store.busy for store in self._stores)


@asynccontextmanager
async def _stores() -> AsyncGenerator[_Stores]:
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        async with AsyncExitStack() as stack:
            yield _Stores(Path(folder), stack)


@asynccontextmanager
async def sqlite() -> AsyncGenerator[Driver]:
    """One process."""
    async with _stores() as stores:
        yield await LocalDriver(stores.clock, await stores.open()).with_nodes()


@asynccontextmanager
async def sqlite_two() -> AsyncGenerator[Driver]:
    """Several processes."""
    async with _stores() as stores:
        users, controller = await stores.open(), await stores.open()
        nodes: dict[NodeName, LocalStore] = {name: await stores.open() for name in (A, B, C)}
        yield await _SharedDriver(stores.clock, users, controller, nodes).with_nodes()

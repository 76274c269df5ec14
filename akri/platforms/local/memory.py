"""The local platform with its state in memory: for one process and any number of nodes in it. It is gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from akri.core.ids import NodeName
from akri.core.reports import Event, PastEvent
from akri.platforms.local.backend import NO_NODE
from akri.platforms.local.data import MemoryData
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections
from akri.platforms.local.store import LocalStore
from akri.platforms.local.tables import Tables
from akri.ports import Clock

__all__ = ["MemoryStore"]

_T = TypeVar("_T")


class _Memory:
    """The back end. Changes happen on the loop; before each of them other tasks run, as they would with a server."""

    def __init__(self, clock: Clock) -> None:
        self.shown = Collections(clock)
        self.data = MemoryData()
        self._identities = Identities(clock)
        self._tables = Tables(self.shown, self.shown.events, self._identities)

    async def change(self, step: Callable[[Tables], _T], *, durable: bool = False) -> _T:  # noqa: ARG002 - nothing outlives the process
        await asyncio.sleep(0)
        return step(self._tables)

    async def catch_up(self) -> None:
        await asyncio.sleep(0)

    def keep(self, event: Event, node: NodeName = NO_NODE) -> None:
        self._tables.events.add(PastEvent(event, self._identities.now(), node))


class MemoryStore(LocalStore):
    """A local platform in memory. What changes something is asynchronous and lets other tasks run first, as a server would."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty; the clock gives times of creation and paces the watches."""
        super().__init__(_Memory(clock))

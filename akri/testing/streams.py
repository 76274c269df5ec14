"""A watch that is cut, or whose events of different objects overtake each other, on order.

The order within one object is kept, as the ports promise it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Generic, TypeVar

from attrs import frozen

from akri.core.ids import ObjectKey
from akri.ports import Alive, Clock, Gone, Put, Reset, WatchEvent

__all__ = ["Cut", "FaultyStream", "Hold"]

_T = TypeVar("_T")


@frozen
class Cut:
    """The watch is cut before this event; after `seconds` it begins again with a Reset."""

    seconds: float = 0.0


@frozen
class Hold:
    """The event, and what follows about its object, comes `seconds` later; events of other objects overtake it."""

    seconds: float


class FaultyStream(Generic[_T]):
    """One watch. `reopen` begins the watch of the platform beneath; `next_fault` is asked once for each of its events."""

    def __init__(
        self,
        reopen: Callable[[], AsyncIterator[WatchEvent[_T]]],
        key_of: Callable[[_T], ObjectKey],
        next_fault: Callable[[], Cut | Hold | None],
        clock: Clock,
    ) -> None:
        """Take what it needs; nothing runs before `events` is iterated."""
        self._reopen = reopen
        self._key_of = key_of
        self._next_fault = next_fault
        self._clock = clock
        self._ready: deque[WatchEvent[_T]] = deque()
        self._held: dict[ObjectKey, list[WatchEvent[_T]]] = {}
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[bool] | None = None
        self._outage = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self, seconds: float) -> None:
        """Cut the watch now."""
        self._outage = seconds
        if self._reader is not None:
            self._reader.cancel()

    async def events(self) -> AsyncIterator[WatchEvent[_T]]:
        """Deliver what the watch beneath delivers, as far as the faults let it."""
        pump = asyncio.create_task(self._pump())
        self._own(pump)
        try:
            while True:
                while self._ready:
                    yield self._ready.popleft()
                if pump.done():
                    pump.result()
                    return
                self._wake.clear()
                await self._wake.wait()
        finally:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _pump(self) -> None:
        """Read the watch beneath, again after each cut, until it ends by itself."""
        while True:
            self._reader = asyncio.create_task(self._read())
            try:
                await asyncio.wait({self._reader})
            finally:
                self._reader.cancel()
            if not self._reader.cancelled() and self._reader.result():
                return
            self._held.clear()
            await self._clock.sleep(self._outage)

    async def _read(self) -> bool:
        """Read until a cut (False) or the end of the watch beneath (True)."""
        source = self._reopen()
        try:
            async for event in source:
                fault = self._next_fault()
                if isinstance(fault, Cut):
                    self._outage = fault.seconds
                    return False
                self._accept(event, fault)
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
        return True

    def _accept(self, event: WatchEvent[_T], fault: Hold | None) -> None:
        key = self._key(event)
        if isinstance(event, Reset):
            self._held.clear()
        if key is None:
            # Alive promises that everything before it was delivered, so it must not overtake what is held.
            if not (isinstance(event, Alive) and self._held):
                self._deliver(event)
        elif key in self._held:
            self._held[key].append(event)
        elif fault is not None:
            self._held[key] = [event]
            self._own(asyncio.create_task(self._let_go(key, fault.seconds)))
        else:
            self._deliver(event)

    def _key(self, event: WatchEvent[_T]) -> ObjectKey | None:
        match event:
            case Put(value):
                return self._key_of(value)
            case Gone(key):
                return key
            case Reset() | Alive():
                return None

    async def _let_go(self, key: ObjectKey, seconds: float) -> None:
        await self._clock.sleep(seconds)
        for event in self._held.pop(key, []):
            self._deliver(event)

    def _deliver(self, event: WatchEvent[_T]) -> None:
        self._ready.append(event)
        self._wake.set()

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

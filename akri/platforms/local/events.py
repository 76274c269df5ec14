"""The events that agents and the controller emit, kept in a bounded log that people and tests can read and follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from akri.core.ids import ObjectKey
from akri.core.reports import Event

__all__ = ["EventLog"]

_KEPT: Final = 1000


class EventLog:
    """The last events, oldest first. One that only repeats the last one about its object is dropped."""

    def __init__(self) -> None:
        """Begin empty."""
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._last: dict[tuple[str, ObjectKey], Event] = {}
        self._added = 0
        self._waiting: set[asyncio.Event] = set()

    @property
    def events(self) -> tuple[Event, ...]:
        """The events that are kept, oldest first."""
        return tuple(self._events)

    def add(self, event: Event) -> None:
        """Keep an event and wake those who follow."""
        about = (event.kind, event.about)
        if self._last.get(about) == event:
            return
        if len(self._events) == _KEPT:
            self._forget(self._events[0])
        self._last[about] = event
        self._events.append(event)
        self._added += 1
        for wake in self._waiting:
            wake.set()

    async def follow(self) -> AsyncIterator[Event]:
        """Give the events that are kept and then each new one. Who reads too slowly misses the oldest."""
        wake = asyncio.Event()
        self._waiting.add(wake)
        given = 0
        try:
            while True:
                missed = min(self._added - given, len(self._events))
                given = self._added
                for event in list(self._events)[len(self._events) - missed :]:
                    yield event
                if given == self._added:
                    wake.clear()
                    await wake.wait()
        finally:
            self._waiting.discard(wake)

    def _forget(self, event: Event) -> None:
        about = (event.kind, event.about)
        if self._last.get(about) is event:
            del self._last[about]

"""The events that agents and the controller emit, kept in a bounded log that people and tests can read and follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

from akri.core.ids import ObjectKey
from akri.core.reports import Event, PastEvent

__all__ = ["KEPT_EVENTS", "EventLog", "EventRows", "Repetitions"]

KEPT_EVENTS: Final = 1000
"""How many events a store keeps."""


class EventRows(Protocol):
    """Where a change puts what happened."""

    def add(self, past: PastEvent) -> None:
        """Keep an event, unless it only repeats the last one about its object."""
        ...


class Repetitions:
    """The last event about each object, among those that are kept."""

    def __init__(self) -> None:
        """Begin with no event."""
        self._last: dict[tuple[str, ObjectKey], tuple[int, Event]] = {}
        self._heard = 0

    def repeats(self, event: Event) -> bool:
        """Tell whether the last event about its object, if it is still kept, is just this one."""
        number, last = self._last.get((event.kind, event.about), (0, None))
        return last == event and self._heard - number < KEPT_EVENTS

    def hear(self, event: Event) -> None:
        """Take the event as the last one about its object."""
        about = (event.kind, event.about)
        self._heard += 1
        self._last.pop(about, None)
        self._last[about] = (self._heard, event)
        oldest = next(iter(self._last))
        if self._heard - self._last[oldest][0] >= KEPT_EVENTS:
            del self._last[oldest]

    def forget(self, event: Event) -> None:
        """Forget the last event about its object, for it was not kept after all."""
        self._last.pop((event.kind, event.about), None)


class EventLog:
    """The last events, oldest first. One that only repeats the last one about its object is dropped."""

    def __init__(self) -> None:
        """Begin empty."""
        self._events: deque[PastEvent] = deque(maxlen=KEPT_EVENTS)
        self._repetitions = Repetitions()
        self._added = 0
        self._waiting: set[asyncio.Event] = set()

    @property
    def events(self) -> tuple[PastEvent, ...]:
        """The events that are kept, oldest first."""
        return tuple(self._events)

    def add(self, past: PastEvent) -> None:
        """Keep an event and wake those who follow."""
        if self._repetitions.repeats(past.event):
            return
        self._repetitions.hear(past.event)
        self.append(past)

    def append(self, past: PastEvent) -> None:
        """Keep an event that is known to be new."""
        self._events.append(past)
        self._added += 1
        for wake in self._waiting:
            wake.set()

    def merge(self, events: Iterable[PastEvent]) -> None:
        """Keep those events that are not kept already."""
        kept = set(self._events)
        for past in events:
            if past not in kept:
                self.append(past)

    async def follow(self) -> AsyncIterator[PastEvent]:
        """Give the events that are kept and then each new one. Who reads too slowly misses the oldest."""
        wake = asyncio.Event()
        self._waiting.add(wake)
        given = 0
        try:
            while True:
                missed = min(self._added - given, len(self._events))
                given = self._added
                for past in list(self._events)[len(self._events) - missed :]:
                    yield past
                if given == self._added:
                    wake.clear()
                    await wake.wait()
        finally:
            self._waiting.discard(wake)

"""Which events are worth a request: none that only repeats itself, and not more than a cluster's store should hold. No I/O."""

from __future__ import annotations

from typing import Final

from akri.core.reports import Event

__all__ = ["EventLimits"]

_REPEATED_AFTER: Final = 300.0
"""Seconds after which the same event is told again."""
_REMEMBERED: Final = 1000
_BURST: Final = 50.0
_PER_SECOND: Final = 1.0


class EventLimits:
    """Drops repetitions, and what goes beyond a burst of 50 and one a second after it. Remembers the last 1,000 events."""

    def __init__(self, now: float) -> None:
        """Begin with a full burst; times are seconds of one clock that never jumps."""
        self._told: dict[Event, float] = {}
        self._tokens = _BURST
        self._filled = now

    def admits(self, event: Event, now: float) -> bool:
        """Whether to tell it; it counts as told then."""
        self._tokens = min(_BURST, self._tokens + (now - self._filled) * _PER_SECOND)
        self._filled = now
        if now - self._told.get(event, -_REPEATED_AFTER) < _REPEATED_AFTER or self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        self._told.pop(event, None)
        self._told[event] = now
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        return True

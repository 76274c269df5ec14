"""Time as shells meet it: the real clock, and waiting that ends by whatever clock there is.

Every program that is not a test runs on SystemClock; tests decide how long waiting takes by a clock of their own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.ports import Clock

__all__ = ["SystemClock", "wait_for_either", "within"]

_T = TypeVar("_T")


class SystemClock:
    """The `Clock` port over the machine's own clocks and randomness."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for 0 or less."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    def random(self) -> float:
        """Return a number from 0 up to, but without, 1; for jitter, not for secrets."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing


async def within(clock: Clock, seconds: float, work: Coroutine[object, object, _T], what: str) -> _T:
    """Await `work` for at most `seconds`; then cancel it and raise OutcomeUnknownError, which names `what` was waited for."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise OutcomeUnknownError(f"no answer to {what} within {seconds:g} s")
        return task.result()
    finally:
        await _end(task, timer)


async def wait_for_either(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return when the event is set, or after `seconds`, whichever comes first."""
    timer = asyncio.ensure_future(clock.sleep(seconds))
    signal = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({timer, signal}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(signal, timer)


async def _end(first: asyncio.Future[_T], second: asyncio.Future[None]) -> None:
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

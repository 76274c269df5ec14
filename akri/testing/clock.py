"""A clock that stands still until a test moves it, so that no test sleeps and every run goes the same way."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Sized
from typing import Final

from attrs import field, frozen

__all__ = ["VirtualClock"]

_MAXIMUM_TURNS: Final = 100_000
_BLIND_TURNS: Final = 100
_BUSY_PAUSE: Final = 0.0005
_START: Final = 1_000_000_000.0


@frozen(order=True)
class _Sleeper:
    due: float
    number: int
    future: asyncio.Future[None] = field(order=False, eq=False)


def _never() -> bool:
    return False


def _idle(turn: int) -> bool:
    """Whether the loop has nothing to run without waiting; a loop that does not show its queue is given a number of turns."""
    ready: object = getattr(asyncio.get_running_loop(), "_ready", None)
    return len(ready) == 0 if isinstance(ready, Sized) else turn >= _BLIND_TURNS


class VirtualClock:
    """The `Clock` port on virtual time.

    seed: of `random()`. wall: what `wall()` says when `now()` is 0, seconds since the epoch. pause: real seconds that `settle`
    waits each time before it believes that nothing goes on; leave it 0 unless real sockets, threads or processes take part.
    busy: says that a socket, thread or process is still at work, for a test that can tell; time stands still meanwhile.
    """

    def __init__(self, *, seed: int = 0, wall: float = _START, pause: float = 0.0, busy: Callable[[], bool] = _never) -> None:
        """Start at 0."""
        self._now = 0.0
        self._epoch = wall
        self._pause = pause
        self._busy = busy
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._sleepers: list[_Sleeper] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Seconds since this clock was made."""
        return self._now

    def wall(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._epoch + self._now

    def random(self) -> float:
        """Return the next number of the seeded sequence, from 0 up to, but without, 1."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has moved the clock that far; returns at once for 0 or less."""
        if seconds <= 0:
            return
        sleeper = _Sleeper(self._now + seconds, next(self._numbers), asyncio.get_running_loop().create_future())
        heapq.heappush(self._sleepers, sleeper)
        await sleeper.future

    @property
    def sleeping(self) -> int:
        """How many tasks wait on this clock."""
        return sum(1 for sleeper in self._sleepers if not sleeper.future.done())

    async def settle(self) -> None:
        """Let all tasks run until each of them waits for time, for input, or for another one."""
        for turn in range(_MAXIMUM_TURNS):
            await asyncio.sleep(0)
            if _idle(turn) and not await self._stirred(turn):
                return
        message = f"tasks did not come to rest within {_MAXIMUM_TURNS} turns of the loop: one of them spins without waiting"
        raise RuntimeError(message)

    async def advance(self, seconds: float) -> None:
        """Move the clock on, waking each sleeper at its own time and in order, and let the tasks settle after each."""
        end = self._now + max(seconds, 0.0)
        await self.settle()
        while (due := self._next_due()) is not None and due <= end:
            self._now = max(self._now, due)
            self._wake()
            await self.settle()
        self._now = end

    async def run_until(self, condition: Callable[[], bool], limit: float = 60.0) -> None:
        """Move from sleeper to sleeper until the condition holds; raise TimeoutError after `limit` virtual seconds."""
        end = self._now + limit
        await self.settle()
        while not condition():
            due = self._next_due()
            if due is None and self._pause > 0:
                due = self._now + self._pause
            if due is None or due > end:
                message = f"the condition did not hold within {limit} virtual seconds"
                raise TimeoutError(message)
            await self.advance(due - self._now)

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0].future.done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0].due if self._sleepers else None

    def _wake(self) -> None:
        """Wake the one sleeper that is first in line; those due at the same time follow after the tasks have settled."""
        sleeper = heapq.heappop(self._sleepers)
        if not sleeper.future.done():
            sleeper.future.set_result(None)

    async def _stirred(self, turn: int) -> bool:
        """Wait the real pause, if there is one, and tell whether something became ready in it, or is still at work."""
        if self._busy():
            await asyncio.sleep(_BUSY_PAUSE)
            return True
        if self._pause <= 0:
            return False
        await asyncio.sleep(self._pause)
        return self._busy() or not _idle(turn)

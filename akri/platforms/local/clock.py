"""The real clock. Every program that is not a test runs on it; it lives here because each runtime may import platforms."""

from __future__ import annotations

import asyncio
import random
import time

__all__ = ["SystemClock"]


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

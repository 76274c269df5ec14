"""Watches that end, fail, or deliver what cannot be taken: they are opened again, more and more rarely, and it is logged."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from akri.core.errors import OutcomeUnknownError
from akri.platforms.following import follow
from akri.ports import Alive, Reset, WatchEvent
from akri.testing.clock import VirtualClock


@pytest.mark.parametrize("error", [None, OSError("cut"), OutcomeUnknownError("cut"), RuntimeError("cut"), KeyError("cut")])
async def test_a_watch_that_ends_is_opened_again_ever_more_rarely(error: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    opened: list[float] = []

    async def watch() -> AsyncIterator[WatchEvent[str]]:
        opened.append(clock.now())
        await asyncio.sleep(0)
        if error is not None:
            raise error
        if clock.now() < 0:
            yield Alive()

    task = asyncio.create_task(follow("things", watch, lambda _: None, clock))
    with caplog.at_level("INFO"):
        await clock.advance(300)
    task.cancel()
    gaps = [after - before for before, after in itertools.pairwise(opened)]
    assert gaps[0] <= 0.25
    assert 15.0 <= gaps[-1] <= 30.0
    assert max(gaps) <= 30.0
    assert "watch=things" in caplog.text


@pytest.mark.parametrize(("lasts", "opened"), [(1.0, (6, 20)), (40.0, (24, 25))])
async def test_events_are_handed_on_and_a_watch_that_lasted_makes_the_next_pause_short_again(lasts: float, opened: tuple[int, int]) -> None:
    clock = VirtualClock()
    taken: list[WatchEvent[str]] = []

    async def watch() -> AsyncIterator[WatchEvent[str]]:
        yield Reset(("a",))
        await clock.sleep(lasts)
        yield Alive()
        raise OSError("cut")

    task = asyncio.create_task(follow("things", watch, taken.append, clock))
    await clock.advance(160.0 if lasts == 1.0 else 1000.0)
    task.cancel()
    assert taken[:3] == [Reset(("a",)), Alive(), Reset(("a",))]
    assert opened[0] <= taken.count(Reset(("a",))) <= opened[1]


async def test_an_event_that_cannot_be_taken_opens_the_watch_again_and_closes_the_former_one() -> None:
    clock = VirtualClock()
    closed: list[float] = []
    failing = [True, False]

    async def watch() -> AsyncIterator[WatchEvent[str]]:
        try:
            yield Alive()
            await clock.sleep(100)
        finally:
            closed.append(clock.now())

    def take(_: WatchEvent[str]) -> None:
        if failing.pop(0):
            raise RuntimeError("cannot be taken")

    task = asyncio.create_task(follow("things", watch, take, clock))
    await clock.advance(1.0)
    assert closed == [0.0]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(closed) == 2

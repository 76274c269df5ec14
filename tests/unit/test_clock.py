"""Waiting that ends, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio

import pytest

from akri.clock import wait_for_either, within
from akri.core.errors import OutcomeUnknownError
from akri.testing.clock import VirtualClock


async def _answer(clock: VirtualClock, seconds: float) -> str:
    await clock.sleep(seconds)
    return "here"


async def test_an_answer_in_time_is_given() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(within(clock, 5.0, _answer(clock, 4.9), "an answer"))
    await clock.advance(5.0)
    assert await task == "here"
    assert clock.sleeping == 0


async def test_an_answer_that_is_late_is_unknown_and_its_work_is_ended() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(within(clock, 5.0, _answer(clock, 5.1), "an answer"))
    await clock.advance(5.0)
    with pytest.raises(OutcomeUnknownError, match="no answer to an answer within 5 s"):
        await task
    assert clock.sleeping == 0


async def test_an_error_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await within(VirtualClock(), 5.0, fail(), "an answer")


async def test_who_is_cancelled_while_waiting_leaves_no_work_behind() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(within(clock, 5.0, _answer(clock, 4.0), "an answer"))
    await clock.advance(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleeping == 0


@pytest.mark.parametrize(("set_at", "ends_at"), [(0.0, 0.0), (2.0, 2.0), (9.0, 5.0)])
async def test_waiting_ends_with_the_event_or_with_the_time(set_at: float, ends_at: float) -> None:
    clock, event = VirtualClock(), asyncio.Event()

    async def wait() -> float:
        await wait_for_either(clock, 5.0, event)
        return clock.now()

    if not set_at:
        event.set()
    task = asyncio.create_task(wait())
    await clock.advance(min(set_at, 5.0))
    event.set()
    await clock.settle()
    assert await task == ends_at
    assert clock.sleeping == 0

"""The virtual clock: order, settling, and what it says when a test cannot come to rest."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.ports import Clock
from akri.testing.clock import VirtualClock


async def test_it_stands_still_until_it_is_moved() -> None:
    clock: Clock = VirtualClock(wall=5000.0)
    await asyncio.sleep(0)
    assert (clock.now(), clock.wall()) == (0.0, 5000.0)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    tasks = [asyncio.ensure_future(sleeper(name, seconds)) for name, seconds in (("c", 3), ("a", 1), ("b", 2), ("a2", 1), ("z", 9))]
    await clock.advance(3)
    assert woken == [("a", 1), ("a2", 1), ("b", 2), ("c", 3)]
    assert (clock.now(), clock.sleeping) == (3, 1)
    await clock.advance(6)
    await asyncio.gather(*tasks)
    assert woken[-1] == ("z", 9)


async def test_a_sleeper_that_sleeps_again_meanwhile_is_woken_within_the_same_advance() -> None:
    clock = VirtualClock()
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(0.5)
            ticks.append(clock.now())

    task = asyncio.ensure_future(tick())
    await clock.advance(2)
    assert ticks == [0.5, 1.0, 1.5, 2.0]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert clock.sleeping == 0


async def test_nothing_or_less_is_no_sleep() -> None:
    clock = VirtualClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    await clock.advance(-5)
    assert clock.now() == 0


async def test_tasks_settle_before_time_goes_on() -> None:
    clock = VirtualClock()
    seen: list[float] = []

    async def work() -> None:
        await clock.sleep(1)
        for _ in range(50):
            await asyncio.sleep(0)
        seen.append(clock.now())

    task = asyncio.ensure_future(work())
    await clock.advance(10)
    assert seen == [1]
    await task


async def test_a_task_that_spins_is_reported() -> None:
    clock = VirtualClock()

    async def spin() -> None:
        while True:  # noqa: ASYNC110 - it spins on purpose
            await asyncio.sleep(0)

    task = asyncio.ensure_future(spin())
    with pytest.raises(RuntimeError, match="did not come to rest"):
        await clock.settle()
    task.cancel()


async def test_run_until_moves_from_sleeper_to_sleeper() -> None:
    clock = VirtualClock()
    count = 0

    async def tick() -> None:
        nonlocal count
        while True:
            await clock.sleep(7)
            count += 1

    task = asyncio.ensure_future(tick())
    await clock.run_until(lambda: count == 3)
    assert clock.now() == 21
    with pytest.raises(TimeoutError, match="within 10 virtual seconds"):
        await clock.run_until(lambda: False, limit=10)
    task.cancel()


async def test_run_until_without_sleepers_gives_up_at_once() -> None:
    with pytest.raises(TimeoutError):
        await VirtualClock().run_until(lambda: False)


async def test_with_a_pause_threads_are_waited_for() -> None:
    clock = VirtualClock(pause=0.01)
    began = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(began.wait))
    asyncio.get_running_loop().call_later(0.02, began.set)
    await clock.run_until(task.done)
    assert await task


async def test_time_stands_still_while_something_says_that_it_is_busy() -> None:
    busy = [True, True, False]
    clock = VirtualClock(busy=lambda: len(busy) > 1 and busy.pop(0))
    await clock.settle()
    assert busy == [False]


@given(st.integers())
def test_random_numbers_repeat_with_their_seed(seed: int) -> None:
    first, second = VirtualClock(seed=seed), VirtualClock(seed=seed)
    drawn = [first.random() for _ in range(5)]
    assert drawn == [second.random() for _ in range(5)]
    assert all(0 <= number < 1 for number in drawn)

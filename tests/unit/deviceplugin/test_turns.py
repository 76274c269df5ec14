"""Turns: bounded, urgent ones first, none lost."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from akri.deviceplugin.turns import Turns


async def test_urgent_ones_go_first_and_the_others_in_order() -> None:
    turns, order = Turns(1), list[str]()

    async def take(name: str, *, urgent: bool) -> None:
        async with turns.turn(urgent=urgent):
            order.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in ("first", "a", "B", "c", "D"):
            group.create_task(take(name, urgent=name.isupper()))
    assert order == ["first", "B", "D", "a", "c"]


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 6)), max_size=12))
def test_never_more_than_the_limit_and_no_turn_is_lost(limit: int, takers: list[tuple[bool, int, int | None]]) -> None:
    async def scenario() -> None:
        turns, holding, most = Turns(limit), 0, 0

        async def take(rounds: int, *, urgent: bool) -> None:
            nonlocal holding, most
            async with turns.turn(urgent=urgent):
                holding += 1
                most = max(most, holding)
                try:
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                finally:
                    holding -= 1

        async def cancel(task: asyncio.Task[None], after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        tasks = [asyncio.create_task(take(rounds, urgent=urgent)) for urgent, rounds, _ in takers]
        given_up = [cancel(task, after) for task, (_, _, after) in zip(tasks, takers, strict=True) if after is not None]
        await asyncio.gather(*given_up)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert holding == 0
        assert most <= limit
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(take(1, urgent=False))
        assert most == limit

    asyncio.run(scenario())

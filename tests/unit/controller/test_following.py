"""A watch that ends or fails is opened again, ever more seldom, and never ends what follows it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from akri.controller.following import follow
from akri.core.ids import NodeName
from akri.ports import Alive, Reset, WatchEvent
from akri.scheduling.model import NodeState
from akri.testing.clock import VirtualClock


def endings() -> list[Callable[[], None]]:
    """Name ways in which a watch ends."""

    def fail() -> None:
        message = "bug"
        raise KeyError(message)

    def break_off() -> None:
        message = "connection reset"
        raise ConnectionError(message)

    return [lambda: None, fail, break_off]


@pytest.mark.parametrize("end", endings())
async def test_a_watch_is_opened_again(end: Callable[[], None]) -> None:
    clock = VirtualClock()
    opened: list[float] = []
    taken: list[WatchEvent[NodeState]] = []

    async def watch() -> AsyncIterator[WatchEvent[NodeState]]:
        opened.append(clock.now())
        if len(opened) > 3:
            yield Reset((NodeState(NodeName("a")),))
            await clock.sleep(1000.0)
        end()
        if not opened:
            yield Alive()

    task = asyncio.create_task(follow("nodes", watch, taken.append, clock))
    await clock.advance(20.0)
    assert taken == [Reset((NodeState(NodeName("a")),))]
    assert len(opened) == 4
    gaps = [later - earlier for earlier, later in itertools.pairwise(opened)]
    assert all(0 < gap <= 2.0 for gap in gaps)
    await clock.advance(1100.0)
    assert len(opened) == 5
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

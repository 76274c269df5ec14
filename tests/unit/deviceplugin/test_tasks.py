"""Tasks have an owner: their failures are seen, and none outlives it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from akri.deviceplugin.tasks import Tasks


async def test_a_failure_is_logged_and_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    tasks, done = Tasks(), asyncio.Event()

    async def fail() -> None:
        raise ZeroDivisionError

    async def succeed() -> None:
        done.set()

    with caplog.at_level(logging.ERROR):
        tasks.start(fail())
        tasks.start(succeed())
        await done.wait()
        await asyncio.sleep(0)
    assert "a task failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_stop_waits_for_the_end_of_all() -> None:
    tasks, ended = Tasks(), list[int]()

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    for number in range(3):
        tasks.start(work(number))
    await asyncio.sleep(0)
    await tasks.stop()
    assert sorted(ended) == [0, 1, 2]
    await tasks.stop()

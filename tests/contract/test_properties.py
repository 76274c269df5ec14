"""The contract of following Secrets and ConfigMaps: changes are told soon, and what was not granted is told by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from itertools import groupby
from typing import TypeAlias

import pytest

from akri.core.errors import NotPermittedError
from akri.core.ids import ObjectKey
from akri.ports import Clock
from tests.contract.driver import A, Driver, until

_Data: TypeAlias = Mapping[str, bytes] | None
_SOON = 2.0


class _Followed:
    """What a reader was told of one object, and when."""

    def __init__(self, states: AsyncIterator[_Data], clock: Clock) -> None:
        self.told: list[tuple[float, _Data]] = []
        self._states = states
        self._clock = clock

    @property
    def states(self) -> list[_Data]:
        """In their order; one that is told again, because the watch was opened again, counts once."""
        return [state for state, _ in groupby(state for _, state in self.told)]

    async def run(self) -> None:
        async for state in self._states:
            self.told.append((self._clock.now(), state))


async def _assert_changes_are_told(
    driver: Driver, states: AsyncIterator[_Data], put: Callable[[ObjectKey, Mapping[str, bytes]], Awaitable[None]]
) -> None:
    followed = _Followed(states, driver.clock)
    following = asyncio.create_task(followed.run())
    try:
        await until(driver, lambda: followed.states == [None])
        for password in (b"first", b"\x00\xff"):
            await driver.pass_time(0.5)
            began = driver.clock.now()
            await put(ObjectKey("default", "followed"), {"password": password})
            await until(driver, lambda password=password: followed.states[-1] == {"password": password})  # type: ignore[misc]
            told = next(when for when, state in followed.told if state == {"password": password})
            assert told - began <= _SOON
        assert followed.states == [None, {"password": b"first"}, {"password": b"\x00\xff"}]
    finally:
        following.cancel()
        await asyncio.wait({following})


async def test_changes_of_a_secret_are_told_within_two_seconds(driver: Driver) -> None:
    key = ObjectKey("default", "followed")
    await driver.permit(key)
    await _assert_changes_are_told(driver, driver.node(A).watch_secret(key), driver.put_secret)


async def test_changes_of_a_config_map_are_told_within_two_seconds(driver: Driver) -> None:
    key = ObjectKey("default", "followed")
    await driver.permit(key)
    await _assert_changes_are_told(driver, driver.node(A).watch_config_map(key), driver.put_config_map)


async def test_following_what_must_not_be_read_raises(driver: Driver) -> None:
    hidden = ObjectKey("default", "hidden")
    await driver.put_secret(hidden, {"password": b"marker"})
    await driver.put_config_map(hidden, {"password": b"marker"})
    await driver.forbid(hidden)
    node = driver.node(A)
    for states in (node.watch_secret(hidden), node.watch_config_map(hidden)):
        with pytest.raises(NotPermittedError) as caught:
            await anext(aiter(states))
        assert "default/hidden" in str(caught.value)
        assert "marker" not in str(caught.value)
        if isinstance(states, AsyncGenerator):
            await states.aclose()

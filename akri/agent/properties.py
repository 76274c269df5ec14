"""The discovery properties of one Configuration, kept up to date with the Secrets and ConfigMaps that they come from.

What cannot be read any more stays as it was read last: a Secret that is replaced by deleting it first, or an API server that is
away, takes no device away. What is missing is named, and taken up within seconds after it appears.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Final, TypeAlias

from attrs import define, field

from akri.clock import within
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.properties import DiscoveryProperty, FromSecret, needs, resolve
from akri.core.retry import NETWORK_BACK_OFF
from akri.ports import Clock, NodePlatform

__all__ = ["Properties"]

_logger = logging.getLogger(__name__)
_FIRST: Final = 10.0
"""Seconds for the first answer about an object."""
_Source: TypeAlias = tuple[bool, ObjectKey]
_Data: TypeAlias = Mapping[str, bytes] | None


@define(eq=False)
class Properties:
    """Follows what `wanted` refers to. `values`: what a handler is sent, None before all of it was there once.

    trouble: what is missing, or cannot be read, by its name; "" if nothing is. on_change: told when one of the two is another one.
    """

    wanted: tuple[DiscoveryProperty, ...]
    platform: NodePlatform
    clock: Clock
    on_change: Callable[[], None]
    values: Mapping[str, bytes] | None = field(init=False, default=None, repr=False)
    trouble: str = field(init=False, default="")
    _read: dict[_Source, _Data] = field(init=False, factory=dict[_Source, _Data], repr=False)
    _errors: dict[_Source, str] = field(init=False, factory=dict[_Source, str])

    def __attrs_post_init__(self) -> None:
        """Without references everything is known at once."""
        if not self.sources:
            self.values = resolve(self.wanted, {}, {}).values

    @property
    def sources(self) -> frozenset[_Source]:
        """What has to be followed: whether it is a Secret, and its key."""
        return frozenset((isinstance(reference, FromSecret), reference.source) for reference in needs(self.wanted))

    @property
    def secret_values(self) -> tuple[bytes, ...]:
        """Values that must not be shown, wherever they came from."""
        values = self.values or {}
        return tuple(sorted({values[one.name] for one in needs(self.wanted) if isinstance(one, FromSecret) and one.name in values}))

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for source in sorted(self.sources):
                group.create_task(self._follow(source))

    async def _follow(self, source: _Source) -> None:
        failures = 0
        while True:
            opened = self.clock.now()
            try:
                await self._take(source)
            except AkriError as error:
                self._failed(source, str(error))
            except Exception as error:  # noqa: BLE001 - whatever a platform raises costs no other property; its text may hold anything
                self._failed(source, f"{_named(source)} could not be read: {type(error).__name__}")
            failures = 1 if self.clock.now() - opened > NETWORK_BACK_OFF.most else failures + 1
            await self.clock.sleep(NETWORK_BACK_OFF.seconds(failures, self.clock.random()))

    async def _take(self, source: _Source) -> None:
        is_secret, key = source
        states = (self.platform.watch_secret if is_secret else self.platform.watch_config_map)(key)
        try:
            self._know(source, await within(self.clock, _FIRST, _next(states), f"the question for {_named(source)}"))
            async for data in states:
                self._know(source, data)
        finally:
            if isinstance(states, AsyncGenerator):
                await states.aclose()

    def _know(self, source: _Source, data: _Data) -> None:
        self._read[source] = data
        self._errors.pop(source, None)
        self._resolve()

    def _failed(self, source: _Source, error: str) -> None:
        _logger.warning("discovery properties cannot be read source=%s error=%s", _named(source), error)
        self._errors[source] = error
        self._resolve()

    def _resolve(self) -> None:
        before = self.values, self.trouble
        secrets, config_maps = (
            {key: data for (secret, key), data in self._read.items() if secret is kind and data is not None} for kind in (True, False)
        )
        resolved = resolve(self.wanted, secrets, config_maps)
        missing: list[str] = []
        if self._read.keys() == self.sources:
            missing = [str(problem) for problem in resolved.missing]
            self.values = self.values if resolved.missing else resolved.values
        self.trouble = "; ".join([*(self._errors[source] for source in sorted(self._errors)), *missing])
        if (self.values, self.trouble) != before:
            self.on_change()


async def _next(states: AsyncIterator[_Data]) -> _Data:
    return await anext(states)


def _named(source: _Source) -> str:
    is_secret, key = source
    return f"{'Secret' if is_secret else 'ConfigMap'} {key}"

"""Tells the store what becomes of a pod. A store that cannot write for a while (a full disk) holds up no broker: it is told later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.platforms.local.objects import Pod
from akri.platforms.local.store import LocalStore
from akri.ports import Clock

__all__ = ["PodReport", "insist"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")
_AGAIN_AFTER: Final = 1.0
_Change = Callable[[Pod], Pod]


async def insist(clock: Clock, change: Callable[[], Awaitable[_T]]) -> _T:
    """Change a store, again and again until it is known to be done; so only what may be done twice."""
    while True:
        try:
            return await change()
        except OutcomeUnknownError as error:
            _LOG.warning("the state cannot be stored error=%s", error)
            await clock.sleep(_AGAIN_AFTER)


class PodReport:
    """What is to be stored about one pod."""

    def __init__(self, store: LocalStore, clock: Clock, pod: Pod) -> None:
        """Nothing is stored before `run` or `stored`."""
        self._store = store
        self._clock = clock
        self._pod = pod
        self._pending: list[_Change] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def show(self, change: _Change) -> None:
        """Store this change when possible; it may be made twice."""
        self._pending.append(change)
        self._wake.set()

    async def run(self) -> None:
        """Store what is shown, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.stored()

    async def stored(self) -> None:
        """Return when everything that was shown is stored."""
        async with self._writing:
            while self._pending:
                changes = tuple(self._pending)
                await insist(self._clock, lambda changes=changes: self._store.change_pod(self._pod, _composed(changes)))  # type: ignore[misc]
                del self._pending[: len(changes)]


def _composed(changes: tuple[_Change, ...]) -> _Change:
    def change(pod: Pod) -> Pod:
        for one in changes:
            pod = one(pod)
        return pod

    return change

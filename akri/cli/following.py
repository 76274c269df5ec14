"""An Overview that follows the platform: what `get --watch` and `top` show is read from it whenever something changed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from typing import Final, Protocol, TypeAlias, TypeVar, cast

from akri.cli.overview import PARTS, Overview
from akri.core.ids import ObjectKey
from akri.core.reports import PastEvent
from akri.ports import Alive, Gone, Put, Reset, UserPlatform, WatchEvent
from akri.scheduling.model import NodeState

__all__ = ["Follower"]

_T = TypeVar("_T")
_Watch: TypeAlias = AsyncIterator[WatchEvent[_T]]
_KEPT: Final = 200
_CALM: Final = 0.05


class Follower:
    """Holds what the platform's watches delivered last.

    parts: the fields of Overview that are followed. calm: seconds that are waited for more after a change.
    """

    def __init__(self, platform: UserPlatform, parts: Collection[str] = PARTS, calm: float = _CALM) -> None:
        """Nothing is followed before `run`."""
        self._platform = platform
        self._parts = frozenset(parts) - {"statuses"}
        self._calm = calm
        self._held: dict[str, dict[ObjectKey, object]] = {}
        self._statuses: Mapping[str, object] = {}
        self._events: deque[PastEvent] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()

    @property
    def overview(self) -> Overview:
        """What there is now."""
        held = {part: tuple(values.values()) for part, values in self._held.items()}
        return Overview(**held, statuses=self._statuses, events=tuple(self._events))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - each part is of its watch's type

    async def run(self, show: Callable[[Overview], None], every: float | None = None) -> None:
        """Follow until cancelled. `show` is called when everything was read once, after each change, and once in `every` seconds.

        Raises what the port's watches raise.
        """
        watches = self._watches()
        async with asyncio.TaskGroup() as group:
            for part in self._parts & watches.keys():
                group.create_task(self._follow(part, watches[part]()))
            if "events" in self._parts:
                group.create_task(self._follow_events())
            while True:
                await self._until_changed(every)
                if len(self._held) == len(self._parts & watches.keys()):
                    show(self.overview)

    async def _until_changed(self, every: float | None) -> None:
        try:
            async with asyncio.timeout(every):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._calm)  # changes come in bursts
        self._changed.clear()

    def _watches(self) -> dict[str, Callable[[], _Watch[object]]]:
        platform = self._platform
        watches: dict[str, object] = {
            "configurations": platform.watch_configurations,
            "instances": platform.watch_instances,
            "broker_pods": platform.watch_broker_pods,
            "broker_jobs": platform.watch_broker_jobs,
            "services": platform.watch_broker_services,
            "reports": platform.watch_reports,
            "nodes": platform.watch_nodes,
        }
        return cast("dict[str, Callable[[], _Watch[object]]]", watches)

    async def _follow(self, part: str, watch: _Watch[object]) -> None:
        async with aclosing(cast("AsyncGenerator[WatchEvent[object]]", watch)) as events:
            async for event in events:
                if isinstance(event, Alive):
                    continue
                if part == "configurations":
                    self._statuses = await self._platform.read_statuses()
                self._take(part, event)
                self._changed.set()

    def _take(self, part: str, event: Reset[object] | Put[object] | Gone) -> None:
        match event:
            case Reset(objects):
                self._held[part] = {_key(one): one for one in objects}
            case Put(one):
                self._held[part][_key(one)] = one
            case Gone(key):
                self._held[part].pop(key, None)

    async def _follow_events(self) -> None:
        async with aclosing(cast("AsyncGenerator[PastEvent]", self._platform.follow_events())) as events:
            async for event in events:
                self._events.append(event)
                self._changed.set()


class _Keyed(Protocol):
    @property
    def key(self) -> ObjectKey: ...


def _key(one: object) -> ObjectKey:
    return ObjectKey("", one.name) if isinstance(one, NodeState) else cast("_Keyed", one).key

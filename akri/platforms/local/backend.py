"""What stores the state of the local platform, as the ports and the store's own methods use it: memory, or a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Protocol, TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import NodeName
from akri.core.reports import Event
from akri.platforms.local.collection import Collection
from akri.platforms.local.data import Data
from akri.platforms.local.kinds import Collections
from akri.platforms.local.tables import Tables
from akri.ports import Outcome, Unknown, WatchEvent

__all__ = ["NO_NODE", "Backend", "outcome", "watched"]

NO_NODE = NodeName("")
"""Node of an event that no node told."""
_T = TypeVar("_T")
_U = TypeVar("_U")


class Backend(Protocol):
    """Where the state is."""

    @property
    def shown(self) -> Collections:
        """The state as this process knows it: its own changes once their call returned, those of others soon after."""
        ...

    @property
    def data(self) -> Data:
        """Secrets and ConfigMaps."""
        ...

    async def change(self, step: Callable[[Tables], _T], *, durable: bool = False) -> _T:
        """Carry out a step: all that it changes or, if it raises, nothing.

        The step may run in another thread, so it touches the tables and values alone. durable: it outlives a power loss, too,
        once this returned. Raises what the step raises, and OutcomeUnknownError where it cannot be stored.
        """
        ...

    async def catch_up(self) -> None:
        """Let `shown` have everything that was stored before this call. Raises OutcomeUnknownError."""
        ...

    def keep(self, event: Event, node: NodeName = NO_NODE) -> None:
        """Keep an event with its time, soon; one that cannot be stored is lost."""
        ...


async def outcome(backend: Backend, step: Callable[[Tables], Outcome]) -> Outcome:
    """Carry out a write whose failure is an outcome, as the ports have it."""
    try:
        return await backend.change(step)
    except OutcomeUnknownError as error:
        return Unknown(str(error))


async def watched(backend: Backend, objects: Collection[_T], project: Callable[[_T], _U | None]) -> AsyncGenerator[WatchEvent[_U]]:
    """Watch objects of the back end, beginning with all that was stored before; where that cannot be read, with what is known."""
    with suppress(OutcomeUnknownError):
        await backend.catch_up()
    async with aclosing(objects.watch(project)) as events:
        async for event in events:
            yield event

"""What stores the state of the local platform, as the ports and the store's own methods use it: memory, or a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import NodeName
from akri.core.reports import Event
from akri.platforms.local.data import Data
from akri.platforms.local.kinds import Collections
from akri.platforms.local.tables import Tables
from akri.ports import Outcome, Unknown

__all__ = ["NO_NODE", "Backend", "outcome"]

NO_NODE = NodeName("")
"""Node of an event that no node told."""
_T = TypeVar("_T")


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

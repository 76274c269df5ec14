"""What was asked of the platform and cannot be seen yet, so that nothing is asked twice, and what failed, so that it is asked again later.

A frozen value; each method gives the next one. Times are seconds of a clock that never jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final, assert_never

from attrs import evolve, field, frozen

from akri.core.ids import ObjectKey
from akri.scheduling.model import (
    Action,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)

__all__ = ["Expectation", "Expectations", "Kind", "Target", "target"]

_NEVER: Final = float("inf")


class Kind(Enum):
    """What kind of object an action writes; the finalizers of Configurations are apart from all else."""

    POD = "Pod"
    JOB = "Job"
    SERVICE = "Service"
    INSTANCE = "Instance"
    CONFIGURATION = "Configuration"


@frozen
class Target:
    """The one object that an action writes. Of the actions on one target one at a time is under way."""

    kind: Kind
    key: ObjectKey


def target(action: Action) -> Target:
    """Tell which object an action writes."""
    match action:
        case CreatePod() | DeletePod():
            return Target(Kind.POD, action.key)
        case CreateJob() | DeleteJob():
            return Target(Kind.JOB, action.key)
        case CreateService() | UpdateService() | DeleteService():
            return Target(Kind.SERVICE, action.key)
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return Target(Kind.INSTANCE, action.instance.key)
        case DropFinalizers():
            return Target(Kind(action.kind), action.key)
    assert_never(action)


@frozen
class Expectation:
    """An action that was sent. `until` is when it may be sent again if its effect is not seen; while its request runs, never."""

    action: Action
    until: float = _NEVER


@frozen
class Expectations:
    """All actions that were sent and whose effect was not seen, and how often in a row each target's requests failed."""

    waiting: Mapping[Target, Expectation] = field(factory=dict[Target, Expectation], hash=False)
    failures: Mapping[Target, int] = field(factory=dict[Target, int], hash=False)

    def sendable(self, actions: Iterable[Action]) -> tuple[Action, ...]:
        """Leave out actions on targets for which something is awaited, and all but the first on each target."""
        chosen: dict[Target, Action] = {}
        for action in actions:
            about = target(action)
            if about not in self.waiting:
                chosen.setdefault(about, action)
        return tuple(chosen.values())

    def sent(self, action: Action) -> Expectations:
        """Note that an action's request is under way."""
        return self._with(target(action), Expectation(action))

    def done(self, action: Action, until: float) -> Expectations:
        """Note that the platform did it; if its effect cannot be seen by then, it is sent again."""
        return self._with(target(action), Expectation(action, until))

    def failed(self, action: Action, until: float) -> Expectations:
        """Note that it failed, or that nobody knows; it may be sent again at that time."""
        about = target(action)
        failures = {**self.failures, about: self.failures.get(about, 0) + 1}
        return evolve(self._with(about, Expectation(action, until)), failures=failures)

    def settle(self, seen: Callable[[Action], bool], now: float) -> tuple[Expectations, tuple[Action, ...]]:
        """Forget what was seen and what is due again; return the actions that are due again as well."""
        ended = {about: entry for about, entry in self.waiting.items() if entry.until < _NEVER}
        visible = {about for about, entry in ended.items() if seen(entry.action)}
        due = {about for about, entry in ended.items() if entry.until <= now and about not in visible}
        if not (visible or due):
            return self, ()
        waiting = {about: entry for about, entry in self.waiting.items() if about not in visible and about not in due}
        failures = {about: count for about, count in self.failures.items() if about not in visible}
        again = tuple(entry.action for about, entry in ended.items() if about in due)
        return Expectations(waiting, failures), again

    def keep_failures(self, actions: Iterable[Action]) -> Expectations:
        """Forget the failures of what is neither wanted nor awaited any more."""
        if not self.failures:
            return self
        wanted = {target(action) for action in actions} | self.waiting.keys()
        return evolve(self, failures={about: count for about, count in self.failures.items() if about in wanted})

    @property
    def next_due(self) -> float | None:
        """When something may be sent again, None if nothing may."""
        due = min((entry.until for entry in self.waiting.values()), default=_NEVER)
        return None if due == _NEVER else due

    def _with(self, about: Target, entry: Expectation) -> Expectations:
        return evolve(self, waiting={**self.waiting, about: entry})

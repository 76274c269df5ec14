"""What `inventory.reconcile` answers with: commands for the platform, and what the agent advertises and shows. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.configuration import Configuration
from akri.core.device import Device
from akri.core.errors import Problem
from akri.core.ids import DeviceId, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance

__all__ = [
    "NOTHING",
    "Command",
    "Countdown",
    "Create",
    "Join",
    "Leave",
    "Moved",
    "Reconciliation",
    "Serving",
    "Settled",
    "Standing",
    "Update",
    "Waiting",
    "remembered",
]


@frozen
class Create:
    """Create this complete object. Of several nodes that do so one succeeds; the others see its object and join."""

    instance: Instance


@frozen
class Join:
    """Add this node at the end of `nodes`."""

    key: ObjectKey
    uid: str


@frozen
class Update:
    """As the reporter, write the Instance as it is here, if it still has this revision. `changes` names the fields that differ."""

    instance: Instance
    changes: tuple[str, ...]


@frozen
class Leave:
    """Take this node out of `nodes`, and delete the Instance if none is left; `reason` is one clause for people."""

    key: ObjectKey
    uid: str
    reason: str


Command: TypeAlias = Create | Join | Update | Leave
"""Something that the platform is asked to do with one Instance."""


@frozen
class Waiting:
    """Nothing can be done about this Instance until somebody else changed it; `reason` says who and what."""

    key: ObjectKey
    reason: str


class Standing(Enum):
    """What an Instance is to this node's device plugins."""

    SERVED = "served"  # hand the device out
    UNSEEN = "unseen"  # advertise it as Unhealthy: it may be there, but nothing is known to hand out
    RETIRED = "retired"  # as Unhealthy, only while something on this node uses it, and release its slots


@frozen
class Serving:
    """How this node advertises one Instance. device: what the next Allocate hands out; None: nothing can be handed out.

    reason: why it is not simply there, one clause; "" for a device that is seen.
    """

    device: Device | None
    standing: Standing = Standing.SERVED
    reason: str = ""

    @property
    def healthy(self) -> bool:
        """Whether new users may get it."""
        return self.standing is Standing.SERVED


@frozen
class Countdown:
    """A device that is kept though it is not seen: seconds left, answers in a row without it, and why.

    device_id is None for an Instance that upstream made; instance is None for a device without one.
    """

    device_id: DeviceId | None
    instance: InstanceName | None
    left: float
    misses: int
    reason: str


@frozen
class Moved:
    """A device that was handed out as `before` and is handed out as `after` from now on (another device node, another address)."""

    instance: InstanceName
    before: Device
    after: Device


@frozen
class Settled:
    """Inputs for which nothing had to be done: the same inputs need no second look. Makes one change among 10,000 devices cheap."""

    configuration: Configuration
    node: NodeName
    shared: bool
    inputs: Mapping[InstanceName, tuple[DeviceId, Device, Instance]]


_NO_SERVING: Final[Mapping[InstanceName, Serving]] = MappingProxyType({})


@frozen
class Reconciliation:
    """What one node has to do about the Instances of one Configuration, in a fixed order.

    next_due: when to reconcile again if nothing happens until then, on the clock of `now`; None: no need to.
    settled: for the next `reconcile`, nothing to look at.
    """

    commands: tuple[Command, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    serving: Mapping[InstanceName, Serving] = field(default=_NO_SERVING, hash=False)
    moved: tuple[Moved, ...] = ()
    countdowns: tuple[Countdown, ...] = ()
    problems: tuple[Problem, ...] = ()
    next_due: float | None = None
    settled: Settled | None = field(default=None, eq=False, repr=False)


NOTHING: Final = Reconciliation()
"""The Reconciliation before the first one, of an agent that remembers nothing."""


def remembered(devices: Mapping[InstanceName, Device]) -> Reconciliation:
    """Stand in for the last Reconciliation of an earlier run of the agent, of which the last Device of each Instance is known."""
    return Reconciliation(serving={name: Serving(device) for name, device in devices.items()})

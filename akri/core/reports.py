"""What the agent and the controller say about their work: discovery reports, conditions, events. One vocabulary for all three."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.naming import report_name

__all__ = ["Condition", "ConfigurationStatus", "DiscoveryReport", "Event", "HandlerReport", "KeptDevice", "PastEvent", "Reason"]

_NO_NODE: Final = NodeName("")


class Reason(Enum):
    """Why something was said. The same word stands in a condition, in an Event and in the log."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    NAME_TAKEN = "NameTaken"
    HANDLER_MISSING = "HandlerMissing"
    DISCOVERING = "Discovering"
    DISCOVERY_FAILED = "DiscoveryFailed"
    HANDLER_SILENT = "HandlerSilent"
    DETAILS_REFUSED = "DetailsRefused"
    NOT_PERMITTED = "NotPermitted"
    PROPERTY_MISSING = "PropertyMissing"
    DEVICE_FOUND = "DeviceFound"
    DEVICE_LOST = "DeviceLost"
    DEVICE_MOVED = "DeviceMoved"
    SLOT_RELEASED = "SlotReleased"
    SLOT_REFUSED = "SlotRefused"
    SLOT_LOST = "SlotLost"
    SLOT_UNREADABLE = "SlotUnreadable"
    BROKER_CREATED = "BrokerCreated"
    BROKER_FAILED = "BrokerFailed"
    BROKER_BACK_OFF = "BrokerBackOff"
    BROKER_REMOVED = "BrokerRemoved"
    BROKERS_READY = "BrokersReady"
    NODE_LOST = "NodeLost"
    BROKER_CHANGED = "BrokerChanged"
    CAPACITY_LOWERED = "CapacityLowered"
    CONFIGURATION_GONE = "ConfigurationGone"
    FIELD_IGNORED = "FieldIgnored"
    FINALIZER_LEFT = "FinalizerLeft"
    REPORTER_BEHIND = "ReporterBehind"
    SERVICE_CREATED = "ServiceCreated"
    SERVICE_CHANGED = "ServiceChanged"
    SERVICE_REMOVED = "ServiceRemoved"


def _counts(value: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(sorted(value.items())))


@frozen
class HandlerReport:
    """What one discovery handler last said to one node.

    endpoint: where it is, `embedded` inside the agent. asked_at, answered_at: seconds since the epoch, 0 for not yet.
    candidates: devices looked at. dropped: reason -> how many devices it dropped. message, error: one sentence or "".
    reason: the kind of the error, None where there is none, or where an older agent does not say.
    """

    name: HandlerName
    endpoint: str
    asked_at: float = 0.0
    answered_at: float = 0.0
    devices: int = 0
    candidates: int = 0
    dropped: Mapping[str, int] = field(factory=dict[str, int], converter=_counts, hash=False)
    message: str = ""
    error: str = ""
    reason: Reason | None = None


@frozen
class KeptDevice:
    """A device that its node does not see and keeps until its grace is over.

    device_id, instance: "" where there is none. until: seconds since the epoch. misses: answers in a row without it. why: one clause.
    """

    device_id: str
    instance: str
    until: float
    misses: int
    why: str


@frozen
class DiscoveryReport:
    """What one node knows about the discovery for one Configuration (our CRD `discoveryreports.akri.sh`)."""

    configuration: ObjectKey
    configuration_uid: str
    node: NodeName
    generation: int
    written_at: float
    handlers: tuple[HandlerReport, ...] = ()
    problems: tuple[str, ...] = ()
    kept: tuple[KeptDevice, ...] = ()

    @property
    def key(self) -> ObjectKey:
        """Where it is stored: in the Configuration's namespace as `<configuration>.<node>`."""
        return ObjectKey(self.configuration.namespace, report_name(ConfigurationName(self.configuration.name), self.node))


@frozen
class Condition:
    """A condition as the Kubernetes API conventions have it; `since` is seconds since the epoch."""

    type: str
    status: bool
    reason: Reason
    message: str = ""
    since: float = 0.0


@frozen
class ConfigurationStatus:
    """Status of a Configuration, aggregated by the controller."""

    generation: int
    conditions: tuple[Condition, ...] = ()
    instances: int = 0
    nodes: int = 0
    brokers: int = 0
    brokers_ready: int = 0


@frozen
class Event:
    """Something that happened to an object, for people to read; `kind` is Configuration, Instance or Pod."""

    kind: str
    about: ObjectKey
    reason: Reason
    message: str
    warning: bool = False


@frozen
class PastEvent:
    """An event and when it happened, seconds since the epoch; `node` is the node that told it, "" for the controller."""

    event: Event
    at: float
    node: NodeName = _NO_NODE

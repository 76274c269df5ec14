"""A Configuration: what to look for, how many may share each device, and what to run for it.

An invalid Configuration cannot exist: its limits are checked at construction. What a user wrote and cannot be one
is an `UnreadableConfiguration`, which goes through the same channels so that somebody reports it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.device import frozen_mapping, require_properties
from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import ConfigurationName, HandlerName, ObjectKey
from akri.core.metadata import JsonObject, ObjectMeta, frozen_json
from akri.core.properties import DiscoveryProperty

__all__ = [
    "ANNOTATION_GRACE",
    "ANNOTATION_POLL_INTERVAL",
    "DEFAULT_GRACE",
    "EXPECTED_CAPACITY",
    "MAXIMUM_CAPACITY",
    "MAXIMUM_HANDLER",
    "MAXIMUM_NAME",
    "BrokerSpec",
    "Configuration",
    "DiscoveryRequest",
    "JobBroker",
    "NoBroker",
    "PodBroker",
    "UnreadableConfiguration",
    "require_capacity",
    "require_handler",
    "require_name",
    "seconds_of",
]

MAXIMUM_CAPACITY: Final = 1000
"""Slots of one Instance; CEL needs a bound (sharing.md)."""
EXPECTED_CAPACITY: Final = f"a whole number from 1 to {MAXIMUM_CAPACITY}"
"""What a capacity is, in words."""
MAXIMUM_HANDLER: Final = 253
"""Characters of a discovery handler's name; it is the name of a socket as well."""
MAXIMUM_NAME: Final = 54
"""Characters of a Configuration's name: leaves room for a 4-byte digest in a 63-character resource name."""
ANNOTATION_GRACE: Final = "akri.sh/grace"
"""Annotation on a Configuration: seconds that a shared device may be away."""
ANNOTATION_POLL_INTERVAL: Final = "akri.sh/poll-interval"
"""Annotation on a Configuration: seconds between two looks where the source has no events."""
DEFAULT_GRACE: Final = 300.0
"""Seconds that a shared device, or a device whose handler is away, is kept."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@frozen
class NoBroker:
    """Devices are only recorded and offered; users run their own pods."""


@frozen
class PodBroker:
    """A pod for each node that shares the device, up to `capacity`; `spec` is a Kubernetes PodSpec."""

    spec: JsonObject = field(converter=frozen_json, hash=False)


@frozen
class JobBroker:
    """One job for each Instance; `spec` is a Kubernetes JobSpec."""

    spec: JsonObject = field(converter=frozen_json, hash=False)


BrokerSpec: TypeAlias = NoBroker | PodBroker | JobBroker
"""What the controller runs for each device."""


def require_capacity(value: int) -> int:
    """Return the capacity of a Configuration; raise InvalidValueError if it is none."""
    if not 1 <= value <= MAXIMUM_CAPACITY:
        raise InvalidValueError("spec.capacity", value, EXPECTED_CAPACITY)
    return value


def require_name(value: str) -> str:
    """Return the name of a Configuration; raise InvalidValueError if it is none."""
    if len(value) > MAXIMUM_NAME or not _NAME.fullmatch(value):
        expected = f"at most {MAXIMUM_NAME} characters: lower-case letters, digits, '-' and '.' (the kubelet's limit for resource names)"
        raise InvalidValueError("metadata.name", value, expected)
    return value


def require_handler(value: str) -> HandlerName:
    """Return the name of a discovery handler; raise InvalidValueError if it is none."""
    if not 1 <= len(value) <= MAXIMUM_HANDLER or not value.isprintable():
        raise InvalidValueError("spec.discoveryHandler.name", value, f"1 to {MAXIMUM_HANDLER} characters without control characters")
    return HandlerName(value)


def _capacity(_instance: object, _attribute: object, value: int) -> None:
    require_capacity(value)


def _name(_instance: object, _attribute: object, value: ObjectMeta) -> None:
    require_name(value.key.name)


def _handler(_instance: object, _attribute: object, value: HandlerName) -> None:
    require_handler(value)


@frozen
class DiscoveryRequest:
    """What a discovery handler is asked: its name, its details (YAML text) and its properties."""

    handler: HandlerName = field(validator=_handler)
    details: str = ""
    properties: tuple[DiscoveryProperty, ...] = ()


def _broker_properties(_instance: object, _attribute: object, value: Mapping[str, str]) -> None:
    require_properties(value, "spec.brokerProperties")


@frozen
class Configuration:
    """What to look for and what to do with it (compat.md, `configurations.akri.sh`).

    capacity: slots of each Instance, 1 to 1,000. instance_service, configuration_service: Kubernetes ServiceSpecs.
    broker_properties: overlaid on each device's own properties.
    """

    metadata: ObjectMeta = field(validator=_name)
    discovery: DiscoveryRequest
    capacity: int = field(default=1, validator=_capacity)
    broker: BrokerSpec = NoBroker()
    instance_service: JsonObject | None = field(default=None, hash=False)
    configuration_service: JsonObject | None = field(default=None, hash=False)
    broker_properties: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, validator=_broker_properties, hash=False)

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key

    @property
    def name(self) -> ConfigurationName:
        """The name alone, as Instances and resources carry it."""
        return ConfigurationName(self.metadata.key.name)

    @property
    def grace(self) -> float:
        """Seconds that a shared device may be away, from the annotation `akri.sh/grace`; the default where it is unreadable."""
        seconds = seconds_of(self.metadata.annotations.get(ANNOTATION_GRACE, ""))
        return DEFAULT_GRACE if seconds is None else seconds

    @property
    def poll_interval(self) -> float | None:
        """Seconds between two looks, from the annotation `akri.sh/poll-interval`; None leaves it to the source."""
        return seconds_of(self.metadata.annotations.get(ANNOTATION_POLL_INTERVAL, "")) or None


def seconds_of(text: str) -> float | None:
    """Read the seconds of an annotation, `300` or `0.5`; None for anything else."""
    return float(text) if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text) else None


@frozen
class UnreadableConfiguration:
    """A stored object of kind Configuration that cannot be used, and everything that is wrong with it."""

    metadata: ObjectMeta
    problems: tuple[Problem, ...]

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key

"""The names of things, as types. The only parsers and printers of their text forms live here.

Upstream compared slot ids in two text forms and never freed slots; here a slot is a `SlotId` everywhere
and text exists only at the edges.
"""

from __future__ import annotations

import re
from typing import Final, NewType, Self, TypeVar

from attrs import field, frozen

from akri.core.errors import InvalidValueError

__all__ = [
    "CdiName",
    "ConfigurationName",
    "DeviceId",
    "HandlerName",
    "InstanceName",
    "NodeName",
    "ObjectKey",
    "PluginDeviceId",
    "ResourceName",
    "SlotId",
    "VirtualDeviceId",
]

NodeName = NewType("NodeName", str)
"""Name of a node, as Kubernetes' `metadata.name` of a Node."""
HandlerName = NewType("HandlerName", str)
"""Name under which a discovery handler registers: `udev`, `debugEcho`."""
ConfigurationName = NewType("ConfigurationName", str)
"""`metadata.name` of a Configuration."""
InstanceName = NewType("InstanceName", str)
"""`metadata.name` of an Instance: `<configuration>-<digest>`."""
ResourceName = NewType("ResourceName", str)
"""Extended resource of the kubelet, with its domain: `akri.sh/cameras-8120fe`."""
DeviceId = NewType("DeviceId", str)
"""What a discovery handler calls a device; stable over time, any text."""
PluginDeviceId = NewType("PluginDeviceId", str)
"""Device id as offered to the kubelet: the text of a SlotId or of a VirtualDeviceId."""

_Text = TypeVar("_Text", bound=str)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_PREFIX: Final = "akri.sh/"


def _split_index(text: str, kind: str) -> tuple[str, int]:
    stem, dash, index = text.rpartition("-")
    if not (stem and dash and _INDEX.fullmatch(index)):
        raise InvalidValueError(kind, text, "a name, a dash and a decimal index, as in 'cameras-8120fe-0'")
    return stem, int(index)


def _not_empty(_instance: object, attribute: object, value: _Text) -> None:  # pyright: ignore[reportInvalidTypeVarUse] - mypy takes the field's type from it
    if not value:
        raise InvalidValueError(str(getattr(attribute, "name", "name")), value, "a name that is not empty")


def _not_negative(_instance: object, attribute: object, value: int) -> None:
    if value < 0:
        raise InvalidValueError(str(getattr(attribute, "name", "index")), value, "0 or more")


@frozen(order=True)
class ObjectKey:
    """Namespace and name of a stored object; prints as `namespace/name`."""

    namespace: str
    name: str = field(validator=_not_empty)

    def __str__(self) -> str:
        """Print as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@frozen(order=True)
class SlotId:
    """One of the `capacity` slots of an Instance; prints as `<instance>-<index>`."""

    instance: InstanceName = field(validator=_not_empty)
    index: int = field(validator=_not_negative)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<instance>-<index>`; raise InvalidValueError for anything else (no sign, no leading zero)."""
        stem, index = _split_index(text, "slot")
        return cls(InstanceName(stem), index)

    def __str__(self) -> str:
        """Print as `<instance>-<index>`, the key in an Instance's deviceUsage."""
        return f"{self.instance}-{self.index}"


@frozen(order=True)
class VirtualDeviceId:
    """What a node offers for a Configuration-level resource; prints as `<configuration>-<k>`, k counted per node."""

    configuration: ConfigurationName = field(validator=_not_empty)
    k: int = field(validator=_not_negative)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<configuration>-<k>`; raise InvalidValueError for anything else."""
        stem, index = _split_index(text, "virtual device")
        return cls(ConfigurationName(stem), index)

    def __str__(self) -> str:
        """Print as `<configuration>-<k>`."""
        return f"{self.configuration}-{self.k}"


@frozen(order=True)
class CdiName:
    """Fully qualified CDI device name of an Instance; prints as `akri.sh/<configuration>=<digest>`."""

    configuration: ConfigurationName = field(validator=_not_empty)
    digest: str = field(validator=_not_empty)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `akri.sh/<configuration>=<digest>`; raise InvalidValueError for anything else."""
        kind, equals, digest = text.partition("=")
        name = kind.removeprefix(_PREFIX)
        if not (kind.startswith(_PREFIX) and equals and name and digest):
            raise InvalidValueError("cdiName", text, "'akri.sh/<configuration>=<digest>'")
        return cls(ConfigurationName(name), digest)

    def __str__(self) -> str:
        """Print as `akri.sh/<configuration>=<digest>`."""
        return f"{_PREFIX}{self.configuration}={self.digest}"

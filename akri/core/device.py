"""A device as a discovery handler describes it, and a sighting of it by one node for one Configuration.

A Device is kept as the handler sent it; `device_problems` says why it cannot be used, so that somebody reports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.errors import InvalidValueError, Problem, short
from akri.core.ids import DeviceId, NodeName, ObjectKey

__all__ = [
    "MAXIMUM_PROPERTIES",
    "MAXIMUM_TEXT",
    "Device",
    "DeviceNode",
    "Local",
    "Mount",
    "Scope",
    "Shared",
    "Sighting",
    "device_problems",
    "frozen_mapping",
    "property_errors",
    "require_properties",
]

MAXIMUM_TEXT: Final = 4096
"""Characters of a stored text, a property's value among them; CEL needs a bound (sharing.md)."""
MAXIMUM_PROPERTIES: Final = 256
"""Properties of a device, and of a Configuration's brokerProperties; CEL needs a bound (sharing.md)."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNUSABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
_PERMISSIONS: Final = re.compile(r"(?=.)r?w?m?")


def frozen_mapping(value: Mapping[str, str]) -> Mapping[str, str]:
    """Copy into a mapping that cannot be changed, keys in sorted order, so that order never counts as a change."""
    return MappingProxyType(dict(sorted(value.items())))


def _permissions(_instance: object, _attribute: object, value: str) -> None:
    if not _PERMISSIONS.fullmatch(value):
        raise InvalidValueError("permissions", value, "some of 'r', 'w', 'm', in this order")


@frozen(order=True)
class Mount:
    """A path of the host that the broker sees; paths are absolute."""

    container_path: str
    host_path: str
    read_only: bool = False


@frozen(order=True)
class DeviceNode:
    """A device node of the host that the broker may use; `permissions` is some of r, w, m (read, write, mknod)."""

    container_path: str
    host_path: str
    permissions: str = field(default="rwm", validator=_permissions)


@frozen
class Device:
    """One device of a discovery answer.

    id: stable text of the handler's choosing; the Instance's name is computed from it.
    properties: become the broker's environment, `KEY` and `KEY_<DIGEST>`.
    mounts, device_nodes: handed to the container as they are.
    """

    id: DeviceId
    properties: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    mounts: tuple[Mount, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()


@frozen
class Shared:
    """The device can be reached from several nodes: a camera on the network. One Instance for all of them."""


@frozen
class Local:
    """The device belongs to one node: a USB stick. Its Instance's name depends on the node."""

    node: NodeName


Scope: TypeAlias = Shared | Local
"""Who can reach a device."""


@frozen
class Sighting:
    """A device, the Configuration that asked for it, and who can reach it."""

    device: Device
    configuration: ObjectKey
    scope: Scope


def _text_error(place: str, text: str) -> InvalidValueError | None:
    if len(text) > MAXIMUM_TEXT:
        return InvalidValueError(place, text, f"at most {MAXIMUM_TEXT} characters, found {len(text)}")
    if _UNUSABLE.search(text):
        return InvalidValueError(place, text, "a text without NUL and without halves of surrogate pairs")
    return None


def property_errors(properties: Mapping[str, str], place: str) -> Iterator[InvalidValueError]:
    """Find what no environment and no Instance can hold: '=' or NUL in a name, NUL in a value, too many or too long ones.

    `place` is the path of the mapping; the errors are given, not raised, so that a caller can report all of them.
    """
    if len(properties) > MAXIMUM_PROPERTIES:
        yield InvalidValueError(place, len(properties), f"at most {MAXIMUM_PROPERTIES} properties")
    for name, value in properties.items():
        here = f"{place}.{short(name)[1:-1]}"
        if not name or "=" in name:
            yield InvalidValueError(here, name, "a name that is not empty and has no '='")
        yield from filter(None, (_text_error(here, name), _text_error(here, value)))


def require_properties(properties: Mapping[str, str], place: str) -> None:
    """Raise the first of `property_errors`, if there is one."""
    for error in property_errors(properties, place):
        raise error


def _paths(device: Device) -> Iterator[tuple[str, str]]:
    for index, mount in enumerate(device.mounts):
        yield f"mounts[{index}].containerPath", mount.container_path
        yield f"mounts[{index}].hostPath", mount.host_path
    for index, node in enumerate(device.device_nodes):
        yield f"deviceSpecs[{index}].containerPath", node.container_path
        yield f"deviceSpecs[{index}].hostPath", node.host_path


def device_problems(device: Device) -> tuple[Problem, ...]:
    """List everything that makes a device unusable, as a handler may send anything; empty for a good one.

    The id: not empty, at most 4,096 characters, no control characters. Properties: see `property_errors`. Paths of
    mounts and device nodes: absolute, without `..` and control characters.
    """
    errors: list[InvalidValueError] = []
    if not device.id or len(device.id) > MAXIMUM_TEXT or _CONTROL.search(device.id):
        errors.append(InvalidValueError("id", device.id, f"1 to {MAXIMUM_TEXT} characters without control characters"))
    errors += property_errors(device.properties, "properties")
    for place, path in _paths(device):
        if not path.startswith("/") or ".." in path.split("/") or len(path) > MAXIMUM_TEXT or _CONTROL.search(path):
            errors.append(InvalidValueError(place, path, "an absolute path without '..' and control characters"))
    return tuple(error.problem for error in errors)

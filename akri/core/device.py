"""A device as a discovery handler describes it, and a sighting of it by one node for one Configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import DeviceId, NodeName, ObjectKey

__all__ = ["Device", "DeviceNode", "Local", "Mount", "Scope", "Shared", "Sighting", "frozen_mapping"]

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
    properties: Mapping[str, str] = field(factory=dict, converter=frozen_mapping, hash=False)
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

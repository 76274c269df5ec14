"""What a container gets with its devices. The only place where a broker's environment, mounts and device nodes are composed.

`merged_properties` is the one merge: it describes the Instance (brokerProperties) and fills the environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.configuration import Configuration
from akri.core.device import Device, DeviceNode, Mount, frozen_mapping, require_properties
from akri.core.errors import DeviceUnavailableError
from akri.core.ids import InstanceName
from akri.core.naming import environment_suffix

__all__ = ["AllocatedDevice", "ContainerEdits", "container_edits", "merged_properties", "unusual_property_names"]

_USUAL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PERMISSIONS: Final = "rwm"

AllocatedDevice: TypeAlias = tuple[InstanceName, Device, Mapping[str, str]]
"""A device of one Allocate: its Instance, the device as this node last saw it, its Configuration's brokerProperties."""
_Places: TypeAlias = dict[str, tuple[InstanceName, str]]


@frozen
class ContainerEdits:
    """Environment variables, mounts and device nodes for one container."""

    environment: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    mounts: tuple[Mount, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()


def merged_properties(device: Device, configuration: Configuration) -> Mapping[str, str]:
    """Return a device's properties, overlaid with its Configuration's brokerProperties.

    Raises InvalidValueError for a property that no environment can hold ('=' or NUL in its name, NUL in its value).
    """
    return _overlaid(device, configuration.broker_properties)


def _overlaid(device: Device, broker_properties: Mapping[str, str]) -> Mapping[str, str]:
    require_properties(device.properties, "properties")
    require_properties(broker_properties, "spec.brokerProperties")
    return frozen_mapping({**device.properties, **broker_properties})


def container_edits(devices: Sequence[AllocatedDevice]) -> ContainerEdits:
    """Compose what one Allocate hands to its container, from all its devices.

    Every property is there as `KEY_<DIGEST>` and as plain `KEY`; with several devices the plain one is the first
    Instance's in name order. A name that is both, because a property ends like a suffix, has the suffixed meaning.
    Mounts and device nodes are merged without duplicates, with the rights that any of the devices asks for. One path in
    the container for two different paths of the host raises DeviceUnavailableError, which names both: a rejected pod says
    why, while a broker that silently got another device's node would work on the wrong one.
    Raises InvalidValueError as `merged_properties` does.
    """
    in_order = sorted(devices, key=lambda item: item[0])
    return ContainerEdits(_environment(in_order), _mounts(in_order), _device_nodes(in_order))


def _environment(devices: Iterable[AllocatedDevice]) -> dict[str, str]:
    plain: dict[str, str] = {}
    suffixed: dict[str, str] = {}
    for instance, device, broker_properties in devices:
        suffix = environment_suffix(instance)
        for name, value in _overlaid(device, broker_properties).items():
            plain.setdefault(name, value)
            suffixed[f"{name}_{suffix}"] = value
    return plain | suffixed


def _take_place(places: _Places, instance: InstanceName, container_path: str, host_path: str) -> None:
    holder, taken = places.setdefault(container_path, (instance, host_path))
    if taken != host_path:
        message = f"path {container_path} in the container would be {taken} for {holder} and {host_path} for {instance}"
        raise DeviceUnavailableError(message)


def _mounts(devices: Iterable[AllocatedDevice]) -> tuple[Mount, ...]:
    places: _Places = {}
    merged: dict[str, Mount] = {}
    for instance, device, _ in devices:
        for mount in device.mounts:
            _take_place(places, instance, mount.container_path, mount.host_path)
            read_only = mount.read_only and merged.get(mount.container_path, mount).read_only
            merged[mount.container_path] = Mount(mount.container_path, mount.host_path, read_only)
    return tuple(sorted(merged.values()))


def _device_nodes(devices: Iterable[AllocatedDevice]) -> tuple[DeviceNode, ...]:
    places: _Places = {}
    merged: dict[str, DeviceNode] = {}
    for instance, device, _ in devices:
        for node in device.device_nodes:
            _take_place(places, instance, node.container_path, node.host_path)
            either = node.permissions + merged.get(node.container_path, node).permissions
            permissions = "".join(letter for letter in _PERMISSIONS if letter in either)
            merged[node.container_path] = DeviceNode(node.container_path, node.host_path, permissions)
    return tuple(sorted(merged.values()))


def unusual_property_names(properties: Mapping[str, str]) -> tuple[str, ...]:
    """List the property names that a shell cannot read as variables (`resolution-width`): worth a warning, but handed on as they are."""
    return tuple(name for name in sorted(properties) if not _USUAL.fullmatch(name))

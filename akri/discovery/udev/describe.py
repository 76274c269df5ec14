"""What becomes of kernel devices that the rules select: a device with its nodes, and with properties that tell equal ones apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from akri.core.device import Device, DeviceNode
from akri.core.ids import DeviceId
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.kernel import KernelDevice, line

__all__ = [
    "IDENTITY_ATTRIBUTES",
    "IDENTITY_PROPERTIES",
    "PROPERTY_DEVNODE",
    "PROPERTY_DEVPATH",
    "describe",
    "pci_function",
]

PROPERTY_DEVPATH: Final = "UDEV_DEVPATH"
"""Property of each device: its path in sysfs, without /sys; its id as well."""
PROPERTY_DEVNODE: Final = "UDEV_DEVNODE"
"""Property of each device that has a device node; grouped devices count them: UDEV_DEVNODE_0, _1, ..."""
_SERIAL: Final = "UDEV_SERIAL"
_VENDOR: Final = "UDEV_VENDOR"
_MODEL: Final = "UDEV_MODEL"
_VENDOR_ID: Final = "UDEV_VENDOR_ID"
_MODEL_ID: Final = "UDEV_MODEL_ID"
_MAC: Final = "UDEV_MAC_ADDRESS"
_IDS: Final = frozenset({_VENDOR_ID, _MODEL_ID})
_FROM_SYSFS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({
    "usb": {_SERIAL: "serial", _VENDOR: "manufacturer", _MODEL: "product", _VENDOR_ID: "idVendor", _MODEL_ID: "idProduct"},
    "pci": {_VENDOR_ID: "vendor", _MODEL_ID: "device"},
    "scsi": {_VENDOR: "vendor", _MODEL: "model"},
    "nvme": {_SERIAL: "serial", _MODEL: "model"},
    "mmc": {_SERIAL: "serial", _MODEL: "name", _VENDOR_ID: "manfid"},
    "block": {_SERIAL: "serial"},
    "net": {_MAC: "address"},
})  # fmt: skip
"""Which attribute of which subsystem's devices says what; the nearest one counts."""
_FROM_DATABASE: Final[Mapping[str, str]] = MappingProxyType({
    _SERIAL: "ID_SERIAL_SHORT", _VENDOR: "ID_VENDOR", _MODEL: "ID_MODEL", _VENDOR_ID: "ID_VENDOR_ID", _MODEL_ID: "ID_MODEL_ID",
})  # fmt: skip
"""What udev's database says where sysfs says nothing."""
IDENTITY_ATTRIBUTES: Final = frozenset(name for names in _FROM_SYSFS.values() for name in names.values())
"""Attributes to read of selected devices and their ancestors."""
IDENTITY_PROPERTIES: Final = frozenset(_FROM_DATABASE.values())
"""Properties to read of selected devices."""
_WHOLE: Final = frozenset({"pci", "mmc"})
"""Subsystems whose devices are pieces of hardware of their own: what is above them, a bus or a bridge, says nothing of the device."""
_LONGEST: Final = 256
_NO_MAC: Final = "00:00:00:00:00:00"
_USB_NODE: Final = re.compile(r"/dev/bus/usb/(\d+)/(\d+)")
_VFIO: Final = "/dev/vfio"


def describe(details: UdevDetails, devices: Mapping[str, KernelDevice], top: str, members: Sequence[str]) -> Device:
    """Make a device of what the rules selected: `top` gives the id, all `members` (itself among them) give nodes."""
    nodes = list(dict.fromkeys(node for member in members if (node := _node(devices, member))))
    properties = {PROPERTY_DEVPATH: top, **_identity(devices, top), **_resources(details, devices, members)}
    for index, node in enumerate(nodes):
        properties[f"{PROPERTY_DEVNODE}_{index}" if details.group_recursive else PROPERTY_DEVNODE] = node
    nodes += [node for node in _vfio_nodes(details, devices, members) if node not in nodes]
    return Device(DeviceId(top), properties, device_nodes=tuple(DeviceNode(node, node, details.permissions) for node in nodes))


def pci_function(devices: Mapping[str, KernelDevice], devpath: str) -> KernelDevice | None:
    """Give the PCI function that a device is, or is a part of; None for what is plugged into a USB controller."""
    for device in line(devices, devpath):
        if device.subsystem == "usb":
            return None
        if device.subsystem == "pci":
            return device
    return None


def _node(devices: Mapping[str, KernelDevice], devpath: str) -> str:
    return next((device.node for device in line(devices, devpath) if device.node), "")


def _identity(devices: Mapping[str, KernelDevice], devpath: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for device in line(devices, devpath):
        for name, attribute in _FROM_SYSFS.get(device.subsystem, {}).items():
            _keep(found, name, device.attributes.get(attribute, ""))
        if device.subsystem in _WHOLE or (device.subsystem == "usb" and _VENDOR_ID in found):
            break
    for name, key in _FROM_DATABASE.items():
        _keep(found, name, devices[devpath].properties.get(key, ""))
    return found


def _keep(found: dict[str, str], name: str, raw: str) -> None:
    """Keep the first text that says something: printable, without blanks around, ids as lower-case digits."""
    text = "".join(c for c in raw if c.isprintable()).strip()[:_LONGEST]
    if name in _IDS:
        text = text.lower().removeprefix("0x")
    if text and text != _NO_MAC:
        found.setdefault(name, text)


def _resources(details: UdevDetails, devices: Mapping[str, KernelDevice], members: Sequence[str]) -> dict[str, str]:
    """Give the variables in which KubeVirt looks for addresses: USB_RESOURCE_<NAME>=bus:device, PCI_RESOURCE_<NAME>=address."""
    name = details.passthrough.resource_name
    if not name:
        return {}
    found: dict[str, list[str]] = {}
    for member in members:
        for prefix, address in _addresses(devices, member):
            found.setdefault(prefix, []).append(address)
    suffix = name.replace(".", "_").replace("/", "_").upper()
    return {f"{prefix}_{suffix}": ",".join(dict.fromkeys(addresses)) for prefix, addresses in found.items()}


def _addresses(devices: Mapping[str, KernelDevice], member: str) -> Iterator[tuple[str, str]]:
    usb = _USB_NODE.fullmatch(_node(devices, member))
    if usb:
        yield "USB_RESOURCE", f"{int(usb[1])}:{int(usb[2])}"
        return
    function = pci_function(devices, member)
    if function is not None:
        yield "PCI_RESOURCE", function.name


def _vfio_nodes(details: UdevDetails, devices: Mapping[str, KernelDevice], members: Sequence[str]) -> list[str]:
    """Give the nodes through which a virtual machine takes PCI functions over: the container's, and one for each IOMMU group."""
    if not details.passthrough.vfio:
        return []
    functions = [pci_function(devices, member) for member in members]
    groups = dict.fromkeys(function.iommu_group for function in functions if function is not None and function.iommu_group)
    return [f"{_VFIO}/vfio", *(f"{_VFIO}/{group}" for group in groups)] if groups else []

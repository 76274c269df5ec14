"""Which kernel devices the rules select, and what becomes of them. Pure: kernel devices in, a snapshot out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from attrs import field, frozen

from akri.core.device import Device, DeviceNode, frozen_mapping
from akri.core.ids import DeviceId
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.rules import Condition, Key, Rule
from akri.discovery.udev.uevent import Uevent

__all__ = ["PROPERTY_DEVNODE", "PROPERTY_DEVPATH", "KernelDevice", "Scan", "may_concern", "may_match", "names", "snapshot"]

PROPERTY_DEVPATH: Final = "UDEV_DEVPATH"
"""Property of each device: its path in sysfs, without /sys; its id as well."""
PROPERTY_DEVNODE: Final = "UDEV_DEVNODE"
"""Property of each device that has a device node; grouped devices count them: UDEV_DEVNODE_0, _1, ..."""

_NAMES: Final = frozenset({Key.DEVPATH, Key.KERNEL, Key.SUBSYSTEM})


@frozen
class KernelDevice:
    """A device as sysfs shows it, reduced to what the rules ask for.

    devpath: path without /sys. node: its device node, "" without one. parent: devpath of the nearest ancestor that is a
    device, "" without one. properties, attributes: only the ones that a rule names; a missing key is one the device lacks.
    """

    devpath: str
    subsystem: str = ""
    driver: str = ""
    node: str = ""
    parent: str = ""
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    attributes: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)

    @property
    def name(self) -> str:
        """The kernel's name for it, the last part of its path; '!' stands for '/' there."""
        return self.devpath.rpartition("/")[2].replace("!", "/")


def _by_devpath(value: Mapping[str, KernelDevice]) -> Mapping[str, KernelDevice]:
    return MappingProxyType(dict(value))


@frozen
class Scan:
    """One look at sysfs. present: devpath of everything there. devices: candidates and their ancestors, by devpath."""

    present: frozenset[str] = frozenset()
    candidates: tuple[str, ...] = ()
    devices: Mapping[str, KernelDevice] = field(factory=dict[str, KernelDevice], converter=_by_devpath, hash=False)


def names(rules: Iterable[Rule], keys: Iterable[Key]) -> frozenset[str]:
    """List what the rules name in braces after these keys: attributes or properties that must be read."""
    wanted = frozenset(keys)
    return frozenset(condition.name for rule in rules for condition in rule.conditions if condition.key in wanted)


def may_match(rules: Iterable[Rule], devpath: str, subsystem: str) -> bool:
    """Tell from its names alone whether a rule could select a device, so that nothing else of most devices is read."""
    device = KernelDevice(devpath, subsystem)
    return any(all(_holds(c, device) for c in rule.own if c.key in _NAMES) for rule in rules)


def may_concern(rules: Iterable[Rule], scan: Scan, event: Uevent) -> bool:
    """Tell whether news about a device can change the answer: a possible match, or an ancestor of one."""
    return event.devpath in scan.devices or may_match(rules, event.devpath, event.subsystem)


def snapshot(details: UdevDetails, scan: Scan, former: Snapshot, note: str = "") -> Snapshot:
    """Select and describe. Devices of `former` that are no longer in sysfs are certainly gone. The report carries `note`."""
    dropped: dict[str, int] = {}
    matches: list[str] = []
    for devpath in sorted(scan.candidates):
        failed = _failed(details.rules, scan.devices, devpath)
        if failed is None:
            matches.append(devpath)
        else:
            dropped[failed] = dropped.get(failed, 0) + 1
    groups = _groups(matches) if details.group_recursive else [(devpath, [devpath]) for devpath in matches]
    devices = tuple(_device(details, scan.devices, top, members) for top, members in groups)
    ids = {device.id for device in devices}
    gone = tuple(device.id for device in former.devices if device.id not in ids and device.id not in scan.present)
    nothing = "" if scan.candidates else "no device has the names that the rules ask for"
    report = SourceReport(len(scan.candidates), dropped, "; ".join(text for text in (nothing, note) if text))
    return Snapshot(devices, report, gone)


def _failed(rules: Sequence[Rule], devices: Mapping[str, KernelDevice], devpath: str) -> str | None:
    """Name the first condition that drops a device, None for a match. Of several rules the one that got furthest speaks."""
    furthest, reason = -1, ""
    for index, rule in enumerate(rules):
        passed, failed = _progress(rule, devices, devpath)
        if failed is None:
            return None
        if passed > furthest:
            furthest, reason = passed, f"udevRules[{index}]: {failed}"
    return reason


def _progress(rule: Rule, devices: Mapping[str, KernelDevice], devpath: str) -> tuple[int, str | None]:
    device = devices[devpath]
    for passed, condition in enumerate(rule.own):
        if not _holds(condition, device):
            return passed, str(condition)
    if any(all(_holds(condition, one) for condition in rule.inherited) for one in _line(devices, devpath)):
        return len(rule.conditions), None
    return len(rule.own), " and ".join(str(condition) for condition in rule.inherited)


def _line(devices: Mapping[str, KernelDevice], devpath: str) -> Iterator[KernelDevice]:
    """Give the device, its parent, and so on upwards."""
    device = devices.get(devpath)
    while device is not None:
        yield device
        device = devices.get(device.parent)


def _holds(condition: Condition, device: KernelDevice) -> bool:
    values = _values(condition, device)
    if values is None:
        return False
    return condition.equal == any(condition.pattern.matches(value) for value in values)


def _values(condition: Condition, device: KernelDevice) -> Iterable[str] | None:
    """Give what a condition compares. As in udev: a missing attribute fails == and != alike, other missing values are empty."""
    match condition.key:
        case Key.ATTR | Key.ATTRS:
            return _attribute(condition, device)
        case Key.TAG | Key.TAGS:
            return device.tags
        case Key.DEVPATH:
            return (device.devpath,)
        case Key.DRIVER | Key.DRIVERS:
            return (device.driver,)
        case Key.ENV:
            return (device.properties.get(condition.name, ""),)
        case Key.KERNEL | Key.KERNELS:
            return (device.name,)
        case Key.SUBSYSTEM | Key.SUBSYSTEMS:
            return (device.subsystem,)
    assert_never(condition.key)


def _attribute(condition: Condition, device: KernelDevice) -> Iterable[str] | None:
    value = device.attributes.get(condition.name)
    if value is None:
        return None
    # Blanks at the end of an attribute count only if the pattern ends in one.
    return (value if condition.pattern.text[-1:].isspace() else value.rstrip(),)


def _groups(matches: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Put each match to the topmost match that it lies below. `matches` is sorted, so an ancestor comes first."""
    groups: dict[str, list[str]] = {}
    for devpath in matches:
        parts = devpath.split("/")
        above = ("/".join(parts[:length]) for length in range(1, len(parts)))
        top = next((path for path in above if path in groups), devpath)
        groups.setdefault(top, []).append(devpath)
    return list(groups.items())


def _device(details: UdevDetails, devices: Mapping[str, KernelDevice], top: str, members: Sequence[str]) -> Device:
    nodes = list(dict.fromkeys(node for member in members if (node := _node(devices, member))))
    properties = {PROPERTY_DEVPATH: top}
    for index, node in enumerate(nodes):
        properties[f"{PROPERTY_DEVNODE}_{index}" if details.group_recursive else PROPERTY_DEVNODE] = node
    return Device(DeviceId(top), properties, device_nodes=tuple(DeviceNode(node, node, details.permissions) for node in nodes))


def _node(devices: Mapping[str, KernelDevice], devpath: str) -> str:
    return next((device.node for device in _line(devices, devpath) if device.node), "")

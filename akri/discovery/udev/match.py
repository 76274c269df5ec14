"""Which kernel devices the rules select, and what becomes of them. Pure: kernel devices in, a snapshot out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never

from akri.discovery.snapshot import Snapshot, SourceReport
from akri.discovery.udev.describe import describe, pci_function
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.kernel import KernelDevice, Scan, line
from akri.discovery.udev.rules import Condition, Key, Rule
from akri.discovery.udev.uevent import Uevent

__all__ = ["holds", "may_concern", "may_match", "names", "narrowed", "selected", "snapshot", "value_of"]

_COMPARED: Final = 511
"""Bytes of an attribute that udev compares after it has cut off blanks."""
_BLANKS: Final = " \t\n\r"
_SAME_TO_LIBUDEV: Final = re.compile(r"[A-Za-z0-9_.*?-]+")
_NAMES: Final = frozenset({Key.DEVPATH, Key.KERNEL, Key.SUBSYSTEM})


def names(rules: Iterable[Rule], keys: Iterable[Key]) -> frozenset[str]:
    """List what the rules name in braces after these keys: attributes or properties that must be read."""
    wanted = frozenset(keys)
    return frozenset(condition.name for rule in rules for condition in rule.conditions if condition.key in wanted)


def narrowed(rules: Iterable[Rule], key: Key) -> frozenset[str]:
    """List patterns, of which libudev means the same, one of which the name of each selected device matches; empty: it may be any.

    key: SUBSYSTEM or KERNEL. A device that stays selected keeps both names, so what they leave out is not looked for either.
    """
    found: set[str] = set()
    for rule in rules:
        compared = (condition.pattern.text.split("|") for condition in rule.own if condition.key is key and condition.equal)
        plain = next((parts for parts in compared if all(map(_SAME_TO_LIBUDEV.fullmatch, parts))), None)
        if plain is None:
            return frozenset()
        found.update(plain)
    return frozenset(found)


def may_match(rules: Iterable[Rule], devpath: str, subsystem: str) -> bool:
    """Tell from its names alone whether a rule could select a device, so that nothing else of most devices is read."""
    device = KernelDevice(devpath, subsystem)
    return any(all(holds(c, device) for c in rule.own if c.key in _NAMES) for rule in rules)


def may_concern(rules: Iterable[Rule], scan: Scan, event: Uevent) -> bool:
    """Tell whether news about a device can change the answer: a possible match, or an ancestor of one."""
    return event.devpath in scan.devices or may_match(rules, event.devpath, event.subsystem)


def selected(rules: Sequence[Rule], scan: Scan) -> tuple[str, ...]:
    """List the candidates that a rule selects, in the order of their paths."""
    return tuple(path for path in sorted(scan.candidates) if any(_progress(rule, scan.devices, path)[1] is None for rule in rules))


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
    devices = tuple(describe(details, scan.devices, top, members) for top, members in groups)
    ids = {device.id for device in devices}
    gone = tuple(device.id for device in former.devices if device.id not in ids and device.id not in scan.present)
    nothing = "" if scan.candidates else "no device has the names that the rules ask for"
    texts = (nothing, _without_iommu(details, scan, matches), note)
    return Snapshot(devices, SourceReport(len(scan.candidates), dropped, "; ".join(text for text in texts if text)), gone)


def _without_iommu(details: UdevDetails, scan: Scan, matches: Sequence[str]) -> str:
    """Say which device vfioPassthrough can do nothing for."""
    if not details.passthrough.vfio:
        return ""
    functions = ((path, pci_function(scan.devices, path)) for path in matches)
    lacking = [path for path, function in functions if function is None or not function.iommu_group]
    return f"vfioPassthrough: {len(lacking)} devices have no IOMMU group, {lacking[0]} for one" if lacking else ""


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
        if not holds(condition, device):
            return passed, str(condition)
    if any(all(holds(condition, one) for condition in rule.inherited) for one in line(devices, devpath)):
        return len(rule.conditions), None
    return len(rule.own), " and ".join(str(condition) for condition in rule.inherited)


def holds(condition: Condition, device: KernelDevice) -> bool:
    """Tell whether a condition holds of this very device; ancestors are not looked at."""
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


def value_of(condition: Condition, device: KernelDevice) -> str | None:
    """Print what a condition compares: None for a missing attribute, tags with commas between."""
    values = _values(condition, device)
    return None if values is None else ", ".join(sorted(values))


def _attribute(condition: Condition, device: KernelDevice) -> Iterable[str] | None:
    value = device.attributes.get(condition.name)
    if value is None:
        return None
    if condition.pattern.keeps_blanks:
        return (value,)
    # As in udev: blanks at the end count only if the pattern ends in one; where they do not, 511 bytes are compared.
    content = value.encode("utf-8", "surrogateescape")[:_COMPARED]
    return (content.decode("utf-8", "surrogateescape").rstrip(_BLANKS),)


def _groups(matches: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Put each match to the topmost match that it lies below. `matches` is sorted, so an ancestor comes first."""
    groups: dict[str, list[str]] = {}
    for devpath in matches:
        parts = devpath.split("/")
        above = ("/".join(parts[:length]) for length in range(1, len(parts)))
        top = next((path for path in above if path in groups), devpath)
        groups.setdefault(top, []).append(devpath)
    return list(groups.items())

"""Judges answers of a handler: values in, what is wrong out, "" for nothing. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from akri.core.device import Device, device_problems
from akri.core.errors import Problem, short
from akri.core.ids import DeviceId
from akri.discovery.snapshot import Snapshot

__all__ = ["changed_devices", "different_ids", "duplicates", "faulty_devices", "news_without_change"]

_LISTED = 3


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return "; ".join(every[:_LISTED]) + more


def duplicates(answers: Iterable[Snapshot]) -> str:
    """Find ids that are in one answer more than once."""
    for answer in answers:
        several = [f"{short(one)} {count} times" for one, count in Counter(d.id for d in answer.devices).items() if count > 1]
        if several:
            return f"in one answer {_listed(several)}"
    return ""


def faulty_devices(answers: Iterable[Snapshot], *places: str) -> str:
    """Find devices with a problem at one of `places`: the beginnings of `id`, `properties.X`, `mounts[0].hostPath`, `permissions`."""
    found: dict[str, None] = {}
    for answer in answers:
        for problem in answer.problems:
            if problem.place.rpartition(".")[2].startswith(places):
                found[str(problem)] = None
        for device in answer.devices:
            found |= {_of(device, problem): None for problem in device_problems(device) if problem.place.startswith(places)}
    return _listed(found)


def _of(device: Device, problem: Problem) -> str:
    return f"device {short(device.id, 40)}: {problem}"


def news_without_change(answers: Sequence[Snapshot]) -> str:
    """Find an answer that says no more than the one before it."""
    for number, (before, after) in enumerate(pairwise(answers), 2):
        if before.report != after.report or after.gone_ids or before.problems or after.problems:
            continue
        if before.devices == after.devices:
            return f"answer {number} says what answer {number - 1} said"
        if _in_order(before) == _in_order(after):
            return f"answer {number} holds the devices of answer {number - 1} in another order"
    return ""


def _in_order(answer: Snapshot) -> list[str]:
    return sorted(repr(device) for device in answer.devices)


def different_ids(first: Snapshot, second: Snapshot) -> str:
    """Say in what the ids of two answers differ."""
    one, two = ({device.id for device in answer.devices} for answer in (first, second))
    sides = (("the one", one - two), ("the other", two - one))
    parts = [f"only in {where}: {_listed(sorted(map(short, ids)))}" for where, ids in sides if ids]
    return f"of {len(one)} and {len(two)} ids {', '.join(parts)}" if parts else ""


def changed_devices(first: Snapshot, second: Snapshot) -> str:
    """Say which devices with the same id differ in two answers, and in what."""
    before = {device.id: device for device in first.devices}
    return _listed(_difference(before[device.id], device) for device in second.devices if before.get(device.id, device) != device)


def _difference(one: Device, two: Device) -> str:
    names = sorted({*one.properties, *two.properties})
    parts = [
        f"{short(name, 40)} was {short(one.properties.get(name), 40)} and then {short(two.properties.get(name), 40)}"
        for name in names
        if one.properties.get(name) != two.properties.get(name)
    ]
    if one.mounts != two.mounts:
        parts.append("its mounts differ")
    if one.device_nodes != two.device_nodes:
        parts.append("its device nodes differ")
    return f"device {_name(one.id)}: {', '.join(parts)}"


def _name(device: DeviceId) -> str:
    return short(device, 40)

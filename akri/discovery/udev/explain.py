"""Why a device is not found: for each device, which part of which rule turned it away. Pure."""

from __future__ import annotations

from attrs import frozen

from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.kernel import KernelDevice, Scan, line
from akri.discovery.udev.match import holds, value_of
from akri.discovery.udev.rules import Condition, Rule

__all__ = ["Explanation", "Part", "Rejection", "explain"]


@frozen
class Part:
    """One condition that does not hold. text: as the rule has it. found: what the device has instead, None for nothing at all."""

    text: str
    found: str | None

    def __str__(self) -> str:
        """Print both: `ATTR{size}=="8": found "0"`."""
        return f"{self.text}: " + ("the device has none" if self.found is None else f'found "{self.found}"')


@frozen
class Rejection:
    """Why one rule turned a device away.

    rule: its place in udevRules, counted from 0. parts: conditions that the device itself does not meet. above: the conditions
    with plural keys if no single device, from it up to the topmost ancestor, meets all of them; `nearest` is the devpath of the
    one that meets most, and `above` lists what that one lacks.
    """

    rule: int
    parts: tuple[Part, ...] = ()
    above: tuple[Part, ...] = ()
    nearest: str = ""

    def __str__(self) -> str:
        """Print in one line: `udevRules[0]: ATTR{size}=="8": found "0"`."""
        texts = [str(part) for part in self.parts]
        if self.above:
            lacking = "; ".join(str(part) for part in self.above)
            texts.append(f"no device from it upwards meets all plural keys, {self.nearest} comes closest: {lacking}")
        return f"udevRules[{self.rule}]: " + "; ".join(texts)


@frozen
class Explanation:
    """What became of one device. selected_by: the first rule that selects it, None if each of them turned it away."""

    devpath: str
    selected_by: int | None
    rejections: tuple[Rejection, ...]

    @property
    def nearest_rule(self) -> int:
        """The rule that the device fails in the fewest conditions; the first of equals. 0 if there is none."""
        return min(self.rejections, key=lambda one: (len(one.parts) + len(one.above), one.rule), default=Rejection(0)).rule


def explain(details: UdevDetails, scan: Scan) -> tuple[Explanation, ...]:
    """Say of each candidate of a scan, in the order of their paths, which rule selects it and why the others do not.

    To hear of every device of the machine, take the scan with `akri.discovery.udev.source.scan_devices(details, everything=True)`.
    """
    return tuple(_explanation(details, scan, devpath) for devpath in sorted(scan.candidates))


def _explanation(details: UdevDetails, scan: Scan, devpath: str) -> Explanation:
    rejections: list[Rejection] = []
    selected: int | None = None
    for index, rule in enumerate(details.rules):
        rejection = _rejection(index, rule, scan, devpath)
        if rejection is not None:
            rejections.append(rejection)
        elif selected is None:
            selected = index
    return Explanation(devpath, selected, tuple(rejections))


def _rejection(index: int, rule: Rule, scan: Scan, devpath: str) -> Rejection | None:
    parts = _lacking(rule.own, scan.devices[devpath])
    lacking = [(_lacking(rule.inherited, one), one.devpath) for one in line(scan.devices, devpath)]
    above, nearest = min(lacking, key=lambda one: len(one[0]))
    if not parts and not above:
        return None
    return Rejection(index, parts, above, nearest if above else "")


def _lacking(conditions: tuple[Condition, ...], device: KernelDevice) -> tuple[Part, ...]:
    return tuple(Part(condition.text, value_of(condition, device)) for condition in conditions if not holds(condition, device))

"""An explanation names the part of the rule that is to blame, and agrees with what is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.explain import Explanation, Part, Rejection, explain
from akri.discovery.udev.kernel import KernelDevice, Scan
from akri.discovery.udev.match import snapshot
from akri.discovery.udev.rules import parse_rule

STICK = KernelDevice("/devices/usb1", "usb", "usb-storage", attributes={"idVendor": "0bdd"}, tags=frozenset({"b", "a"}))
DISK = KernelDevice("/devices/usb1/disk", "block", "", "/dev/sda", "/devices/usb1", attributes={"size": "8"})
SCAN = Scan(frozenset({STICK.devpath, DISK.devpath}), (DISK.devpath, STICK.devpath), {one.devpath: one for one in (STICK, DISK)})
RULES = (
    'SUBSYSTEM=="block", ATTR{size}=="8"',
    'SUBSYSTEM=="block", ATTR{size}!="8", ENV{ID_FS}=="ext4"',
    'ATTRS{idVendor}=="0bdd", SUBSYSTEMS=="block"',
    'ATTRS{idVendor}=="0bdd", TAGS=="c"',
    'KERNEL=="usb1|disk"',
)


def explained(*rules: str) -> tuple[Explanation, ...]:
    return explain(UdevDetails(tuple(parse_rule(rule) for rule in rules)), SCAN)


def test_names_each_part_and_what_was_found_instead() -> None:
    usb, disk = explained(*RULES[:4])
    assert (usb.devpath, usb.selected_by) == (STICK.devpath, None)
    assert (disk.devpath, disk.selected_by) == (DISK.devpath, 0)
    assert usb.rejections[0] == Rejection(0, (Part('SUBSYSTEM=="block"', "usb"), Part('ATTR{size}=="8"', None)))
    assert disk.rejections == (
        Rejection(1, (Part('ATTR{size}!="8"', "8"), Part('ENV{ID_FS}=="ext4"', ""))),
        Rejection(2, (), (Part('ATTRS{idVendor}=="0bdd"', None),), DISK.devpath),
        Rejection(3, (), (Part('TAGS=="c"', "a, b"),), STICK.devpath),
    )


def test_prints_for_people() -> None:
    usb, disk = explained(*RULES[:4])
    assert str(usb.rejections[0]) == 'udevRules[0]: SUBSYSTEM=="block": found "usb"; ATTR{size}=="8": the device has none'
    assert str(disk.rejections[2]) == (
        'udevRules[3]: no device from it upwards meets all plural keys, /devices/usb1 comes closest: TAGS=="c": found "a, b"'
    )


def test_the_nearest_rule_is_the_one_with_the_fewest_failures() -> None:
    usb, disk = explained(*RULES[:4])
    assert (usb.nearest_rule, disk.nearest_rule) == (2, 2)
    assert Explanation("/devices/x", 0, ()).nearest_rule == 0


@given(st.lists(st.sampled_from(RULES), max_size=4))
def test_agrees_with_what_is_found(rules: list[str]) -> None:
    found = {device.id for device in snapshot(UdevDetails(tuple(parse_rule(rule) for rule in rules)), SCAN, Snapshot()).devices}
    explanations = explained(*rules)
    assert {one.devpath for one in explanations if one.selected_by is not None} == found
    for one in explanations:
        rejecting = {rejection.rule for rejection in one.rejections}
        assert one.selected_by == next((index for index in range(len(rules)) if index not in rejecting), None)

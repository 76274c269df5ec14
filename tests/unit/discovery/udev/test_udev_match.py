"""Which devices the rules select, against a reading of udev(7) that is as simple as can be; and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.device import Device, DeviceNode
from akri.core.ids import DeviceId
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.kernel import KernelDevice, Scan
from akri.discovery.udev.match import may_concern, may_match, names, narrowed, selected, snapshot
from akri.discovery.udev.pattern import Pattern
from akri.discovery.udev.rules import Condition, Key, Rule, parse_rule
from akri.discovery.udev.uevent import Uevent

WORDS = st.sampled_from(["a", "b", ""])
NAMED = {Key.ATTR, Key.ATTRS, Key.ENV}
SINGULAR = {Key.ATTRS: Key.ATTR, Key.DRIVERS: Key.DRIVER, Key.KERNELS: Key.KERNEL, Key.SUBSYSTEMS: Key.SUBSYSTEM, Key.TAGS: Key.TAG}


def scan_of(*devices: KernelDevice) -> Scan:
    by_path = {device.devpath: device for device in devices}
    return Scan(frozenset(by_path), tuple(by_path), by_path)


def found(scan: Scan, *rules: str, grouped: bool = False, former: Snapshot | None = None) -> Snapshot:
    details = UdevDetails(tuple(parse_rule(rule) for rule in rules), grouped, "rw")
    return snapshot(details, scan, former or Snapshot())


def ids(answer: Snapshot) -> list[str]:
    return [device.id for device in answer.devices]


@st.composite
def forests(draw: st.DrawFn) -> Scan:
    devices: list[KernelDevice] = []
    for _ in range(draw(st.integers(0, 6))):
        parent = draw(st.sampled_from(["", *(device.devpath for device in devices)]))
        devpath = f"{parent}/{draw(st.sampled_from('ab'))}"
        texts = st.dictionaries(st.sampled_from(["x", "y"]), WORDS, max_size=2)
        devices.append(
            KernelDevice(
                devpath,
                draw(WORDS),
                draw(WORDS),
                draw(st.sampled_from(["", f"/dev{devpath}"])),
                parent,
                draw(st.frozensets(st.sampled_from(["a", "b"]))),
                draw(texts),
                draw(texts),
            )
        )
    scan = scan_of(*devices)
    chosen = draw(st.permutations(scan.candidates))
    return Scan(scan.present, tuple(chosen), scan.devices)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    def condition(key: Key) -> Condition:
        name = draw(st.sampled_from(["x", "y"])) if key in NAMED else ""
        text = draw(st.sampled_from(["a", "b", "", "?*", "a|b", "/a*"]))
        return Condition(key, name, draw(st.booleans()), Pattern(text))

    return Rule.of(condition(key) for key in draw(st.lists(st.sampled_from(Key), min_size=1, max_size=4)))


def holds(condition: Condition, device: KernelDevice) -> bool:
    values = {
        Key.ATTR: {device.attributes[condition.name]} if condition.name in device.attributes else None,
        Key.DEVPATH: {device.devpath},
        Key.DRIVER: {device.driver},
        Key.ENV: {device.properties.get(condition.name, "")},
        Key.KERNEL: {device.name},
        Key.SUBSYSTEM: {device.subsystem},
        Key.TAG: set(device.tags),
    }[SINGULAR.get(condition.key, condition.key)]
    if values is None:
        return False
    matching = {value for value in values if condition.pattern.matches(value)}
    return bool(matching) if condition.equal else not matching


def selects(rule: Rule, device: KernelDevice, devices: Mapping[str, KernelDevice]) -> bool:
    ancestors = [other for path, other in devices.items() if device.devpath == path or device.devpath.startswith(f"{path}/")]
    here = all(holds(condition, device) for condition in rule.conditions if condition.key not in SINGULAR)
    above = any(all(holds(condition, one) for condition in rule.conditions if condition.key in SINGULAR) for one in ancestors)
    return here and above


@given(forests(), st.lists(rules(), max_size=3))
def test_selects_what_udev_would(scan: Scan, some_rules: list[Rule]) -> None:
    answer = snapshot(UdevDetails(tuple(some_rules)), scan, Snapshot())
    expected = sorted(path for path, device in scan.devices.items() if any(selects(rule, device, scan.devices) for rule in some_rules))
    assert ids(answer) == expected
    assert answer.report is not None
    assert answer.report.candidates == len(scan.candidates)
    assert sum(answer.report.dropped.values()) == len(scan.candidates) - len(expected)


@given(forests(), st.lists(rules(), min_size=1, max_size=3))
def test_names_alone_never_drop_a_device_that_is_selected(scan: Scan, some_rules: list[Rule]) -> None:
    for device in snapshot(UdevDetails(tuple(some_rules)), scan, Snapshot()).devices:
        assert may_match(some_rules, device.id, scan.devices[device.id].subsystem)


@given(forests(), st.lists(rules(), max_size=3), st.booleans())
def test_the_order_of_a_scan_does_not_count(scan: Scan, some_rules: list[Rule], grouped: bool) -> None:
    details = UdevDetails(tuple(some_rules), grouped)
    turned = Scan(scan.present, tuple(reversed(scan.candidates)), dict(reversed(list(scan.devices.items()))))
    assert snapshot(details, scan, Snapshot()) == snapshot(details, turned, Snapshot())


@given(forests(), st.lists(rules(), max_size=3))
def test_groups_hold_each_match_once(scan: Scan, some_rules: list[Rule]) -> None:
    single = snapshot(UdevDetails(tuple(some_rules)), scan, Snapshot())
    grouped = snapshot(UdevDetails(tuple(some_rules), group_recursive=True), scan, Snapshot())
    tops = [path for path in ids(single) if not any(path.startswith(f"{other}/") for other in ids(single))]
    assert ids(grouped) == tops
    nodes = {node.host_path for device in single.devices for node in device.device_nodes}
    assert {node.host_path for device in grouped.devices for node in device.device_nodes} == nodes


DISK = KernelDevice("/devices/usb1/disk", "block", "", "/dev/sda", "/devices/usb1", attributes={"size": "8 \n", "removable": "1"})
STICK = KernelDevice("/devices/usb1", "usb", "usb-storage", "/dev/bus/usb/001/002", attributes={"idVendor": "0bdd"})
PART = KernelDevice("/devices/usb1/disk/part", "block", "", "/dev/sda1", "/devices/usb1/disk")
QUEUE = KernelDevice("/devices/usb1/disk/queue", "mq", "", "", "/devices/usb1/disk")
ALL = scan_of(DISK, STICK, PART, QUEUE)


def test_a_device_becomes_its_path_and_its_node() -> None:
    answer = found(ALL, 'KERNEL=="disk"')
    node = DeviceNode("/dev/sda", "/dev/sda", "rw")
    properties = {"UDEV_DEVPATH": "/devices/usb1/disk", "UDEV_DEVNODE": "/dev/sda", "UDEV_VENDOR_ID": "0bdd"}
    assert answer.devices == (Device(DeviceId("/devices/usb1/disk"), properties, device_nodes=(node,)),)


def test_a_match_without_a_node_takes_the_nearest_ancestors() -> None:
    (device,) = found(ALL, 'SUBSYSTEM=="mq"').devices
    assert device.properties["UDEV_DEVNODE"] == "/dev/sda"


def test_without_any_node_there_is_none() -> None:
    (device,) = found(scan_of(KernelDevice("/devices/x", "y")), 'KERNEL=="x"').devices
    assert dict(device.properties) == {"UDEV_DEVPATH": "/devices/x"}
    assert device.device_nodes == ()


def test_groups_count_their_nodes() -> None:
    (device,) = found(ALL, 'SUBSYSTEM=="block|mq"', grouped=True).devices
    assert dict(device.properties) == {
        "UDEV_DEVPATH": "/devices/usb1/disk",
        "UDEV_DEVNODE_0": "/dev/sda",
        "UDEV_DEVNODE_1": "/dev/sda1",
        "UDEV_VENDOR_ID": "0bdd",
    }
    assert [node.host_path for node in device.device_nodes] == ["/dev/sda", "/dev/sda1"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('SUBSYSTEM=="block", ATTRS{idVendor}=="0bdd"', ["/devices/usb1/disk", "/devices/usb1/disk/part"]),
        ('SUBSYSTEM=="block", ATTRS{idVendor}=="0bdd", DRIVERS=="usb-storage"', ["/devices/usb1/disk", "/devices/usb1/disk/part"]),
        ('SUBSYSTEM=="block", ATTRS{idVendor}=="0bdd", SUBSYSTEMS=="block"', []),
        ('ATTR{size}=="8"', ["/devices/usb1/disk"]),
        ('ATTR{size}=="8 "', []),
        ('ATTR{size}=="8*"', ["/devices/usb1/disk"]),
        ('ATTR{size}==""', []),
        ('ATTR{size}=="8|9 "', ["/devices/usb1/disk"]),
        ('ATTR{size}=="9 |8"', []),
        ('ATTR{idVendor}!="x"', ["/devices/usb1"]),
        ('ENV{ID_FS}!="x", KERNEL=="part"', ["/devices/usb1/disk/part"]),
        ('ENV{ID_FS}=="", KERNEL=="part"', ["/devices/usb1/disk/part"]),
        ('TAG!="x", KERNEL=="part"', ["/devices/usb1/disk/part"]),
        ('TAG=="*"', []),
    ],
)
def test_examples(rule: str, expected: list[str]) -> None:
    assert ids(found(ALL, rule)) == expected


def test_an_exclamation_mark_stands_for_a_slash_in_kernel_names() -> None:
    scan = scan_of(KernelDevice("/devices/cciss!c0d0", "block"))
    assert ids(found(scan, 'KERNEL=="cciss/c0d0"')) == ["/devices/cciss!c0d0"]


def test_the_first_511_bytes_of_an_attribute_count() -> None:
    scan = scan_of(KernelDevice("/devices/x", attributes={"long": "a" * 511 + "b"}))
    assert ids(found(scan, 'ATTR{long}=="*a"')) == ["/devices/x"]
    assert ids(found(scan, 'ATTR{long}=="*b"')) == []
    assert ids(found(scan, 'ATTR{long}=="*b| "')) == []
    assert ids(found(scan, 'ATTR{long}==" |*b"')) == ["/devices/x"]


def test_lists_what_is_selected() -> None:
    chosen = selected([parse_rule('KERNEL=="disk"'), parse_rule('TAG=="x"'), parse_rule('SUBSYSTEM=="block"')], ALL)
    assert chosen == ("/devices/usb1/disk", "/devices/usb1/disk/part")


def test_the_report_names_the_condition_that_dropped_a_device() -> None:
    answer = found(ALL, 'KERNEL=="part", ATTR{size}=="1"', 'SUBSYSTEM=="block|mq", DRIVERS=="x", TAGS=="y"', 'KERNEL=="usb1"')
    assert answer.report is not None
    assert dict(answer.report.dropped) == {"udevRules[0]: ATTR{size}": 1, "udevRules[1]: DRIVERS and TAGS": 2}
    assert answer.report.message == ""


def test_the_report_says_when_no_name_fits() -> None:
    nothing = snapshot(UdevDetails((parse_rule('KERNEL=="x"'),)), Scan(), Snapshot(), "no messages")
    assert nothing.report is not None
    assert nothing.report.message == "no device has the names that the rules ask for; no messages"


def test_only_what_left_sysfs_is_certainly_gone() -> None:
    former = found(ALL, 'SUBSYSTEM=="block"', 'KERNEL=="usb1"')
    present = scan_of(STICK, DISK)
    assert found(present, 'KERNEL=="usb1"', former=former).gone_ids == ("/devices/usb1/disk/part",)
    assert found(ALL, 'KERNEL=="usb1"', former=former).gone_ids == ()


def test_lists_what_must_be_read() -> None:
    some = [parse_rule('ATTR{size}=="1", ATTRS{idVendor}=="2", ENV{A}=="3"'), parse_rule('ENV{B}=="4", KERNEL=="5"')]
    assert names(some, (Key.ATTR, Key.ATTRS)) == {"size", "idVendor"}
    assert names(some, (Key.ENV,)) == {"A", "B"}


def test_news_concern_us_if_they_are_about_a_possible_match_or_its_ancestor() -> None:
    some = [parse_rule('SUBSYSTEM=="block", ATTRS{idVendor}=="0bdd"')]
    assert may_concern(some, ALL, Uevent("/devices/new", "block"))
    assert may_concern(some, ALL, Uevent("/devices/usb1", "usb"))
    assert not may_concern(some, ALL, Uevent("/devices/virtual/net/veth0", "net"))


@pytest.mark.parametrize(
    ("rules", "subsystems", "kernels"),
    [
        (['SUBSYSTEM=="video4linux"'], "video4linux", ""),
        (['SUBSYSTEM=="usb|block", KERNEL=="sd?"', 'KERNEL=="loop*", SUBSYSTEM=="block"'], "usb block", "sd? loop*"),
        (['SUBSYSTEM=="usb"', 'KERNEL=="sda"'], "", ""),
        (['SUBSYSTEM!="usb", SUBSYSTEMS=="usb", KERNELS=="1-1"'], "", ""),
        (['KERNEL=="cciss/*"'], "", ""),
        (['KERNEL=="[ab]*"', 'KERNEL=="c"'], "", ""),
        (['KERNEL=="a\\*|b?"'], "", ""),
        (['KERNEL=="a|"'], "", ""),
        (['KERNEL=="[ab]*", KERNEL=="a*"'], "", "a*"),
    ],
)
def test_names_that_all_rules_ask_for_narrow_the_look(rules: list[str], subsystems: str, kernels: str) -> None:
    parsed = [parse_rule(rule) for rule in rules]
    assert set(narrowed(parsed, Key.SUBSYSTEM)) == set(subsystems.split())
    assert narrowed([], Key.KERNEL) == frozenset()
    assert set(narrowed(parsed, Key.KERNEL)) == set(kernels.split())

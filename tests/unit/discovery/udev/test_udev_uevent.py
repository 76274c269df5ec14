"""Messages of the kernel and of udev name the device; other bytes do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.discovery.udev.uevent import Uevent, parse_uevent

KERNEL = (
    b"add@/devices/virtual/block/loop8\0ACTION=add\0DEVPATH=/devices/virtual/block/loop8\0SUBSYSTEM=block\0MAJOR=7\0MINOR=8\0SEQNUM=77\0"
)
UDEV = b"libudev\0\xfe\xed\xca\xfe\x28\0\0\0\x28\0\0\0" + KERNEL.partition(b"\0")[2]


@pytest.mark.parametrize(("message", "settled"), [(KERNEL, False), (UDEV, True)], ids=["kernel", "udev"])
def test_names_the_device_and_who_tells(message: bytes, settled: bool) -> None:
    assert parse_uevent(message) == Uevent("/devices/virtual/block/loop8", "block", "add", "b7:8", settled, 77)


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        (b"SUBSYSTEM=tty\0MAJOR=4\0MINOR=64", "c4:64"),
        (b"SUBSYSTEM=net\0IFINDEX=3", "n3"),
        (b"SUBSYSTEM=usb\0MAJOR=x", "+usb:a=b"),
        (b"SUBSYSTEM=../x", ""),
    ],
)
def test_names_the_record_in_the_database_of_udev(fields: bytes, record: str) -> None:
    event = parse_uevent(b"DEVPATH=/devices/a=b\0" + fields)
    assert event is not None
    assert event.record == record


@pytest.mark.parametrize("number", [b"", b"x", b"-1", b"9" * 21])
def test_a_strange_number_is_none(number: bytes) -> None:
    event = parse_uevent(b"DEVPATH=/devices/a\0SEQNUM=" + number)
    assert event is not None
    assert event.number == 0


def test_a_value_may_hold_an_equals_sign_and_a_subsystem_may_be_missing() -> None:
    assert parse_uevent(b"DEVPATH=/devices/a=b\0X=\0") == Uevent("/devices/a=b", record="+:a=b")


@given(st.binary())
def test_bytes_without_a_device_are_no_message(data: bytes) -> None:
    event = parse_uevent(data)
    assert (event is None) == (b"\0DEVPATH=" not in b"\0" + data)


@given(st.integers(0, len(KERNEL)), st.binary(max_size=20))
def test_a_cut_message_and_rubbish_behind_do_no_harm(length: int, rubbish: bytes) -> None:
    event = parse_uevent(KERNEL[:length] + b"\0" + rubbish.replace(b"DEVPATH", b""))
    assert event is None or "/devices/virtual/block/loop8".startswith(event.devpath)

"""Messages of the kernel and of udev name the device; other bytes do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.discovery.udev.uevent import Uevent, parse_uevent

KERNEL = b"add@/devices/virtual/block/loop8\0ACTION=add\0DEVPATH=/devices/virtual/block/loop8\0SUBSYSTEM=block\0MAJOR=7\0"
UDEV = b"libudev\0\xfe\xed\xca\xfe\x28\0\0\0\x28\0\0\0" + KERNEL.partition(b"\0")[2]


@pytest.mark.parametrize("message", [KERNEL, UDEV], ids=["kernel", "udev"])
def test_names_the_device(message: bytes) -> None:
    assert parse_uevent(message) == Uevent("/devices/virtual/block/loop8", "block")


def test_a_value_may_hold_an_equals_sign_and_a_subsystem_may_be_missing() -> None:
    assert parse_uevent(b"DEVPATH=/devices/a=b\0X=\0") == Uevent("/devices/a=b", "")


@given(st.binary())
def test_bytes_without_a_device_are_no_message(data: bytes) -> None:
    event = parse_uevent(data)
    assert (event is None) == (b"\0DEVPATH=" not in b"\0" + data)


@given(st.integers(0, len(KERNEL)), st.binary(max_size=20))
def test_a_cut_message_and_rubbish_behind_do_no_harm(length: int, rubbish: bytes) -> None:
    event = parse_uevent(KERNEL[:length] + b"\0" + rubbish.replace(b"DEVPATH", b""))
    assert event is None or "/devices/virtual/block/loop8".startswith(event.devpath)

"""Devices are kept as handlers send them; what makes one unusable is said, all of it, with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.device import Device, DeviceNode, Mount, device_problems, frozen_mapping, property_errors, require_properties
from akri.core.errors import InvalidValueError
from akri.core.ids import DeviceId


def problems(device: Device) -> list[str]:
    return [str(problem) for problem in device_problems(device)]


def test_a_good_device_has_no_problems() -> None:
    device = Device(
        DeviceId("/devices/ü/video0"),
        {"UDEV_DEVNODE": "/dev/video0", "resolution-width": "two\nlines"},
        (Mount("/etc/x..y", "/etc/x"),),
        (DeviceNode("/dev/video0", "/dev/video0", "rw"),),
    )
    assert device_problems(device) == ()


@pytest.mark.parametrize("device_id", ["", "a\nb", "a\x7f", "\ud800", "x" * 4097])
def test_a_bad_id_is_a_problem(device_id: str) -> None:
    (problem,) = device_problems(Device(DeviceId(device_id)))
    assert problem.place == "id"
    assert problem.message.endswith("is not valid: expected 1 to 4096 characters without control characters")


@pytest.mark.parametrize("path", ["", "dev/video0", "/dev/../etc", "/dev/a\nb", "/" + "x" * 4096])
def test_a_bad_path_is_a_problem_wherever_it_stands(path: str) -> None:
    device = Device(DeviceId("a"), {}, (Mount("/good", "/good"), Mount(path, path)), (DeviceNode(path, path),))
    places = [problem.place for problem in device_problems(device)]
    assert places == ["mounts[1].containerPath", "mounts[1].hostPath", "deviceSpecs[0].containerPath", "deviceSpecs[0].hostPath"]
    assert all(text.endswith("expected an absolute path without '..' and control characters") for text in problems(device))


def test_the_longest_id_path_and_value_are_good() -> None:
    path = "/" + "x" * 4095
    assert device_problems(Device(DeviceId("x" * 4096), {"A": "x" * 4096}, (Mount(path, path),))) == ()


def test_all_problems_come_at_once() -> None:
    device = Device(DeviceId(""), {"a=b": "x\0", "C": "y" * 4097, "d" * 4097: "", "": "1"}, (Mount("x", "/y"),))
    assert [problem.place[:14] for problem in device_problems(device)] == [
        "id",
        "properties.",
        "properties.C",
        "properties.a=b",
        "properties.a=b",
        "properties.ddd",
        "mounts[0].cont",
    ]


def test_property_errors_say_what_was_expected() -> None:
    texts = [str(error) for error in property_errors({"a=": "\0", "B": "b" * 4097, "C": "\udfff"}, "p")]
    assert texts[0] == "p.a=: 'a=' is not valid: expected a name that is not empty and has no '='"
    assert texts[1] == "p.a=: '\\x00' is not valid: expected a text without NUL and without halves of surrogate pairs"
    assert texts[2].endswith("expected at most 4096 characters, found 4097")
    assert texts[3] == "p.C: '\\udfff' is not valid: expected a text without NUL and without halves of surrogate pairs"
    assert len(texts) == 4


def test_there_may_be_256_properties_and_no_more() -> None:
    assert list(property_errors({str(number): "" for number in range(256)}, "p")) == []
    (error,) = property_errors({str(number): "" for number in range(257)}, "p")
    assert str(error) == "p: 257 is not valid: expected at most 256 properties"


def test_require_properties_raises_the_first_error() -> None:
    require_properties({"A": "1"}, "p")
    with pytest.raises(InvalidValueError, match=r"^p.A: "):
        require_properties({"A": "\0", "b=": ""}, "p")


@pytest.mark.parametrize("permissions", ["r", "w", "m", "rw", "rm", "wm", "rwm"])
def test_permissions_are_some_of_three_letters(permissions: str) -> None:
    assert DeviceNode("/dev/a", "/dev/a", permissions).permissions == permissions


@pytest.mark.parametrize("permissions", ["", "x", "wr", "rwmr", "rr", "r\n"])
def test_other_permissions_cannot_be(permissions: str) -> None:
    with pytest.raises(InvalidValueError, match=r"permissions: .* expected some of 'r', 'w', 'm', in this order"):
        DeviceNode("/dev/a", "/dev/a", permissions)


def test_defaults_of_a_device() -> None:
    assert DeviceNode("/a", "/b").permissions == "rwm"
    assert Mount("/a", "/b").read_only is False
    assert Device(DeviceId("a")) == Device(DeviceId("a"), {}, (), ())


@given(st.permutations(["b", "a", "c"]))
def test_the_order_of_properties_never_counts(names: list[str]) -> None:
    device = Device(DeviceId("a"), dict.fromkeys(names, "1"))
    assert list(device.properties) == ["a", "b", "c"]
    assert device == Device(DeviceId("a"), {"a": "1", "b": "1", "c": "1"})
    assert hash(device) == hash(Device(DeviceId("a")))


def test_a_frozen_mapping_is_a_copy_that_cannot_be_changed() -> None:
    source = {"a": "1"}
    frozen = frozen_mapping(source)
    source["a"] = "2"
    assert dict(frozen) == {"a": "1"}
    with pytest.raises(TypeError):
        frozen["a"] = "3"  # type: ignore[index]

"""Beside a real udev daemon: its tags and properties select devices, and a device is told of when udev knows it, or after three seconds."""

from __future__ import annotations

from typing import Final, cast

import pytest

from akri.testing.loop import loop_devices_refused
from tests.integration.udev.namespace import in_namespace, refused

REFUSED = refused() or loop_devices_refused()
pytestmark = [pytest.mark.skipif(bool(REFUSED), reason=REFUSED), pytest.mark.timeout(360)]
SCENES: Final = "tests.integration.udev.scenes"
KERNEL_ALONE: Final = [1]
KERNEL_AND_UDEV: Final = [3]


def played(scene: str, *, network: bool = True) -> dict[str, object]:
    return in_namespace(SCENES, {"scene": scene, "network": network}, 300, network=network)


def plugged(seen: object) -> tuple[dict[str, str], float, str, list[int]]:
    """Properties of the device, seconds until it was told of, its kernel name, and the groups that were listened to."""
    answer = cast("dict[str, object]", seen)
    properties = cast("dict[str, str]", answer["properties"])
    return properties, cast("float", answer["seconds"]), str(answer["name"]), cast("list[int]", answer["groups"])


@pytest.mark.parametrize(("network", "expected"), [(True, KERNEL_ALONE), (False, KERNEL_AND_UDEV)], ids=["own network", "host's network"])
def test_a_device_is_told_of_once_udev_has_written_what_it_knows(network: bool, expected: list[int]) -> None:
    seen = played("udevd", network=network)
    assert sorted(seen) == ["names", "property", "tag", "tags"]
    for answer in seen.values():
        properties, seconds, name, groups = plugged(answer)
        # udev takes 0.3 s here: the first answer with the device has the serial number that only udev knows.
        assert properties["UDEV_SERIAL"] == f"{name}-0815"
        assert 0.3 <= seconds < 30, "the handler's three seconds, which are ten times as long here"
        assert groups == expected


def test_a_slow_udev_is_waited_for_three_seconds_and_heard_in_the_end() -> None:
    seen = played("slow")
    told, complete = cast("float", seen["told"]), cast("float", seen["complete"])
    assert 3 <= told < complete
    assert complete >= 4


def test_a_udev_that_does_not_answer_costs_a_moment() -> None:
    _, seconds, _, _ = plugged(played("deaf"))
    assert 1 <= seconds < 30, "a tenth of a second and three, which are ten times as long here"


@pytest.mark.parametrize("network", [True, False], ids=["own network", "host's network"])
def test_without_udev_nothing_is_waited_for(network: bool) -> None:
    _, seconds, _, groups = plugged(played("none", network=network))
    assert seconds < 10, "the tenth of a second that a udev would be waited for, which is a hundred times as long here"
    assert groups == KERNEL_ALONE


def test_network_interfaces_come_change_their_name_and_go() -> None:
    seen = played("interfaces")
    properties = cast("dict[str, str]", seen["properties"])
    assert properties == {"UDEV_DEVPATH": "/devices/virtual/net/akri0", "UDEV_MAC_ADDRESS": "02:00:00:00:00:01"}
    assert seen["renamed"] == ["/devices/virtual/net/akri1", ["/devices/virtual/net/akri0"]]
    assert seen["gone"] == ["/devices/virtual/net/akri1"]
    assert seen["groups"] == []

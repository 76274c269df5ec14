"""What a container gets: every property under both names, mounts and device nodes once, nothing silently wrong."""

from __future__ import annotations

import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device, DeviceNode, Mount
from akri.core.edits import AllocatedDevice, ContainerEdits, container_edits, merged_properties, unusual_property_names
from akri.core.errors import DeviceUnavailableError, InvalidValueError
from akri.core.ids import DeviceId, HandlerName, InstanceName, ObjectKey
from akri.core.metadata import ObjectMeta

FIRST = InstanceName("cams-8120fe")
SECOND = InstanceName("cams-a19705")
environments = st.dictionaries(st.sampled_from(["A", "B", "C", "A_8120FE"]), st.text("xyz", max_size=2), max_size=4)


def device(properties: dict[str, str] | None = None, mounts: tuple[Mount, ...] = (), nodes: tuple[DeviceNode, ...] = ()) -> Device:
    return Device(DeviceId("id"), properties or {}, mounts, nodes)


def configuration(properties: dict[str, str]) -> Configuration:
    metadata = ObjectMeta(ObjectKey("default", "cams"))
    return Configuration(metadata, DiscoveryRequest(HandlerName("udev")), broker_properties=properties)


def test_broker_properties_overlay_the_devices() -> None:
    merged = merged_properties(device({"A": "device", "B": "device"}), configuration({"B": "configuration", "C": "configuration"}))
    assert dict(merged) == {"A": "device", "B": "configuration", "C": "configuration"}


def test_no_devices_make_no_edits() -> None:
    assert container_edits([]) == ContainerEdits()


def test_every_property_is_there_plain_and_with_the_digest() -> None:
    edits = container_edits([(FIRST, device({"DEBUG_ECHO_DESCRIPTION": "foo0"}), {"resolution-width": "800"})])
    assert dict(edits.environment) == {
        "DEBUG_ECHO_DESCRIPTION": "foo0",
        "DEBUG_ECHO_DESCRIPTION_8120FE": "foo0",
        "resolution-width": "800",
        "resolution-width_8120FE": "800",
    }


def test_the_plain_name_is_the_first_instances_in_name_order() -> None:
    devices: list[AllocatedDevice] = [(SECOND, device({"A": "2", "B": "2"}), {}), (FIRST, device({"A": "1"}), {})]
    edits = container_edits(devices)
    assert dict(edits.environment) == {"A": "1", "A_8120FE": "1", "A_A19705": "2", "B": "2", "B_A19705": "2"}


def test_a_suffixed_name_wins_over_a_property_that_looks_like_one() -> None:
    edits = container_edits([(FIRST, device({"A": "right", "A_8120FE": "wrong"}), {})])
    assert edits.environment["A_8120FE"] == "right"


@given(environments, environments, environments)
def test_the_order_of_devices_does_not_matter(one: dict[str, str], two: dict[str, str], broker: dict[str, str]) -> None:
    devices: list[AllocatedDevice] = [(FIRST, device(one), broker), (SECOND, device(two), broker), (FIRST, device(one), broker)]
    assert len({tuple(container_edits(order).environment.items()) for order in permutations(devices)}) == 1
    for name, value in merged_properties(device(two), configuration(broker)).items():
        assert container_edits(devices).environment[f"{name}_A19705"] == value


def test_mounts_and_device_nodes_are_merged_with_the_rights_of_both() -> None:
    one = device(
        {}, (Mount("/b", "/host/b", read_only=True), Mount("/a", "/host/a", read_only=True)), (DeviceNode("/dev/x", "/dev/x0", "m"),)
    )
    two = device({}, (Mount("/a", "/host/a"), Mount("/b", "/host/b", read_only=True)), (DeviceNode("/dev/x", "/dev/x0", "r"),))
    expected = ContainerEdits(
        {},
        (Mount("/a", "/host/a"), Mount("/b", "/host/b", read_only=True)),
        (DeviceNode("/dev/x", "/dev/x0", "rm"),),
    )
    assert container_edits([(FIRST, one, {}), (SECOND, two, {})]) == expected
    assert container_edits([(FIRST, two, {}), (SECOND, one, {})]) == expected


def test_device_nodes_come_in_the_order_of_their_paths() -> None:
    nodes = (DeviceNode("/dev/b", "/dev/b"), DeviceNode("/dev/a", "/dev/a", "rw"))
    assert container_edits([(FIRST, device({}, (), nodes), {})]).device_nodes == (nodes[1], nodes[0])


def test_two_device_nodes_for_one_path_are_refused_and_named() -> None:
    one, two = (device({}, (), (DeviceNode("/dev/cam", host),)) for host in ("/dev/video0", "/dev/video1"))
    message = "path /dev/cam in the container would be /dev/video0 for cams-8120fe and /dev/video1 for cams-a19705"
    with pytest.raises(DeviceUnavailableError, match=f"^{re.escape(message)}$"):
        container_edits([(SECOND, two, {}), (FIRST, one, {})])


def test_two_mounts_for_one_path_are_refused() -> None:
    mounts = (Mount("/data", "/one"), Mount("/data", "/two"))
    with pytest.raises(DeviceUnavailableError, match="/one for cams-8120fe and /two for cams-8120fe"):
        container_edits([(FIRST, device({}, mounts), {})])


@pytest.mark.parametrize(
    ("properties", "broker", "place"),
    [
        ({"a=b": "1"}, {}, "properties.a=b"),
        ({"A": "x\0"}, {}, "properties.A"),
        ({}, {"a\0": "1"}, r"spec.brokerProperties.a\\x00"),
        ({}, {"": "1"}, "spec.brokerProperties."),
    ],
)
def test_what_no_environment_can_hold_is_refused_with_its_path(properties: dict[str, str], broker: dict[str, str], place: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        container_edits([(FIRST, device(properties), broker)])
    assert caught.value.place == place.replace("\\\\", "\\")


def test_names_that_a_shell_cannot_read_are_unusual() -> None:
    assert unusual_property_names({"resolution-width": "", "A1_b": "", "_": "", "1A": "", "a.b": ""}) == ("1A", "a.b", "resolution-width")

"""The wire format against bytes written by hand: field numbers are the contract, so our own writer does not check our reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin import wire

texts = st.text(max_size=20)
ids = st.lists(texts.map(PluginDeviceId), max_size=5).map(tuple)
edits = st.builds(
    ContainerEdits,
    st.dictionaries(texts, texts, max_size=3),
    st.lists(st.builds(Mount, texts, texts, st.booleans()), max_size=3).map(tuple),
    st.lists(st.builds(DeviceNode, texts, texts, st.sampled_from(["r", "rw", "rwm", "wm"])), max_size=3).map(tuple),
)


def field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2, len(payload)]) + payload


def flag(number: int) -> bytes:
    return bytes([number << 3, 1])


A, B = PluginDeviceId("a"), PluginDeviceId("b")


def test_registration() -> None:
    data = field(1, b"v1beta1") + field(2, b"s.sock") + field(3, b"akri.sh/x")
    value = wire.Registration("v1beta1", "s.sock", ResourceName("akri.sh/x"))
    assert wire.write_registration(value) == data
    assert wire.read_registration(data) == value


def test_options() -> None:
    assert wire.write_options(wire.Options(pre_start_required=True, preferred_allocation=True)) == flag(1) + flag(2)
    assert wire.read_options(flag(2)) == wire.Options(pre_start_required=False, preferred_allocation=True)
    assert wire.read_options(wire.EMPTY) == wire.Options()


def test_device_list() -> None:
    data = field(1, field(1, b"a") + field(2, b"Healthy")) + field(1, field(1, b"b") + field(2, b"Unhealthy"))
    assert wire.write_device_list({A: True, B: False}) == data
    assert wire.read_device_list(data) == {A: True, B: False}
    assert wire.read_device_list(wire.EMPTY) == {}


def test_device_list_with_topology() -> None:
    data = field(1, field(1, b"a") + field(2, b"Healthy") + field(3, field(1, flag(1))))
    assert wire.read_device_list(data) == {A: True}


def test_allocate() -> None:
    assert wire.write_allocate_request((A, B)) == field(1, field(1, b"a") + field(1, b"b"))
    assert wire.read_allocate_request(field(1, field(1, b"a")) + field(1, b"")) == ((A,), ())
    variable = field(1, field(1, b"K") + field(2, b"v"))
    mount = field(2, field(1, b"/c") + field(2, b"/h") + flag(3))
    node = field(3, field(1, b"/c") + field(2, b"/h") + field(3, b"rw"))
    value = ContainerEdits({"K": "v"}, (Mount("/c", "/h", read_only=True),), (DeviceNode("/c", "/h", "rw"),))
    assert wire.write_allocate_response([value]) == field(1, variable + mount + node)
    assert wire.write_edits(value) == variable + mount + node
    annotation = field(4, field(1, b"k") + field(2, b"v"))
    cdi = field(5, field(1, b"a.b/c=d"))
    assert wire.read_allocate_response(field(1, variable + mount + node + annotation + cdi)) == (value,)


def test_preferred_allocation() -> None:
    data = field(1, field(1, b"a") + field(1, b"b") + field(2, b"a") + flag(3))
    value = wire.PreferredQuery((A, B), (A,), 1)
    assert wire.write_preferred_request(value) == data
    assert wire.read_preferred_request(data) == (value,)
    assert wire.write_preferred_response([(A,), ()]) == field(1, field(1, b"a")) + field(1, b"")
    assert wire.read_preferred_response(field(1, field(1, b"b"))) == ((B,),)


def test_pre_start() -> None:
    assert wire.write_pre_start_request((A,)) == field(1, b"a")
    assert wire.read_pre_start_request(field(1, b"a") + field(1, b"b")) == (A, B)


def test_pod_resources() -> None:
    def devices(*names: bytes) -> bytes:
        return field(2, field(1, b"r/x") + b"".join(field(2, name) for name in names))

    container = field(1, b"main") + devices(b"a") + devices(b"b")
    pod = field(1, field(1, b"pod") + field(2, b"space") + field(3, container))
    x = ResourceName("r/x")
    value = wire.ListedPod(ObjectKey("space", "pod"), (wire.ListedContainer("main", ((x, A), (x, B))),))
    assert wire.write_pod_resources([value]) == pod
    assert wire.read_pod_resources(pod) == (value,)
    several = field(1, field(1, b"pod") + field(2, b"space") + field(3, field(1, b"main") + devices(b"a", b"b") + field(3, b"\x01")))
    assert wire.read_pod_resources(several) == (value,)


@given(st.lists(edits, max_size=3))
def test_edits_survive_the_wire(values: list[ContainerEdits]) -> None:
    assert wire.read_allocate_response(wire.write_allocate_response(values)) == tuple(values)
    assert [wire.read_edits(wire.write_edits(value)) for value in values] == values


@given(st.dictionaries(texts.map(PluginDeviceId), st.booleans()), ids)
def test_lists_survive_the_wire(devices: dict[PluginDeviceId, bool], some: wire.DeviceIds) -> None:
    assert wire.read_device_list(wire.write_device_list(devices)) == devices
    assert wire.read_allocate_request(wire.write_allocate_request(some)) == (some,)


@given(st.binary(max_size=60))
def test_rubbish_is_read_or_refused_but_nothing_else(data: bytes) -> None:
    readers = (
        wire.read_registration,
        wire.read_options,
        wire.read_device_list,
        wire.read_allocate_request,
        wire.read_allocate_response,
        wire.read_edits,
        wire.read_preferred_request,
        wire.read_preferred_response,
        wire.read_pre_start_request,
        wire.read_pod_resources,
    )
    refused = 0
    for read in readers:
        try:
            read(data)
        except InvalidValueError:
            refused += 1
    assert 0 <= refused <= len(readers)


def test_an_error_names_the_message() -> None:
    with pytest.raises(InvalidValueError, match=r"AllocateRequest: .* is not valid: expected a message of this kind"):
        wire.read_allocate_request(b"\xff")


def test_permissions_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="permissions: 'x' is not valid"):
        wire.read_edits(field(3, field(3, b"x")))


def test_a_pod_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="name"):
        wire.read_pod_resources(field(1, field(2, b"space")))

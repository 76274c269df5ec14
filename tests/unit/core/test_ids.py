"""The text forms of names: one parser and one printer each, which undo each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidValueError
from akri.core.ids import CdiName, ConfigurationName, InstanceName, ObjectKey, SlotId, VirtualDeviceId

stems = st.text(min_size=1, max_size=20)
indexes = st.integers(0, 999_999_999)


@given(stems, indexes)
def test_slots_print_and_parse(stem: str, index: int) -> None:
    slot = SlotId(InstanceName(stem), index)
    assert str(slot) == f"{stem}-{index}"
    assert SlotId.parse(str(slot)) == slot


@given(stems, indexes)
def test_virtual_devices_print_and_parse(stem: str, k: int) -> None:
    virtual = VirtualDeviceId(ConfigurationName(stem), k)
    assert str(virtual) == f"{stem}-{k}"
    assert VirtualDeviceId.parse(str(virtual)) == virtual


@given(st.text(st.characters(exclude_characters="="), min_size=1), stems)
def test_cdi_names_print_and_parse(configuration: str, digest: str) -> None:
    name = CdiName(ConfigurationName(configuration), digest)
    assert str(name) == f"akri.sh/{configuration}={digest}"
    assert CdiName.parse(str(name)) == name


def test_slot_keys_are_upstreams() -> None:
    assert SlotId.parse("config-a-359973-2") == SlotId(InstanceName("config-a-359973"), 2)
    assert str(CdiName.parse("akri.sh/config-a=359973")) == "akri.sh/config-a=359973"


@pytest.mark.parametrize("text", ["", "-", "a", "a-", "-1", "a-x", "a-01", "a-+1", "a--", "a-1 ", "a-1\n", "a-1234567890", "a-١"])
@pytest.mark.parametrize(("kind", "called"), [(SlotId, "slot"), (VirtualDeviceId, "virtual device")])
def test_other_texts_are_no_slots(kind: type[SlotId | VirtualDeviceId], called: str, text: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        kind.parse(text)
    assert caught.value.place == called
    assert caught.value.value == text
    assert caught.value.expected == "a name, a dash and a decimal index, as in 'cameras-8120fe-0'"


@pytest.mark.parametrize("text", ["", "akri.sh/", "akri.sh/=", "akri.sh/a=", "akri.sh/=b", "other/a=b", "akri.sh/a", "a=b"])
def test_other_texts_are_no_cdi_names(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"cdiName: .* expected 'akri.sh/<configuration>=<digest>'"):
        CdiName.parse(text)


def test_empty_names_and_negative_indexes_cannot_be() -> None:
    with pytest.raises(InvalidValueError, match=r"name: '' is not valid: expected a name that is not empty"):
        ObjectKey("default", "")
    with pytest.raises(InvalidValueError, match="instance: ''"):
        SlotId(InstanceName(""), 0)
    with pytest.raises(InvalidValueError, match="index: -1 is not valid: expected 0 or more"):
        SlotId(InstanceName("a"), -1)
    with pytest.raises(InvalidValueError, match="k: -1"):
        VirtualDeviceId(ConfigurationName("a"), -1)
    with pytest.raises(InvalidValueError, match="digest: ''"):
        CdiName(ConfigurationName("a"), "")


def test_object_keys_print_and_sort() -> None:
    assert str(ObjectKey("default", "cameras")) == "default/cameras"
    assert ObjectKey("a", "z") < ObjectKey("b", "a")
    assert SlotId(InstanceName("a"), 2) < SlotId(InstanceName("a"), 10)

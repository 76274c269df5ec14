"""What an Instance says of itself, upstream's without annotations included."""

from __future__ import annotations

import pytest

from akri.core.ids import ConfigurationName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference, frozen_json

KEY = ObjectKey("default", "cameras-8120fe")
OTHER = OwnerReference("v1", "ConfigMap", "other", "uid-1")
OWNER = OwnerReference("akri.sh/v0", "Configuration", "cameras", "uid-2", controller=True)


def instance(annotations: dict[str, str] | None = None, owners: tuple[OwnerReference, ...] = ()) -> Instance:
    return Instance(ObjectMeta(KEY, annotations=annotations or {}, owners=owners), ConfigurationName("cameras"), "", 1)


def test_an_instance_of_upstream_says_little() -> None:
    made = instance()
    assert (made.owner_uid, made.device_id, made.device_node, made.generation_seen) == (None, None, None, 0)
    assert (made.shared, made.nodes, dict(made.device_usage), dict(made.broker_properties)) == (False, (), {}, {})
    assert (made.key, made.name) == (KEY, "cameras-8120fe")


def test_the_owner_is_the_controlling_one() -> None:
    assert instance(owners=(OTHER, OWNER)).owner_uid == "uid-2"
    assert instance(owners=(OTHER, OWNER)).metadata.controller == OWNER
    assert instance(owners=(OTHER,)).owner_uid is None


def test_annotations_are_read() -> None:
    annotations = {"akri.sh/device-id": "foo0", "akri.sh/device-node": "node-a", "akri.sh/configuration-generation": "12"}
    made = instance(annotations)
    assert (made.device_id, made.device_node, made.generation_seen) == ("foo0", "node-a", 12)


@pytest.mark.parametrize("text", ["", "-1", "x", "1.0", "²", "1" * 19, " 1"])
def test_an_unreadable_generation_counts_as_none(text: str) -> None:
    assert instance({"akri.sh/configuration-generation": text}).generation_seen == 0


def test_the_largest_generation_is_read() -> None:
    assert instance({"akri.sh/configuration-generation": "9" * 18}).generation_seen == int("9" * 18)


def test_mappings_are_copies_that_cannot_be_changed() -> None:
    usage = {"cameras-8120fe-0": ""}
    made = Instance(ObjectMeta(KEY), ConfigurationName("cameras"), "", 1, device_usage=usage)
    usage["cameras-8120fe-0"] = "node-a"
    assert dict(made.device_usage) == {"cameras-8120fe-0": ""}
    with pytest.raises(TypeError):
        made.metadata.labels["a"] = "b"  # type: ignore[index]
    assert hash(made) == hash(instance())


def test_frozen_json_is_a_copy() -> None:
    source: dict[str, int] = {"a": 1}
    frozen = frozen_json(source)
    source["a"] = 2
    assert dict(frozen) == {"a": 1}

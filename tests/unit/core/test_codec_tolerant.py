"""What a store holds is read as far as it can be; what cannot be read says why and never raises."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings

from akri.core.codec import UnreadableObject, observe_configuration, observe_instance, observe_report
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.reports import DiscoveryReport
from tests.unit.core.strategies import json_objects

KEY = ObjectKey("default", "cameras-8120fe")


def instance(**spec: Json) -> JsonObject:
    return {"metadata": {"name": "cameras-8120fe", "x": 1}, "spec": {"configurationName": "cameras", "y": 1, **spec}, "z": 1}


def test_fields_that_are_not_known_are_passed_over() -> None:
    document: JsonObject = {
        "metadata": {"name": "cameras", "new": 1, "annotations": {"akri.sh/grace": "5m"}},
        "spec": {"discoveryHandler": {"name": "udev", "new": 1}, "new": 2},
        "new": 3,
    }
    configuration = observe_configuration(document)
    assert isinstance(configuration, Configuration)
    assert configuration.name == "cameras"


def test_what_the_schema_accepts_and_we_do_not_is_unreadable_with_its_metadata() -> None:
    document: JsonObject = {
        "metadata": {"name": "cameras", "namespace": "x", "uid": "u", "resourceVersion": "7"},
        "spec": {"discoveryHandler": {"name": "udev"}, "capacity": 0, "brokerSpec": {"brokerPodSpec": {}, "brokerJobSpec": {}}},
    }
    unreadable = observe_configuration(document)
    assert isinstance(unreadable, UnreadableConfiguration)
    assert (unreadable.key, unreadable.metadata.uid, unreadable.metadata.revision) == (ObjectKey("x", "cameras"), "u", 7)
    assert [problem.place for problem in unreadable.problems] == ["spec.capacity", "spec.brokerSpec"]


def test_a_name_too_long_for_the_kubelet_is_unreadable() -> None:
    name = "x" * 55
    unreadable = observe_configuration({"metadata": {"name": name}, "spec": {"discoveryHandler": {"name": "udev"}}})
    assert isinstance(unreadable, UnreadableConfiguration)
    assert unreadable.key.name == name
    assert [problem.place for problem in unreadable.problems] == ["metadata.name"]


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        (None, ObjectKey("default", "(no name)")),
        (3, ObjectKey("default", "(no name)")),
        ({"name": ""}, ObjectKey("default", "(no name)")),
        ({"name": 3, "namespace": 3}, ObjectKey("", "(no name)")),
        ({"name": "a", "namespace": "b", "uid": 3}, ObjectKey("b", "a")),
    ],
)
def test_an_object_without_readable_metadata_has_a_key_all_the_same(metadata: Json, key: ObjectKey) -> None:
    configuration = observe_configuration({"metadata": metadata})
    found = observe_instance({"metadata": metadata})
    assert isinstance(configuration, UnreadableConfiguration)
    assert isinstance(found, UnreadableObject)
    assert configuration.key == found.key == key
    assert found.kind == "Instance"
    assert found.problems


def test_upstreams_instances_before_cdi_have_a_slot_for_each_key() -> None:
    found = observe_instance(instance(deviceUsage={"cameras-8120fe-0": "", "cameras-8120fe-1": "node-a"}))
    assert isinstance(found, Instance)
    assert (found.key, found.capacity, found.cdi_name, found.shared, found.nodes) == (KEY, 2, "", False, ())


def test_a_capacity_that_is_there_counts() -> None:
    found = observe_instance(instance(capacity=0, deviceUsage={"a": ""}))
    assert isinstance(found, Instance)
    assert found.capacity == 0


def test_keys_and_values_of_slots_are_kept_as_they_are() -> None:
    found = observe_instance(instance(capacity=1, deviceUsage={"rubbish": "a b c"}, nodes=None, shared=None))
    assert isinstance(found, Instance)
    assert dict(found.device_usage) == {"rubbish": "a b c"}


def test_an_instance_that_cannot_be_read_says_why() -> None:
    assert observe_instance(instance(capacity=-1, nodes="node-a", shared="no")) == UnreadableObject(
        "Instance",
        KEY,
        (
            Problem("spec.capacity", "-1 is not valid: expected 0 or more"),
            Problem("spec.shared", "'no' is a text: expected true or false"),
            Problem("spec.nodes", "'node-a' is a text: expected a list"),
        ),
    )


def test_a_report_of_another_version_is_read() -> None:
    spec: Json = {"configurationName": "cameras", "nodeName": "a", "handlers": [{"name": "udev", "new": 1, "dropped": {"x": 1}}], "new": 1}
    report = observe_report({"metadata": {"name": "cameras.a"}, "spec": spec})
    assert isinstance(report, DiscoveryReport)
    assert report.configuration == ObjectKey("default", "cameras")
    assert dict(report.handlers[0].dropped) == {"x": 1}
    assert (report.written_at, report.handlers[0].asked_at) == (0.0, 0.0)


def test_a_report_that_cannot_be_read_says_why() -> None:
    unreadable = observe_report({"metadata": {"name": "r"}, "spec": {"handlers": [{"dropped": {"x": -1}}]}})
    assert isinstance(unreadable, UnreadableObject)
    assert (unreadable.kind, unreadable.key) == ("DiscoveryReport", ObjectKey("default", "r"))
    assert [problem.place for problem in unreadable.problems] == [
        "spec.configurationName",
        "spec.nodeName",
        "spec.handlers[0].name",
        "spec.handlers[0].dropped.x",
    ]


@settings(max_examples=50)
@given(json_objects)
def test_nothing_that_a_store_holds_raises(rubbish: JsonObject) -> None:
    for document in (rubbish, {"metadata": rubbish, "spec": rubbish}, {**instance(), "spec": cast("Json", rubbish)}):
        assert observe_configuration(document) is not None
        assert observe_instance(document) is not None
        assert observe_report(document) is not None

"""Akri's own kinds as the API server hands them out."""

from __future__ import annotations

import pytest

from akri.core.codec import print_instance, print_report
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.errors import InvalidDocumentError
from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta
from akri.core.reports import DiscoveryReport
from akri.platforms.kubernetes.decoding import configuration, instance, report

MANAGED: list[Json] = [{"manager": "akri", "operation": "Update", "fieldsV1": {"f:spec": {"f:nodes": {}}}}]
KEY = ObjectKey("default", "cam-8120fe")
STORED = Instance(ObjectMeta(KEY, "uid", 7), ConfigurationName("cam"), "akri.sh/cam=8120fe", 1, nodes=(NodeName("node-a"),))


def _managed(document: JsonObject) -> JsonObject:
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    return {**document, "metadata": {**metadata, "managedFields": MANAGED}}


def test_an_instance_is_read_whoever_manages_its_fields() -> None:
    document = _managed(print_instance(STORED))

    assert instance(document) == instance(print_instance(STORED)) == STORED
    assert "managedFields" in str(document["metadata"])


def test_fields_that_cannot_be_read_raise_with_all_problems_but_those_that_nobody_reads() -> None:
    document: JsonObject = {**_managed(print_instance(STORED)), "spec": {"configurationName": 1, "nodes": "node-a"}}

    with pytest.raises(InvalidDocumentError) as caught:
        instance(document)

    assert caught.value.title == "Instance default/cam-8120fe"
    assert [problem.place for problem in caught.value.problems] == ["spec.configurationName", "spec.nodes"]


def test_an_unusable_configuration_is_a_value() -> None:
    good = configuration({"metadata": {"name": "cam", "managedFields": MANAGED}, "spec": {"discoveryHandler": {"name": "udev"}}})
    bad = configuration({"metadata": {"name": "cam", "managedFields": MANAGED}, "spec": {"capacity": 0}})

    assert isinstance(good, Configuration)
    assert isinstance(bad, UnreadableConfiguration)
    assert bad.key == good.key == ObjectKey("default", "cam")


def test_a_report_is_read_or_raises() -> None:
    stored = DiscoveryReport(ObjectKey("default", "cam"), "uid", NodeName("node-a"), 3, 1000.0)

    assert report(_managed(print_report(stored))) == stored
    with pytest.raises(InvalidDocumentError, match=r"DiscoveryReport default/x: spec: is missing"):
        report({"metadata": {"name": "x"}})

"""What is printed can be read again, and upstream's samples mean what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings

from akri.core.codec import (
    observe_configuration,
    observe_instance,
    observe_report,
    print_configuration,
    print_instance,
    print_report,
    print_status,
    read_configuration,
)
from akri.core.configuration import Configuration, DiscoveryRequest, JobBroker, NoBroker, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.properties import FromConfigMap, FromSecret, Literal
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, HandlerReport, KeptDevice, Reason
from tests.unit.core.strategies import configurations, instances, reports, statuses
from tests.unit.core.upstream_samples import samples

KEY = ObjectKey("default", "cameras")
few = settings(max_examples=50)


def through_json(document: JsonObject) -> JsonObject:
    result: JsonObject = json.loads(json.dumps(document))
    return result


@few
@given(configurations)
def test_configurations_round_trip(configuration: Configuration) -> None:
    document = through_json(print_configuration(configuration))
    assert read_configuration(document) == configuration
    assert observe_configuration(document) == configuration


@few
@given(instances)
def test_instances_round_trip(instance: Instance) -> None:
    assert observe_instance(through_json(print_instance(instance))) == instance


@few
@given(reports)
def test_reports_round_trip(report: DiscoveryReport) -> None:
    assert observe_report(through_json(print_report(report))) == report


@few
@given(statuses)
def test_a_status_has_all_its_conditions(status: ConfigurationStatus) -> None:
    document = through_json(print_status(status))
    assert document["observedGeneration"] == status.generation
    conditions = document["conditions"]
    assert isinstance(conditions, list)
    assert len(conditions) == len(status.conditions)


@pytest.mark.parametrize("document", samples("Configuration"))
def test_upstreams_configurations_round_trip(document: JsonObject) -> None:
    configuration = read_configuration(document)
    assert observe_configuration(document) == configuration
    assert read_configuration(through_json(print_configuration(configuration))) == configuration
    spec = document["spec"]
    printed = print_configuration(configuration)["spec"]
    assert isinstance(spec, dict)
    assert isinstance(printed, dict)
    assert {name: printed[name] for name in spec} == spec


@pytest.mark.parametrize("document", samples("Instance"))
def test_upstreams_instances_round_trip(document: JsonObject) -> None:
    instance = observe_instance(document)
    assert isinstance(instance, Instance)
    assert observe_instance(through_json(print_instance(instance))) == instance
    spec = document["spec"]
    printed = print_instance(instance)["spec"]
    assert isinstance(spec, dict)
    assert isinstance(printed, dict)
    assert {name: printed[name] for name in spec} == spec


def test_there_are_as_many_samples_as_upstream_has() -> None:
    assert (len(samples("Configuration")), len(samples("Instance"))) == (8, 8)


def test_one_of_upstreams_configurations_means_what_it_says() -> None:
    (document,) = (item for item in samples("Configuration") if "akri-debug-echo-foo" in str(item["metadata"]))
    configuration = read_configuration(document)
    assert configuration.key == ObjectKey("default", "akri-debug-echo-foo")
    assert configuration.discovery == DiscoveryRequest(HandlerName("debugEcho"), 'descriptions:\n- "foo0"\n- "foo1"\n')
    assert configuration.capacity == 5
    assert isinstance(configuration.broker, PodBroker)
    assert configuration.instance_service == configuration.configuration_service
    assert configuration.instance_service is not None
    assert configuration.instance_service["type"] == "ClusterIP"


def test_a_printed_configuration() -> None:
    properties = (Literal("a", "1"), FromSecret("b", ObjectKey("x", "logins"), "k", optional=True), FromConfigMap("c", KEY, "k"))
    metadata = ObjectMeta(
        KEY, uid="u", revision=12, generation=3, created=1714564800.25, finalizers=("f",), labels={"l": "1"}, deleting=True
    )
    configuration = Configuration(metadata, DiscoveryRequest(HandlerName("udev"), "d", properties), 2, broker_properties={"A": "1"})
    assert print_configuration(configuration) == {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {
            "name": "cameras",
            "namespace": "default",
            "uid": "u",
            "resourceVersion": "12",
            "generation": 3,
            "creationTimestamp": "2024-05-01T12:00:00.250000Z",
            "labels": {"l": "1"},
            "finalizers": ["f"],
        },
        "spec": {
            "discoveryHandler": {
                "name": "udev",
                "discoveryDetails": "d",
                "discoveryProperties": [
                    {"name": "a", "value": "1"},
                    {"name": "b", "valueFrom": {"secretKeyRef": {"name": "logins", "namespace": "x", "key": "k", "optional": True}}},
                    {
                        "name": "c",
                        "valueFrom": {"configMapKeyRef": {"name": "cameras", "namespace": "default", "key": "k", "optional": False}},
                    },
                ],
            },
            "capacity": 2,
            "brokerProperties": {"A": "1"},
        },
    }


def test_a_printed_instance() -> None:
    owner = OwnerReference("akri.sh/v0", "Configuration", "cameras", "u", controller=True)
    metadata = ObjectMeta(ObjectKey("default", "cameras-8120fe"), annotations={"akri.sh/device-id": "foo0"}, owners=(owner,))
    instance = Instance(metadata, ConfigurationName("cameras"), "akri.sh/cameras=8120fe", 1, nodes=(NodeName("a"),), device_usage={"k": ""})
    assert print_instance(instance) == {
        "apiVersion": "akri.sh/v0",
        "kind": "Instance",
        "metadata": {
            "name": "cameras-8120fe",
            "namespace": "default",
            "annotations": {"akri.sh/device-id": "foo0"},
            "ownerReferences": [
                {
                    "apiVersion": "akri.sh/v0",
                    "kind": "Configuration",
                    "name": "cameras",
                    "uid": "u",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "configurationName": "cameras",
            "cdiName": "akri.sh/cameras=8120fe",
            "capacity": 1,
            "shared": False,
            "nodes": ["a"],
            "deviceUsage": {"k": ""},
            "brokerProperties": {},
        },
    }


def test_a_printed_report() -> None:
    report = DiscoveryReport(KEY, "u", NodeName("a"), 4, 1714564801.0, problems=("bad",))
    printed = print_report(report)
    assert printed == {
        "apiVersion": "akri.sh/v0",
        "kind": "DiscoveryReport",
        "metadata": {
            "name": "cameras.a",
            "namespace": "default",
            "ownerReferences": [
                {
                    "apiVersion": "akri.sh/v0",
                    "kind": "Configuration",
                    "name": "cameras",
                    "uid": "u",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "configurationName": "cameras",
            "configurationUid": "u",
            "nodeName": "a",
            "generation": 4,
            "writtenAt": "2024-05-01T12:00:01Z",
            "handlers": [],
            "problems": ["bad"],
            "kept": [],
        },
    }


def test_what_a_printed_report_says_of_handlers_and_of_devices_that_are_kept() -> None:
    handler = HandlerReport(
        HandlerName("udev"),
        "embedded",
        asked_at=1714564800.0,
        devices=1,
        candidates=3,
        dropped={"rule 1": 2},
        reason=Reason.DETAILS_REFUSED,
    )
    kept = KeptDevice("/dev/x", "cameras-8120fe", 1714564860.0, 2, "its handler does not answer")
    spec = print_report(DiscoveryReport(KEY, "u", NodeName("a"), 4, 1714564801.0, (handler,), (), (kept,)))["spec"]
    assert isinstance(spec, Mapping)
    assert spec["handlers"] == [
        {
            "name": "udev",
            "endpoint": "embedded",
            "askedAt": "2024-05-01T12:00:00Z",
            "devices": 1,
            "candidates": 3,
            "dropped": {"rule 1": 2},
            "message": "",
            "error": "",
            "reason": "DetailsRefused",
        }
    ]
    assert spec["kept"] == [
        {
            "deviceId": "/dev/x",
            "instance": "cameras-8120fe",
            "until": "2024-05-01T12:01:00Z",
            "misses": 2,
            "why": "its handler does not answer",
        }
    ]


def test_a_printed_status() -> None:
    conditions = (
        Condition("Accepted", status=True, reason=Reason.ACCEPTED, since=1714564800.0),
        Condition("Ready", status=False, reason=Reason.HANDLER_MISSING, message="no handler"),
    )
    assert print_status(ConfigurationStatus(4, conditions, instances=1, nodes=2, brokers=3, brokers_ready=2)) == {
        "observedGeneration": 4,
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "lastTransitionTime": "2024-05-01T12:00:00Z",
                "observedGeneration": 4,
            },
            {
                "type": "Ready",
                "status": "False",
                "reason": "HandlerMissing",
                "message": "no handler",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
                "observedGeneration": 4,
            },
        ],
        "instances": 1,
        "nodes": 2,
        "brokers": 3,
        "brokersReady": 2,
    }


def test_brokers_are_printed_by_kind() -> None:
    for broker, name in ((PodBroker({"a": 1}), "brokerPodSpec"), (JobBroker({"a": 1}), "brokerJobSpec")):
        spec = print_configuration(Configuration(ObjectMeta(KEY), DiscoveryRequest(HandlerName("udev")), broker=broker))["spec"]
        assert isinstance(spec, dict)
        assert spec["brokerSpec"] == {name: {"a": 1}}
    spec = print_configuration(Configuration(ObjectMeta(KEY), DiscoveryRequest(HandlerName("udev")), broker=NoBroker()))["spec"]
    assert isinstance(spec, dict)
    assert "brokerSpec" not in spec

"""The controller's actions as manifests and patches."""

from __future__ import annotations

import json

from attrs import evolve

from akri.core.codec import print_status
from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import Condition, ConfigurationStatus, Reason
from akri.platforms.kubernetes import rendering
from akri.platforms.kubernetes.patches import JSON_PATCH
from akri.scheduling.model import CreateJob, CreatePod, CreateService, UpdateService

KEY = ObjectKey("default", "node-a-cam-8120fe-pod")
INSTANCE = ObjectKey("default", "cam-8120fe")
OWNER = OwnerReference("akri.sh/v0", "Instance", "cam-8120fe", "3f0c", controller=True)
LABELS = {"controller": "akri.sh", "akri.sh/instance": "cam-8120fe"}
ANNOTATIONS = {"akri.sh/broker-hash": "abc"}
SPEC: JsonObject = {"containers": [{"name": "main"}]}
TESTS: list[Json] = [
    {"op": "test", "path": "/metadata/uid", "value": "9a1d"},
    {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
]
STORED = Instance(
    ObjectMeta(INSTANCE, "9a1d", 7),
    ConfigurationName("cam"),
    "akri.sh/cam=8120fe",
    2,
    nodes=(NodeName("node-a"), NodeName("node-b")),
    device_usage={"cam-8120fe-0": "node-a", "cam-8120fe-1": ""},
)


def test_what_is_created_is_plain_json_that_names_its_owner() -> None:
    metadata: JsonObject = {
        "name": KEY.name,
        "namespace": "default",
        "labels": LABELS,
        "annotations": ANNOTATIONS,
        "ownerReferences": [
            {
                "apiVersion": "akri.sh/v0",
                "kind": "Instance",
                "name": "cam-8120fe",
                "uid": "3f0c",
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
    pod = CreatePod(KEY, INSTANCE, NodeName("node-a"), OWNER, LABELS, ANNOTATIONS, SPEC)
    job = CreateJob(KEY, INSTANCE, OWNER, LABELS, ANNOTATIONS, {"template": {"spec": SPEC}})
    service = CreateService(KEY, INSTANCE, OWNER, LABELS, ANNOTATIONS, {"ports": [{"port": 80}]})

    made = [json.loads(json.dumps(rendering.creation(action))) for action in (pod, job, service)]

    assert made == [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "main"}]}},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}},
    ]


def test_a_service_keeps_the_marks_of_others_and_takes_the_wanted_spec_alone() -> None:
    found: JsonObject = {
        "metadata": {
            "name": "cam-svc",
            "uid": "9a1d",
            "resourceVersion": "7",
            "labels": {"controller": "akri.sh", "team": "video"},
            "annotations": {"akri.sh/broker-hash": "old", "example.com/balancer": "b-1"},
            "finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
        },
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30080}]},
    }
    action = UpdateService(ObjectKey("default", "cam-svc"), "9a1d", LABELS, ANNOTATIONS, {"ports": [{"port": 81}]})

    request = rendering.service_update(found, action)

    assert (request.method, request.content_type) == ("PATCH", JSON_PATCH)
    assert request.body == [
        *TESTS,
        {"op": "add", "path": "/metadata/labels", "value": {**LABELS, "team": "video"}},
        {"op": "add", "path": "/metadata/annotations", "value": {**ANNOTATIONS, "example.com/balancer": "b-1"}},
        {"op": "add", "path": "/spec", "value": {"ports": [{"port": 81}]}},
    ]


def test_a_change_writes_what_differs_and_tests_what_it_was_planned_on() -> None:
    annotated = evolve(STORED, capacity=3, metadata=evolve(STORED.metadata, annotations={"akri.sh/configuration-generation": "5"}))
    lost = evolve(STORED, nodes=(NodeName("node-b"),), device_usage={"cam-8120fe-0": "", "cam-8120fe-1": ""})

    assert rendering.change(STORED, STORED).body == TESTS
    assert rendering.change(STORED, annotated).body == [
        *TESTS,
        {"op": "add", "path": "/metadata/annotations", "value": {"akri.sh/configuration-generation": "5"}},
        {"op": "add", "path": "/spec/capacity", "value": 3},
    ]
    assert rendering.change(STORED, lost).body == [
        *TESTS,
        {"op": "add", "path": "/spec/nodes", "value": ["node-b"]},
        {"op": "add", "path": "/spec/deviceUsage", "value": {"cam-8120fe-0": "", "cam-8120fe-1": ""}},
    ]


def test_finalizers_go_in_place_and_others_stay_in_order() -> None:
    found: JsonObject = {"metadata": {"uid": "9a1d", "resourceVersion": "7", "finalizers": ["c", "node-x", "a"]}}

    request = rendering.finalizers_dropped(found, ("node-x", "never"))

    assert request is not None
    assert request.body == [*TESTS, {"op": "add", "path": "/metadata/finalizers", "value": ["c", "a"]}]
    assert rendering.finalizers_dropped(found, ("never",)) is None
    assert rendering.finalizers_dropped({"metadata": {}}, ("node-x",)) is None


def test_a_deletion_is_of_one_object_and_takes_along_what_it_owns() -> None:
    assert rendering.deletion("9a1d") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": "9a1d"},
    }


def test_a_status_is_of_one_configuration() -> None:
    status = ConfigurationStatus(3, (Condition("Accepted", status=True, reason=Reason.ACCEPTED),), instances=2)

    request = rendering.status_change("9a1d", status)

    assert request.body == [TESTS[0], {"op": "add", "path": "/status", "value": print_status(status)}]

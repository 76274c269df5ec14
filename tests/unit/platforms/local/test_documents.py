"""What is stored comes back as it was, also where another version wrote it."""

from __future__ import annotations

import json
from typing import TypeVar

import pytest
from attrs import evolve

from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker, UnreadableConfiguration
from akri.core.errors import InvalidDocumentError, Problem
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Event, HandlerReport, KeptDevice, PastEvent, Reason
from akri.platforms.local import documents
from akri.platforms.local.documents import Form
from akri.platforms.local.objects import Job, Node, Pod, Service
from akri.scheduling.model import Phase

_T = TypeVar("_T")
KEY = ObjectKey("default", "cam-8120fe")
META = ObjectMeta(
    KEY,
    "0001-a",
    2**40,
    3,
    1_700_000_000.123456,
    {"app": "x"},
    {"akri.sh/device-id": "foo\udc80"},
    ("keep",),
    (OwnerReference("akri.sh/v0", "Configuration", "cam", "0001-2", controller=True),),
)
SPEC: JsonObject = {"containers": [{"name": "main", "tty": True, "count": 1.5, "nothing": None, "list": ["a", ["b"]]}]}


def back(form: Form[_T], value: _T) -> _T:
    return form.read(json.loads(json.dumps(form.write(value))))


@pytest.mark.parametrize(
    "pod",
    [
        Pod(
            META,
            SPEC,
            NodeName("a"),
            bound=True,
            instance=KEY,
            phase=Phase.FAILED,
            reason="Error",
            message="exit code 1",
            started=1.25,
            finished=2.5,
            grace=3.0,
        ),
        Pod(ObjectMeta(KEY), {}),
    ],
)
def test_pods_come_back(pod: Pod) -> None:
    assert back(documents.POD, pod) == pod


def test_other_objects_come_back() -> None:
    job = Job(META, SPEC, KEY, complete=True, reason="x", finished=1.0)
    service = Service(META, SPEC, KEY)
    node = Node(NodeName("a"), ready=False, since=1.5)
    handler = HandlerReport(HandlerName("udev"), "embedded", 1.0, 2.0, 3, 4, {"filter": 1}, "m", "e", Reason.INVALID)
    report = DiscoveryReport(KEY, "uid", NodeName("a"), 2, 3.0, (handler,), ("p",), (KeptDevice("d", "i", 1.0, 2, "w"),))
    status = ConfigurationStatus(1, (Condition("Ready", status=True, reason=Reason.ACCEPTED, message="m", since=1.0),), 1, 2, 3, 4)
    past = PastEvent(Event("Pod", KEY, Reason.BROKER_FAILED, "m", warning=True), 1.5, NodeName("a"))
    assert back(documents.JOB, job) == job
    assert back(documents.SERVICE, service) == service
    assert back(documents.NODE, node) == node
    assert back(documents.REPORT, report) == report
    assert back(documents.STATUS, status) == status
    assert back(documents.EVENT, past) == past


@pytest.mark.parametrize("deleting", [False, True])
def test_configurations_and_instances_come_back(deleting: bool) -> None:
    metadata = evolve(META, deleting=deleting)
    instance = Instance(
        metadata,
        ConfigurationName("cam"),
        "akri.sh/c=8",
        1,
        nodes=(NodeName("a"),),
        device_usage={"c-8-0": "a"},
        broker_properties={"A": "b"},
    )
    configuration = Configuration(
        metadata, DiscoveryRequest(HandlerName("udev"), "groups: []"), 3, PodBroker(SPEC), {"a": 1}, {"b": 2}, {"C": "d"}
    )
    unreadable = UnreadableConfiguration(metadata, (Problem("spec", "is missing", 3), Problem("a", "b")))
    assert back(documents.INSTANCE, instance) == instance
    assert back(documents.CONFIGURATION, configuration) == configuration
    assert back(documents.CONFIGURATION, unreadable) == unreadable


def test_what_another_version_wrote_is_read_as_far_as_it_goes() -> None:
    document = {**documents.POD.write(Pod(META, SPEC)), "unheard": {"of": 1}}
    assert documents.POD.read(document) == Pod(META, SPEC)
    assert documents.POD.read({"metadata": {"key": {"namespace": "a", "name": "b"}}, "spec": {}}) == Pod(
        ObjectMeta(ObjectKey("a", "b")), {}
    )


@pytest.mark.parametrize("form", [documents.POD, documents.JOB, documents.NODE, documents.EVENT, documents.STATUS, documents.REPORT])
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metadata": 1},
        {"metadata": {"key": {"name": ""}}, "spec": {}},
        {"metadata": {"key": {"namespace": "a", "name": "b"}}, "spec": 3},
    ],
)
def test_what_cannot_be_read_says_so(form: Form[object], document: dict[str, object]) -> None:
    with pytest.raises(InvalidDocumentError):
        form.read(json.loads(json.dumps(document)))


def test_an_instance_that_cannot_be_read_says_so() -> None:
    with pytest.raises(InvalidDocumentError, match=r"spec\.capacity"):
        documents.INSTANCE.read({"metadata": {"name": "a"}, "spec": {"configurationName": "a", "cdiName": "b", "capacity": "x"}})

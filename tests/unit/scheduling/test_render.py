"""What a broker pod, job or service looks like, to the letter."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import JobBroker, PodBroker
from akri.core.ids import NodeName
from akri.core.metadata import Json, JsonObject, OwnerReference
from akri.core.reports import Reason
from akri.scheduling.model import CreateJob, CreatePod, CreateService, UpdateService
from akri.scheduling.render import (
    Hashes,
    configuration_service,
    create_job,
    create_pod,
    digest_of,
    instance_service,
    pod_key,
    update_service,
)
from tests.unit.scheduling.building import configuration, instance, key

HASHES = Hashes("s", "d")
OWNER = OwnerReference("akri.sh/v0", "Instance", "cam-aaaaaa", "uid-cam-aaaaaa", controller=True)
BOUND = {"key": "metadata.name", "operator": "In", "values": ["node.a"]}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
MINE: JsonObject = {"akri.sh/cam-aaaaaa": "1"}
THEIRS: JsonObject = {"{{PLACEHOLDER}}": "1"}


def pod(spec: JsonObject, *, shared: bool = True) -> CreatePod:
    """Make a pod for one node."""
    return create_pod(instance("node.a", shared=shared), PodBroker(spec), HASHES, NodeName("node.a"), 3)


def affinity(spec: JsonObject) -> Json:
    """Return the affinity of the pod made from a spec."""
    return pod(spec).spec["affinity"]


def required(terms: Json) -> JsonObject:
    """Write a required node affinity."""
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}


def test_a_pod_of_a_shared_device() -> None:
    assert pod({"hostNetwork": True}) == CreatePod(
        key=key("node.a-cam-aaaaaa-pod"),
        instance=key("cam-aaaaaa"),
        node=NodeName("node.a"),
        owner=OWNER,
        labels={
            "app": "node.a-cam-aaaaaa-pod",
            "controller": "akri.sh",
            "akri.sh/configuration": "cam",
            "akri.sh/instance": "cam-aaaaaa",
            "akri.sh/target-node": "node.a",
        },
        annotations={"akri.sh/broker-hash": "s-d", "akri.sh/attempt": "3"},
        spec={"hostNetwork": True, "affinity": required([{"matchFields": [BOUND]}])},
        reason=Reason.BROKER_CREATED,
    )


def test_a_pod_of_a_device_of_one_node() -> None:
    made = pod({}, shared=False)
    assert made.key == key("cam-aaaaaa-pod") == pod_key(instance(shared=False), NodeName("node.a"))
    assert made.labels["app"] == "cam-aaaaaa-pod"
    assert pod_key(instance(), NodeName("b")) == key("b-cam-aaaaaa-pod")


def test_the_device_is_filled_in_everywhere_it_is_asked_for() -> None:
    asked: JsonObject = {"resources": {"limits": {**THEIRS, "cpu": "2"}, "requests": THEIRS, "claims": []}, "name": "c"}
    made = pod({"containers": [asked, {"name": "d"}], "initContainers": [asked], "other": [asked]}).spec
    filled: JsonObject = {"resources": {"limits": {**MINE, "cpu": "2"}, "requests": MINE, "claims": []}, "name": "c"}
    assert made["containers"] == [filled, {"name": "d"}]
    assert made["initContainers"] == [filled]
    assert made["other"] == [asked]
    assert "initContainers" not in pod({"containers": []}).spec


def test_limits_alone_stay_alone() -> None:
    assert pod({"containers": [{"resources": {"limits": THEIRS}}]}).spec["containers"] == [{"resources": {"limits": MINE}}]
    assert pod({"containers": [{"resources": {"requests": THEIRS}}]}).spec["containers"] == [{"resources": {"requests": MINE}}]


@pytest.mark.parametrize("containers", [None, "text", 3, [], ["text"], [None], [{"resources": {}}]])
def test_what_is_no_container_is_handed_through(containers: Json) -> None:
    assert pod({"containers": containers}).spec["containers"] == containers


@pytest.mark.parametrize("resources", [None, "text", []])
def test_resources_that_are_none_ask_for_nothing(resources: Json) -> None:
    assert pod({"containers": [{"resources": resources}]}).spec["containers"] == [{"resources": {}}]


def test_the_node_is_added_to_each_term_of_the_users_own_affinity() -> None:
    zone: JsonObject = {"matchExpressions": [{"key": "zone"}]}
    field: JsonObject = {"matchFields": [{"key": "x"}]}
    assert affinity({"affinity": required([zone, field])}) == required(
        [{**zone, "matchFields": [BOUND]}, {"matchFields": [{"key": "x"}, BOUND]}]
    )


def test_other_affinities_are_kept() -> None:
    own: JsonObject = {"podAffinity": {"a": 1}, "nodeAffinity": {"preferred": [], REQUIRED: {"nodeSelectorTerms": [], "x": 1}}}
    terms: Json = [{"matchFields": [BOUND]}]
    assert affinity({"affinity": own}) == {
        "podAffinity": {"a": 1},
        "nodeAffinity": {"preferred": [], REQUIRED: {"nodeSelectorTerms": terms, "x": 1}},
    }


@pytest.mark.parametrize("odd", [None, "text", 3, {}, {"nodeAffinity": None}, required(None), required("text"), required([])])
def test_an_affinity_that_is_none_is_made(odd: Json) -> None:
    assert affinity({"affinity": odd}) == required([{"matchFields": [BOUND]}])


@pytest.mark.parametrize("odd", ["text", {"matchFields": "text"}, {"matchFields": None}])
def test_a_term_that_is_none_is_made(odd: Json) -> None:
    assert affinity({"affinity": required([odd])}) == required([{"matchFields": [BOUND]}])


def test_a_job() -> None:
    container: JsonObject = {"resources": {"limits": THEIRS}}
    template: JsonObject = {"metadata": {"labels": {"a": "b"}, "name": "n"}, "spec": {"containers": [container]}, "x": 1}
    owner = configuration(generation=4)
    made = create_job(instance("a"), owner, JobBroker({"backoffLimit": 4, "template": template}), HASHES, 2)
    labels = {"akri.sh/configuration": "cam", "akri.sh/instance": "cam-aaaaaa"}
    assert made == CreateJob(
        key=key("cam-aaaaaa-4-job"),
        instance=key("cam-aaaaaa"),
        owner=OWNER,
        labels={"app": "cam-aaaaaa-4-job", "controller": "akri.sh", **labels},
        annotations={"akri.sh/broker-hash": "s-d", "akri.sh/attempt": "2"},
        spec={
            "backoffLimit": 4,
            "template": {
                "metadata": {"labels": {"a": "b", **labels}, "name": "n"},
                "spec": {"containers": [{"resources": {"limits": MINE}}]},
                "x": 1,
            },
        },
    )


def test_a_job_without_a_template_gets_one() -> None:
    made = create_job(instance("a"), configuration(), JobBroker({}), HASHES, 0)
    labels = {"akri.sh/configuration": "cam", "akri.sh/instance": "cam-aaaaaa"}
    assert made.spec == {"template": {"metadata": {"labels": labels}, "spec": {}}}


def test_the_service_of_an_instance() -> None:
    made = instance_service(instance("a"), {"ports": [], "selector": {"a": "b"}})
    assert made == CreateService(
        key=key("cam-aaaaaa-svc"),
        about=key("cam-aaaaaa"),
        owner=OWNER,
        labels={"app": "cam-aaaaaa-svc", "controller": "akri.sh", "akri.sh/instance": "cam-aaaaaa"},
        annotations=made.annotations,
        spec={"ports": [], "selector": {"a": "b", "akri.sh/instance": "cam-aaaaaa"}},
    )
    assert made.annotations == {"akri.sh/broker-hash": digest_of({"labels": made.labels, "spec": made.spec})}


def test_the_service_of_a_configuration() -> None:
    made = configuration_service(configuration(), {"ports": []})
    assert made == CreateService(
        key=key("cam-svc"),
        about=key("cam"),
        owner=OwnerReference("akri.sh/v0", "Configuration", "cam", "uid-cam", controller=True),
        labels={"app": "cam-svc", "controller": "akri.sh", "akri.sh/configuration": "cam"},
        annotations=made.annotations,
        spec={"ports": [], "selector": {"akri.sh/configuration": "cam"}},
    )
    assert update_service(made, "u") == UpdateService(made.key, "u", made.labels, made.annotations, made.spec, Reason.SERVICE_CHANGED)
    assert evolve(made, key=key("x")) != made


def test_a_digest_is_stable_and_blind_to_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": ["x", None, "ä"]}) == "b93daac372dfe52f"
    assert digest_of({"b": 2, "a": 1}) == digest_of({"a": 1, "b": 2})
    assert digest_of({"a": "1"}) != digest_of({"a": 1})
    assert digest_of({"a": ["x", "y"]}) != digest_of({"a": ["y", "x"]})
    assert digest_of({"a": "\ud800"}) != digest_of({"a": "\ud801"})
    assert len(digest_of({})) == 16


def test_hashes_tell_what_changed() -> None:
    assert str(HASHES) == "s-d"
    assert HASHES.cause("s-d") is None
    assert HASHES.cause("s-e") is Reason.DEVICE_MOVED
    assert HASHES.cause("t-d") is Reason.BROKER_CHANGED
    assert HASHES.cause("s") is Reason.DEVICE_MOVED
    assert HASHES.cause("") is Reason.BROKER_CHANGED

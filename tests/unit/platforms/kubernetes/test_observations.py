"""Pods, jobs, services and nodes of an API server as the controller's values."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.observations import broker_job, broker_pod, broker_service, node_state, refusal
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState, Phase
from tests.unit.platforms.kubernetes.objects import CREATED, INSTANCE_OWNER, at, condition, container, job, metadata, node, pod

INSTANCE = ObjectKey("default", "cam-8120fe")
A = NodeName("node-a")
PENDING = BrokerPod(
    ObjectKey("default", "node-a-cam-8120fe-pod"), "9a1d", INSTANCE, A, Phase.PENDING, 3, "abc-def", CREATED, 0.0, 0.0, "", deleting=False
)
STATEFUL: JsonObject = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "77", "controller": True}
USER: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "name": "web", "uid": "78"}
BEGUN: JsonObject = {"startTime": at(2), "qosClass": "BestEffort", "hostIP": "10.0.0.1", "observedGeneration": 1}
REJECTED: JsonObject = {
    "phase": "Failed",
    "reason": "UnexpectedAdmissionError",
    "message": "Pod was rejected: Allocate failed due to rpc error",
    "startTime": at(4),
    "qosClass": "BestEffort",
}
LOST: JsonObject = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}}


def _pods(*ends: JsonObject) -> list[JsonObject]:
    return [pod(status) for status in ends]


def _ran(exit_code: int, reason: str) -> JsonObject:
    return {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": at(5), "finishedAt": at(65), "containerID": "c://1"}}


def test_a_pod_that_waits_for_its_node() -> None:
    scheduled = condition("PodScheduled", "False", 0, "Unschedulable")

    assert broker_pod(pod({"phase": "Pending", "conditions": [scheduled], "qosClass": "BestEffort"})) == PENDING


def test_a_pod_has_not_started_while_it_initialises_or_pulls_images() -> None:
    waiting = container({"waiting": {"reason": "PodInitializing"}})
    initial = container({"running": {"startedAt": at(4)}}, name="first")
    status: JsonObject = {**BEGUN, "phase": "Pending", "initContainerStatuses": [initial], "containerStatuses": [waiting]}

    assert broker_pod(pod(status, {"nodeName": "node-a"})) == PENDING


def test_a_pod_started_with_its_first_container_and_a_restart_changes_that_little() -> None:
    running = container({"running": {"startedAt": at(5)}})
    again = container({"running": {"startedAt": at(90)}}, _ran(1, "Error"))
    later = container({"running": {"startedAt": at(7)}}, name="sidecar")

    for first in (running, again):
        found = broker_pod(pod({**BEGUN, "phase": "Running", "containerStatuses": [later, first]}))
        assert found == evolve(PENDING, phase=Phase.RUNNING, started=CREATED + 5)


def test_a_running_pod_whose_containers_nobody_reports_started_when_its_kubelet_took_it() -> None:
    assert broker_pod(pod({**BEGUN, "phase": "Running"})) == evolve(PENDING, phase=Phase.RUNNING, started=CREATED + 2)


def test_a_pod_that_succeeded() -> None:
    ready = condition("Ready", "False", 66, "PodCompleted")
    status: JsonObject = {**BEGUN, "phase": "Succeeded", "conditions": [ready], "containerStatuses": [container(_ran(0, "Completed"))]}

    found = broker_pod(pod(status))

    assert found == evolve(PENDING, phase=Phase.SUCCEEDED, started=CREATED + 5, finished=CREATED + 65)


def test_a_pod_that_failed_names_the_container_that_did() -> None:
    ends = [container(_ran(0, "Completed")), container(_ran(137, "OOMKilled"), name="second")]

    found = broker_pod(pod({**BEGUN, "phase": "Failed", "containerStatuses": ends}))

    assert found == evolve(PENDING, phase=Phase.FAILED, reason="OOMKilled", started=CREATED + 5, finished=CREATED + 65)


def test_a_pod_whose_init_container_failed_never_started() -> None:
    initial, waiting = container(_ran(1, "Error"), name="first"), container({"waiting": {"reason": "PodInitializing"}})
    status: JsonObject = {**BEGUN, "phase": "Failed", "initContainerStatuses": [initial], "containerStatuses": [waiting]}

    assert broker_pod(pod(status)) == evolve(PENDING, phase=Phase.FAILED, reason="Error", finished=CREATED + 65)


@pytest.mark.parametrize("reason", ["UnexpectedAdmissionError", "OutOfakri.sh/cam-8120fe", "NodeAffinity"])
def test_a_pod_that_its_node_refused_ended_when_it_came_and_never_started(reason: str) -> None:
    found = broker_pod(pod({**REJECTED, "reason": reason}, {"nodeName": "node-a"}))

    assert found == evolve(PENDING, phase=Phase.FAILED, reason=reason, finished=CREATED + 4)


def test_a_kubelet_that_was_restarted_dates_the_end_of_a_pod_that_it_refused_no_later() -> None:
    # As found on a kubelet 1.36.3, 19 s later: all conditions are new, and containers that never were have an end.
    conditions = [condition(name, "False", 23, "PodFailed") for name in ("PodReadyToStartContainers", "Ready", "ContainersReady")]
    status: JsonObject = {**REJECTED, "reason": "OutOfcpu", "conditions": conditions, "containerStatuses": [container(LOST)]}

    assert broker_pod(pod(status)) == evolve(PENDING, phase=Phase.FAILED, reason="OutOfcpu", finished=CREATED + 4)


def test_a_pod_that_was_evicted_keeps_that_as_its_reason() -> None:
    target = condition("DisruptionTarget", "True", 70, "TerminationByKubelet")
    ends = [container(LOST), container(_ran(137, "Error"), name="second")]
    status: JsonObject = {**BEGUN, "phase": "Failed", "reason": "Evicted", "conditions": [target], "containerStatuses": ends}

    assert broker_pod(pod(status)) == evolve(PENDING, phase=Phase.FAILED, reason="Evicted", started=CREATED + 5, finished=CREATED + 70)


def test_a_pod_of_a_node_that_fell_silent_ended_when_it_was_given_up() -> None:
    """Its container runs for ever, as far as the status knows; an init container that ended long ago tells nothing of the end."""
    ready = condition("Ready", "False", 400)
    initial, running = container(_ran(0, "Completed"), name="first"), container({"running": {"startedAt": at(66)}})
    status: JsonObject = {
        **BEGUN,
        "phase": "Failed",
        "conditions": [ready],
        "initContainerStatuses": [initial],
        "containerStatuses": [running],
    }

    assert broker_pod(pod(status)) == evolve(PENDING, phase=Phase.FAILED, started=CREATED + 66, finished=CREATED + 400)


def test_a_pod_of_which_no_container_is_known_ended_when_it_was_ready_no_more() -> None:
    conditions = [condition("example.com/gate", "False", 900), condition("Ready", "False", 66, "PodFailed")]
    status: JsonObject = {**BEGUN, "phase": "Failed", "conditions": conditions, "containerStatuses": [container(LOST)]}

    found = broker_pod(pod(status))

    assert found == evolve(PENDING, phase=Phase.FAILED, reason="ContainerStatusUnknown", finished=CREATED + 66)


def test_a_pod_of_which_nothing_is_known_ended_when_it_was_made() -> None:
    found = broker_pod(pod({"phase": "Failed"}))

    assert found == evolve(PENDING, phase=Phase.FAILED, finished=CREATED)


@pytest.mark.parametrize(("phase", "expected"), [("", Phase.PENDING), ("Unknown", Phase.RUNNING), ("Brooding", Phase.PENDING)])
def test_phases_that_say_little(phase: str, expected: Phase) -> None:
    found = broker_pod(pod({"phase": phase} if phase else {}))

    assert found == evolve(PENDING, phase=expected)


def test_a_pod_on_its_way_out() -> None:
    found = broker_pod(pod({"phase": "Pending"}, deletionTimestamp=at(30), deletionGracePeriodSeconds=30))

    assert found == evolve(PENDING, deleting=True)


def test_the_node_is_the_one_that_the_pod_was_made_for() -> None:
    own: JsonObject = {"key": "metadata.name", "operator": "In", "values": ["node-a"]}
    others: list[Json] = [
        {"key": "metadata.name", "operator": "NotIn", "values": ["node-x"]},
        {"key": "metadata.name", "operator": "In", "values": ["node-a", "node-b"]},
    ]
    labels = {"akri.sh/instance": "cam-8120fe", "akri.sh/target-node": "node-l"}
    for fields, bound, expected in (
        ([*others, own], "node-x", "node-a"),
        (others, "node-b", "node-b"),
        ([], "node-b", "node-b"),
        ([], "", "node-l"),
    ):
        terms: list[Json] = [{"matchFields": fields}, {"matchFields": [own]}]
        required: JsonObject = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms if fields else []}}
        spec: JsonObject = {"affinity": {"nodeAffinity": required}} | ({"nodeName": bound} if bound else {})
        found = broker_pod(pod({"phase": "Pending"}, spec, labels=labels))
        assert found == evolve(PENDING, node=NodeName(expected)), expected


@pytest.mark.parametrize(("attempt", "expected"), [("", 0), ("-1", 0), ("x", 0), ("12", 12), ("1234567890", 0), ("٣", 0)])
def test_an_attempt_that_somebody_scribbled_over_counts_as_none(attempt: str, expected: int) -> None:
    found = broker_pod(pod({"phase": "Pending"}, annotations={"akri.sh/attempt": attempt, "akri.sh/broker-hash": "abc-def"}))

    assert found == evolve(PENDING, attempt=expected)


def test_pods_of_others_are_not_brokers() -> None:
    of_job: JsonObject = {**INSTANCE_OWNER, "apiVersion": "batch/v1", "kind": "Job"}
    foreign: JsonObject = {**INSTANCE_OWNER, "apiVersion": "example.com/v1"}
    of_configuration: JsonObject = {**INSTANCE_OWNER, "kind": "Configuration"}

    for owner in (of_job, foreign, of_configuration, STATEFUL):
        assert broker_pod(pod({"phase": "Pending"}, ownerReferences=[USER, owner])) is None
    assert broker_pod(pod({"phase": "Pending"}, ownerReferences=[USER], labels={"controller": "akri.sh"})) is None


def test_a_pod_that_lost_its_owner_serves_the_instance_of_its_label() -> None:
    assert broker_pod(pod({"phase": "Pending"}, ownerReferences=[USER])) == PENDING


RUNNING_JOB = BrokerJob(ObjectKey("default", "cam-8120fe-1-job"), "9a1d", INSTANCE, "abc-def", 3, CREATED)


def test_a_job_has_ended_when_its_pods_have() -> None:
    met = condition("SuccessCriteriaMet", "True", 50, "CompletionsReached")
    target = condition("FailureTarget", "True", 50, "BackoffLimitExceeded")
    suspended = condition("Suspended", "True", 50, "JobSuspended")
    complete = condition("Complete", "True", 60, "CompletionsReached")
    failed = condition("Failed", "True", 70, "BackoffLimitExceeded")

    assert broker_job(job()) == RUNNING_JOB
    assert broker_job(job(suspended)) == broker_job(job(met)) == broker_job(job(target)) == RUNNING_JOB
    assert broker_job(job(condition("Failed", "False", 9))) == RUNNING_JOB
    assert broker_job(job(met, complete)) == evolve(RUNNING_JOB, complete=True, finished=CREATED + 60)
    ended = evolve(RUNNING_JOB, failed=True, finished=CREATED + 70, reason="BackoffLimitExceeded")
    assert broker_job(job(target, failed)) == ended


def test_a_job_on_its_way_out_and_one_of_somebody_else() -> None:
    assert broker_job(job(deletionTimestamp=at(5), finalizers=["foregroundDeletion"])) == evolve(RUNNING_JOB, deleting=True)
    assert broker_job(job(ownerReferences=[STATEFUL])) is None


def test_a_job_was_refused_if_no_pod_of_it_ever_ran() -> None:
    later: JsonObject = {**REJECTED, "reason": "OutOfakri.sh/cam-8120fe", "startTime": at(9)}
    restarted: JsonObject = {**REJECTED, "containerStatuses": [container(LOST)]}
    failed: JsonObject = {**BEGUN, "phase": "Failed", "containerStatuses": [container(_ran(1, "Error"))]}
    initial: JsonObject = {**REJECTED, "initContainerStatuses": [container(_ran(1, "Error"))]}

    assert refusal(_pods(REJECTED)) == refusal(_pods(restarted)) == "UnexpectedAdmissionError"
    assert refusal(_pods(later, REJECTED)) == refusal(_pods(REJECTED, later)) == "OutOfakri.sh/cam-8120fe"
    assert refusal(_pods({**BEGUN, "phase": "Running"}, REJECTED)) == "UnexpectedAdmissionError"
    for other in (failed, initial, {"phase": "Failed"}):
        assert refusal(_pods(REJECTED, other)) == ""
    assert refusal([]) == refusal(_pods({"phase": "Succeeded"})) == ""


def test_a_service_belongs_to_an_instance_or_a_configuration() -> None:
    spec: JsonObject = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"], "type": "ClusterIP"}
    key = ObjectKey("default", "cam-svc")
    of_configuration: JsonObject = {**INSTANCE_OWNER, "kind": "Configuration", "name": "cam"}
    loose = {"controller": "akri.sh", "akri.sh/configuration": "cam"}

    of_instance = broker_service({"metadata": metadata("cam-svc", INSTANCE_OWNER), "spec": spec})
    assert of_instance == BrokerService(key, "9a1d", INSTANCE, "abc-def")
    expected = BrokerService(key, "9a1d", ObjectKey("default", "cam"), "abc-def")
    assert broker_service({"metadata": metadata("cam-svc", of_configuration), "spec": spec}) == expected
    assert broker_service({"metadata": metadata("cam-svc", labels=loose), "spec": spec}) == expected
    assert broker_service({"metadata": metadata("cam-svc", STATEFUL), "spec": spec}) is None


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_node_is_ready_if_it_says_so(status: str, ready: bool) -> None:
    assert node_state(node(condition("Ready", status, 40, "KubeletReady"))) == NodeState(A, ready=ready, since=CREATED + 40)


def test_a_node_that_never_said_anything_is_not_ready_since_it_was_made() -> None:
    assert node_state(node()) == node_state({**node(), "status": {}}) == NodeState(A, ready=False, since=CREATED)
    untimed: JsonObject = {"type": "Ready", "status": "True", "lastTransitionTime": None}
    assert node_state(node(untimed)) == NodeState(A, ready=True, since=CREATED)


def test_a_node_that_is_drained_keeps_its_devices() -> None:
    taints: list[Json] = [
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": at(500)},
    ]

    found = node_state(node(condition("Ready", "True", 40, "KubeletReady"), unschedulable=True, taints=taints))

    assert found == NodeState(A, ready=True, since=CREATED + 40)

"""The one broker job of an Instance."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import JobBroker, NoBroker
from akri.core.ids import NodeName
from akri.core.reports import Reason
from akri.scheduling.jobs import rejected
from akri.scheduling.model import BrokerJob, CreateJob, DeleteJob, DeletePod, Phase
from akri.scheduling.planning import plan
from akri.scheduling.snapshot import Snapshot
from tests.unit.scheduling.building import NOW, POD, configuration, instance, job_of, key, node, only, plan_pods, snapshot

JOB = configuration(broker=JobBroker({"template": {"spec": POD}}))
NAME = key("cam-aaaaaa-1-job")
UID = "uid-cam-aaaaaa-1-job"


def working() -> tuple[Snapshot, BrokerJob]:
    """Let the planned job exist."""
    cluster = snapshot(instance("a", "b", owner=JOB), owner=JOB)
    made = only(plan(cluster, NOW))
    assert isinstance(made, CreateJob)
    job = job_of(made)
    return cluster.with_jobs([job]), job


def again(cluster: Snapshot, now: float = NOW) -> CreateJob:
    """Return the job that is planned."""
    made = only(plan(cluster, now))
    assert isinstance(made, CreateJob)
    return made


def test_one_job_for_each_instance_whatever_its_nodes() -> None:
    made = again(snapshot(instance("a", "b", owner=JOB), owner=JOB))
    assert made.key == NAME
    assert made.instance == key("cam-aaaaaa")
    assert made.annotations["akri.sh/attempt"] == "0"
    cluster, _ = working()
    assert plan(cluster, NOW).actions == ()
    assert plan(cluster, NOW).next_due is None


def test_no_job_where_no_node_is_left() -> None:
    cluster = snapshot(instance("a", owner=JOB), owner=JOB, nodes=[])
    assert not any(isinstance(action, CreateJob) for action in plan(cluster, NOW).actions)
    cluster, _ = working()
    made = plan(cluster.with_nodes(gone=[NodeName("a"), NodeName("b")]), NOW)
    assert made.actions[-1] == DeleteJob(
        NAME, UID, Reason.DEVICE_LOST, "broker job default/cam-aaaaaa-1-job is removed: no node sees the device any more"
    )


def test_a_new_generation_alone_makes_no_new_job() -> None:
    cluster, _ = working()
    edited = configuration(broker=JOB.broker, generation=2, capacity=5)
    assert plan(cluster.with_configurations([edited], at=NOW), NOW).actions == ()


def test_a_changed_specification_makes_a_new_job_when_the_old_one_is_gone() -> None:
    cluster, job = working()
    edited = configuration(broker=JobBroker({"template": {"spec": {}}}), generation=2)
    cluster = cluster.with_configurations([edited], at=NOW)
    assert only(plan(cluster, NOW)) == DeleteJob(
        NAME, UID, Reason.BROKER_CHANGED, "broker job default/cam-aaaaaa-1-job is removed: the specification of the broker changed"
    )
    leaving = cluster.with_jobs([evolve(job, deleting=True)])
    assert plan(leaving, NOW).actions == ()
    made = again(leaving.with_jobs(gone=[job]))
    assert made.key == key("cam-aaaaaa-2-job")
    assert made.annotations["akri.sh/attempt"] == "0"


def test_changed_properties_make_a_new_job() -> None:
    cluster, _ = working()
    made = only(plan(cluster.with_instances([instance("a", owner=JOB, properties={"A": "b"})]), NOW))
    assert isinstance(made, DeleteJob)
    assert made.reason is Reason.DEVICE_MOVED
    assert made.message == "broker job default/cam-aaaaaa-1-job is removed: the properties or the address of its device changed"


def test_of_two_jobs_the_older_stays() -> None:
    cluster, job = working()
    second = evolve(job, key=key("x"), uid="x", created=NOW - 1)
    made = only(plan(cluster.with_jobs([second]), NOW))
    assert made == DeleteJob(
        NAME, UID, Reason.BROKER_REMOVED, "broker job default/cam-aaaaaa-1-job is removed: the device has an older one"
    )
    leaving = evolve(second, deleting=True)
    assert plan(cluster.with_jobs([leaving]), NOW).actions == ()
    same_age = evolve(job, key=key("z"), uid="z")
    assert only(plan(cluster.with_jobs([same_age]), NOW)) == DeleteJob(
        key("z"), "z", Reason.BROKER_REMOVED, "broker job default/z is removed: the device has an older one"
    )


@pytest.mark.parametrize(
    ("failed", "reason", "expected"),
    [
        (True, "UnexpectedAdmissionError", True),
        (True, "OutOfakri.sh/cam", True),
        (True, "BackoffLimitExceeded", False),
        (True, "", False),
        (False, "UnexpectedAdmissionError", False),
    ],
)
def test_only_a_refusal_by_the_node_counts_as_rejected(*, failed: bool, reason: str, expected: bool) -> None:
    _, job = working()
    assert rejected(evolve(job, failed=failed, reason=reason)) is expected


def test_a_rejected_job_is_replaced_after_its_back_off() -> None:
    cluster, job = working()
    refused = evolve(job, failed=True, reason="UnexpectedAdmissionError", finished=NOW + 5, attempt=1)
    cluster = cluster.with_jobs([refused])
    early = plan(cluster, NOW + 24)
    assert early.actions == ()
    assert early.next_due == NOW + 25
    late = plan(cluster, NOW + 25)
    assert late.next_due is None
    why = "it was refused by the node (UnexpectedAdmissionError), a new one follows as attempt 2"
    assert only(late) == DeleteJob(NAME, UID, Reason.BROKER_FAILED, f"broker job default/cam-aaaaaa-1-job is removed: {why}")
    gone = cluster.with_jobs(gone=[refused])
    assert again(gone, NOW + 25).annotations["akri.sh/attempt"] == "2"
    edited = configuration(broker=JobBroker({"template": {"spec": {}}}), generation=2)
    assert again(gone.with_configurations([edited], at=NOW)).annotations["akri.sh/attempt"] == "0"


def test_a_rejected_job_starts_over_after_ten_minutes() -> None:
    cluster, job = working()
    refused = evolve(job, failed=True, reason="OutOfcpu", created=NOW, finished=NOW + 600, attempt=4)
    assert again(cluster.with_jobs([refused]).with_jobs(gone=[refused])).annotations["akri.sh/attempt"] == "1"


def test_a_job_whose_program_failed_or_that_is_complete_stays() -> None:
    cluster, job = working()
    for ended in (evolve(job, failed=True, reason="BackoffLimitExceeded", finished=NOW), evolve(job, complete=True, finished=NOW)):
        made = plan(cluster.with_jobs([ended]), NOW + 1000)
        assert made.actions == ()
        assert made.next_due is None


def test_a_job_that_a_user_deletes_comes_back() -> None:
    cluster, job = working()
    assert again(cluster.with_jobs(gone=[job])).annotations["akri.sh/attempt"] == "0"


def test_a_job_that_was_asked_for_is_waited_for() -> None:
    cluster, job = working()
    asked = cluster.with_jobs(gone=[job]).with_jobs([evolve(job, uid="")])
    assert plan(asked, NOW).actions == ()
    edited = configuration(broker=JobBroker({"template": {"spec": {}}}), generation=2)
    assert plan(asked.with_configurations([edited], at=NOW), NOW).actions == ()


def test_brokers_of_another_kind_are_removed() -> None:
    cluster, _ = working()
    why = "its Configuration wants none of its kind"
    gone = DeleteJob(NAME, UID, Reason.BROKER_REMOVED, f"broker job default/cam-aaaaaa-1-job is removed: {why}")
    assert only(plan(cluster.with_configurations([configuration(broker=NoBroker())]), NOW)) == gone
    assert plan(cluster.with_configurations([configuration(capacity=1)]), NOW).actions[0] == gone
    pods = plan_pods(snapshot(instance("a")))
    name = "a-cam-aaaaaa-pod"
    pod = DeletePod(
        key(name),
        f"uid-{name}",
        Reason.BROKER_REMOVED,
        f"broker pod default/{name} on node a is removed: {why}",
    )
    assert only(plan(pods.with_configurations([configuration(broker=NoBroker())]), NOW)) == pod
    assert plan(pods.with_configurations([JOB]), NOW).actions[0] == pod
    assert pods.pods[key("cam-aaaaaa")][0].phase is Phase.RUNNING


def test_jobs_of_an_instance_that_is_gone_are_removed() -> None:
    cluster, _ = working()
    assert only(plan(cluster.with_instances(gone=[key("cam-aaaaaa")]), NOW)) == DeleteJob(
        NAME, UID, Reason.DEVICE_LOST, "broker job default/cam-aaaaaa-1-job is removed: Instance default/cam-aaaaaa is gone"
    )


def test_a_job_waits_with_its_instance_for_a_node() -> None:
    cluster = snapshot(instance("a", owner=JOB), owner=JOB, nodes=[node("a", ready=False, since=NOW)])
    assert plan(cluster, NOW).next_due == NOW + 300
    assert isinstance(only(plan(cluster, NOW)), CreateJob)

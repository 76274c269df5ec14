"""What is said of brokers that fail, may not, wait or were refused."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.cli.diagnosis.finding import Fault, Severity
from akri.cli.diagnosis.sight import Sight
from akri.core.ids import ConfigurationName, NodeName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.reports import Reason
from akri.ports import ContainerState
from akri.scheduling.model import BrokerJob, NodeState, Phase
from tests.unit.cli.explain_samples import DEVICE, NOW, SIGHT, Sample, details, event, explained, key

FREE = evolve(DEVICE, device_usage={})
POD = "Broker default/cam-8120fe-pod on node node-a"


def test_a_broker_that_runs_for_long_is_well_whatever_was_before() -> None:
    for sight in (SIGHT, Sample.broker(attempt=7), Sample.broker(ContainerState("main", running=True, started=NOW - 700, restarts=5))):
        (found,) = explained(sight)
        assert found.fault is Fault.NOTHING
        assert found.title == "Nothing is wrong with Configuration default/cam: 1 device on 1 node, 1 of 1 broker running"


@pytest.mark.parametrize("name", ["cam", "instance/cam-8120fe", "broker/cam-8120fe-pod"])
def test_a_container_that_is_started_again_and_again_is_told_with_its_exit_code(name: str) -> None:
    crashed = ContainerState("main", finished=NOW - 7, exit_code=3, restarts=4, reason="CrashLoopBackOff")
    (found,) = explained(Sample.broker(crashed, logs=("one", "no such camera\x1b[31m")), name)
    assert found.title == f"{POD} does not stay up: container main ended with exit code 3 (CrashLoopBackOff); it failed 4 times in a row"
    assert found.advice == "See what it wrote: akri logs cam-8120fe-pod; then correct spec.brokerSpec or the program"
    assert found.evidence[-2:] == ("log: one", "log: no such camera\\x1b[31m")
    assert "container main: 4 restarts, exit code 3, ended 7 s ago (CrashLoopBackOff)" in found.evidence
    assert (found.fault, found.severity) == (Fault.BROKER_FAILING, Severity.PROBLEM)


def test_a_broker_that_ended_names_the_next_attempt_and_its_back_off() -> None:
    sight = Sample.broker(phase=Phase.FAILED, attempt=2, reason="Error", started=NOW - 30, finished=NOW - 15, message="it hit a wall")
    (found,) = explained(sight)
    assert found.title == f"{POD} does not stay up: it hit a wall; it failed 3 times in a row, the next attempt starts in 25 s"
    assert found.evidence[:3] == (
        "Failed on node node-a (Error)",
        "ended 01:46:25 UTC (15 s ago) after 15 s",
        "attempt 3; back-off 40 s, 5 min at most, from anew after 10 min without failure",
    )
    late = evolve(sight, now=NOW + 30)
    assert explained(late)[0].title.endswith("it failed 3 times in a row, the next attempt starts now")


def test_the_first_failure_and_a_good_end_are_told_apart() -> None:
    (failed,) = explained(Sample.broker(phase=Phase.FAILED, reason="Error", finished=NOW - 1))
    assert failed.title == f"{POD} does not stay up: Error; it failed, the next attempt starts in 9 s"
    done = ContainerState("main", finished=NOW - 1, exit_code=0, reason="Completed")
    (ended,) = explained(Sample.broker(done, phase=Phase.SUCCEEDED, finished=NOW - 1))
    assert ended.title.startswith(f"{POD} does not stay up: container main ended with exit code 0; it failed")
    assert ended.severity is Severity.WARNING


def test_a_container_that_its_node_starts_again_is_told_with_the_time_that_is_left() -> None:
    words = "container main ended with exit code 3; it starts again in 40 s"
    told = (
        event("Pod", "cam-8120fe-pod", Reason.BROKER_BACK_OFF, words.replace("40", "20"), 60.0),
        event("Pod", "cam-8120fe-pod", Reason.BROKER_BACK_OFF, words, 10.0),
    )
    sight = Sample.broker(message=words, reason="CrashLoopBackOff")
    sight = evolve(sight, overview=evolve(sight.overview, events=told))
    (found,) = explained(sight)
    assert found.title == (
        f"{POD} does not stay up: container main ended with exit code 3; it failed 2 times in a row, the next attempt starts in 30 s"
    )
    between = Sample.broker()
    between = evolve(between, overview=evolve(between.overview, events=told))
    assert explained(between)[0].title == f"{POD} does not stay up: container main ended with exit code 3; it failed 2 times in a row"
    assert [one.fault for one in explained(evolve(between, now=NOW + 620))] == [Fault.NODE_SILENT]
    at_once = evolve(told[0], event=evolve(told[0].event, message="container main was lost; it starts again at once"))
    lost = evolve(sight, overview=evolve(sight.overview, events=(at_once,)), pods=())
    assert explained(lost)[0].title == f"{POD} does not stay up: container main was lost; it failed, the next attempt starts now"


def test_an_event_tells_how_it_ended_where_nothing_else_does() -> None:
    told = event("Pod", "cam-8120fe-pod", Reason.BROKER_FAILED, "Error: container main ended with exit code 9")
    sight = Sample.broker(attempt=1, started=NOW - 5)
    (found,) = explained(evolve(sight, overview=evolve(sight.overview, events=(told,))))
    assert found.title == f"{POD} does not stay up: Error: container main ended with exit code 9; it failed"
    assert "01:46:30 UTC (10 s ago), BrokerFailed: Error: container main ended with exit code 9" in found.evidence


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("cat: /dev/video0: Permission denied", "/dev/video0"),
        ("PermissionError: [Errno 13] Permission denied: '/dev/bus/usb/001/002'", "/dev/bus/usb/001/002"),
        ("ioctl: Operation not permitted", ""),
    ],
)
def test_a_broker_that_may_not_open_its_device_is_told_so(line: str, path: str) -> None:
    sight = Sample.broker(ContainerState("main", exit_code=1), phase=Phase.FAILED, finished=NOW - 1, logs=("starting", line, "bye"))
    (found,) = explained(sight)
    assert found.fault is Fault.NOT_PERMITTED
    assert found.title == f"A permission is lacking on node-a: {POD} may not open {path or 'what it needs'}: {line}"
    assert found.advice.startswith(f"ls -l {path or '/dev'} on node-a shows who may; ")


def test_brokers_that_go_or_are_not_seen_yet_are_left_alone() -> None:
    for sight in (Sample.broker(phase=Phase.FAILED, deleting=True), Sample.broker(phase=Phase.FAILED, uid="")):
        assert explained(sight)[0].fault is Fault.NOTHING


def test_a_broker_that_waits_for_something_else_than_a_slot() -> None:
    sight = Sample.broker(
        ContainerState("main", reason="ImagePullBackOff"), phase=Phase.PENDING, created=NOW - 100, started=0.0, message="no image\nhere"
    )
    free = evolve(sight, overview=evolve(sight.overview, instances=(FREE,)))
    (found,) = explained(free)
    assert (found.fault, found.severity) == (Fault.BROKER_WAITING, Severity.WARNING)
    assert found.title == f"{POD} has waited for 2 min: no image here"
    assert found.advice.endswith("akri describe cam-8120fe-pod")
    young = evolve(free, now=NOW - 90)
    assert explained(young)[0].fault is Fault.NOTHING
    (bare,) = explained(evolve(free, pods=()))
    assert bare.title == f"{POD} has waited for 2 min: its node has not started it"


def test_a_broker_that_its_node_refuses() -> None:
    refused = Sample.broker(phase=Phase.FAILED, reason="UnexpectedAdmissionError", finished=NOW - 4, message="Pod was rejected: no memory")
    (found,) = explained(evolve(refused, overview=evolve(refused.overview, instances=(FREE,))))
    assert found.title == f"{POD} is refused by its node: Pod was rejected: no memory, the next attempt starts in 6 s"
    assert found.severity is Severity.PROBLEM
    (held,) = explained(refused)
    assert held.fault is Fault.SLOTS_HELD
    assert "broker default/cam-8120fe-pod on node node-a was refused by its node (UnexpectedAdmissionError)" in held.evidence


def _asking(resource: str, *instances: Instance) -> Sight:
    """Let the broker wait for another resource than its own."""
    sight = Sample.broker(phase=Phase.PENDING, started=0.0)
    wanting = evolve(
        details(sight.overview.broker_pods[0]), spec={"containers": [{"name": "main", "resources": {"limits": {resource: 1}}}]}
    )
    nodes = (*sight.overview.nodes, NodeState(NodeName("node-b")))
    return evolve(sight, pods=(wanting,), overview=evolve(sight.overview, instances=(FREE, *instances), nodes=nodes))


def test_a_broker_that_asks_for_another_device_waits_for_its_slots() -> None:
    disk = evolve(DEVICE, metadata=ObjectMeta(key("disk-a19705"), "d"), configuration=ConfigurationName("disk"))
    other = evolve(disk, device_usage={"disk-a19705-0": "node-b"})
    free = evolve(disk, metadata=ObjectMeta(key("disk-8120fe"), "e"), device_usage={})
    for resource in ("akri.sh/disk", "akri.sh/disk-a19705"):
        (found,) = explained(_asking(resource, other), "broker/cam-8120fe-pod")
        assert found.title == "The one slot of Instance default/disk-a19705 is held by node node-b, and pod default/cam-8120fe-pod waits"
    (found,) = explained(_asking("akri.sh/disk", other, free), "broker/cam-8120fe-pod")
    assert found.fault is Fault.BROKER_WAITING
    (found,) = explained(_asking("akri.sh/disk-a19705", other, free), "broker/cam-8120fe-pod")
    assert found.fault is Fault.SLOTS_HELD


def test_a_slot_changes_hands_within_a_moment_without_anybody_waiting() -> None:
    made = Sample.broker(phase=Phase.PENDING, created=NOW - 2, started=0.0)
    assert [one.fault for one in explained(made)] == [Fault.NOTHING]
    assert [one.fault for one in explained(evolve(made, now=NOW + 2))] == [Fault.SLOTS_HELD]


def test_of_the_pods_that_ask_for_a_device_only_those_of_the_holders_node_may_hold_it() -> None:
    elsewhere = evolve(SIGHT.pods[0], metadata=ObjectMeta(key("other"), "o"), node=NodeName("node-b"))
    (found,) = explained(evolve(SIGHT, pods=(*SIGHT.pods, elsewhere)))
    assert any("(cam-8120fe-0 held by pod default/cam-8120fe-pod on node node-a)" in line for line in found.evidence)


def test_a_job_that_failed_is_not_tried_again() -> None:
    job = BrokerJob(key("cam-8120fe-1-job"), "j", key("cam-8120fe"), failed=True, finished=NOW - 9, reason="BackoffLimitExceeded")
    told = event("Job", "cam-8120fe-1-job", Reason.BROKER_FAILED, "too often")
    sight = Sample.overview(broker_jobs=(job,), broker_pods=(), events=(told,))
    for name in ("cam", "job/cam-8120fe-1-job", "broker/cam-8120fe-1-job"):
        (found,) = explained(sight, name)
        assert found.title == (
            "Broker job default/cam-8120fe-1-job of Instance default/cam-8120fe failed: BackoffLimitExceeded; it is not tried again"
        )
        assert found.advice == "See what it wrote: akri logs cam-8120fe-1-job; a change of spec.brokerSpec makes a new job"
    well = Sample.overview(broker_jobs=(evolve(job, failed=False, complete=True),), broker_pods=())
    (found,) = explained(well, "cam-8120fe-1-job")
    assert found.title == "Nothing is wrong with Broker job default/cam-8120fe-1-job: Instance default/cam-8120fe"
    assert "broker job default/cam-8120fe-1-job: complete" in found.evidence

"""What people are told: statuses and events."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.controller.effects import effect_seen
from akri.controller.status import since, statuses
from akri.controller.telling import done, refused
from akri.controller.world import World
from akri.core.configuration import NoBroker, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import ConfigurationName, HandlerName, NodeName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.naming import NameRefusal
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Event, HandlerReport, Reason
from akri.ports import Put
from akri.scheduling.model import (
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    Phase,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)
from akri.scheduling.snapshot import EMPTY
from tests.unit.controller.world import configuration, key

OWNER = OwnerReference("akri.sh/v0", "Instance", "cam-a", "1", controller=True)
DEVICE = Instance(ObjectMeta(key("cam-a"), "1", 5), ConfigurationName("cam"), "", 1, nodes=(NodeName("a"), NodeName("b")))
POD = BrokerPod(key("p"), "1", key("cam-a"), NodeName("a"), Phase.RUNNING)
JOB = BrokerJob(key("j"), "1", key("cam-a"))
SERVICE = BrokerService(key("s"), "1", key("cam-a"), "old")
NEW = {"akri.sh/broker-hash": "new"}


def yes(kind: str, reason: Reason, message: str = "") -> Condition:
    """Write a condition that holds."""
    return Condition(kind, status=True, reason=reason, message=message)


def no(kind: str, reason: Reason, message: str = "") -> Condition:
    """Write a condition that does not hold."""
    return Condition(kind, status=False, reason=reason, message=message)


ACTIONS: list[tuple[Action, Event]] = [
    (
        CreatePod(key("p"), key("cam-a"), NodeName("a"), OWNER, {}, {}, {}),
        Event("Instance", key("cam-a"), Reason.BROKER_CREATED, "broker pod default/p is created for node a"),
    ),
    (
        CreateJob(key("j"), key("cam-a"), OWNER, {}, {}, {}),
        Event("Instance", key("cam-a"), Reason.BROKER_CREATED, "broker job default/j is created"),
    ),
    (DeletePod(key("p"), "1", Reason.BROKER_FAILED, "why"), Event("Pod", key("p"), Reason.BROKER_FAILED, "why", warning=True)),
    (DeleteJob(key("j"), "1", Reason.BROKER_CHANGED, "why"), Event("Job", key("j"), Reason.BROKER_CHANGED, "why")),
    (
        CreateService(key("s"), key("cam-a"), OWNER, {}, {}, {}),
        Event("Instance", key("cam-a"), Reason.SERVICE_CREATED, "service default/s is created, for a broker runs"),
    ),
    (
        UpdateService(key("s"), "1", {}, NEW, {}),
        Event("Service", key("s"), Reason.SERVICE_CHANGED, "service default/s is brought up to date"),
    ),
    (
        DeleteService(key("s"), "1"),
        Event("Service", key("s"), Reason.SERVICE_REMOVED, "service default/s is removed, for no broker is left or it is wanted no more"),
    ),
    (
        RemoveNode(DEVICE, NodeName("a")),
        Event("Instance", key("cam-a"), Reason.NODE_LOST, "node a is lost: it leaves the Instance and its slots are freed", warning=True),
    ),
    (
        RepairUsage(DEVICE, ("x", "y")),
        Event(
            "Instance",
            key("cam-a"),
            Reason.SLOT_UNREADABLE,
            "keys of deviceUsage that nobody can read are removed: 'x', 'y'",
            warning=True,
        ),
    ),
    (
        WriteCapacity(DEVICE, 4, 2),
        Event(
            "Instance",
            key("cam-a"),
            Reason.REPORTER_BEHIND,
            "node a did not bring the Instance up to date: capacity 4 is written for it",
            warning=True,
        ),
    ),
    (
        DeleteInstance(DEVICE, Reason.DEVICE_LOST),
        Event("Instance", key("cam-a"), Reason.DEVICE_LOST, "the Instance is deleted: no node sees the device any more"),
    ),
    (
        DeleteInstance(DEVICE, Reason.CONFIGURATION_GONE),
        Event("Instance", key("cam-a"), Reason.CONFIGURATION_GONE, "the Instance is deleted: its Configuration is gone"),
    ),
    (
        DropFinalizers("Configuration", key("cam"), ("a", "b")),
        Event("Configuration", key("cam"), Reason.FINALIZER_LEFT, "finalizers of an earlier Akri are removed: a, b"),
    ),
]


@pytest.mark.parametrize(("action", "event"), ACTIONS)
def test_each_action_is_told_with_its_own_reason(action: Action, event: Event) -> None:
    assert done(action) == event
    said = f"not done, the platform refused it: {event.message}: no rights"
    assert refused(action, "no rights") == evolve(event, message=said, warning=True)


def world() -> World:
    """Let one object of each kind be there."""
    made = World()
    made.instances.take(Put(evolve(DEVICE, metadata=evolve(DEVICE.metadata, finalizers=("a",)))))
    stored = configuration()
    made.configurations.take(Put(evolve(stored, metadata=evolve(stored.metadata, finalizers=("a",)))))
    made.pods.take(Put(POD))
    made.jobs.take(Put(JOB))
    made.services.take(Put(SERVICE))
    return made


SEEN: list[Action] = [
    *(action for action, _ in ACTIONS if isinstance(action, CreatePod | CreateJob | CreateService)),
    DeletePod(key("p"), "0", Reason.BROKER_FAILED, ""),
    DeletePod(key("q"), "1", Reason.BROKER_FAILED, ""),
    DeleteJob(key("j"), "0", Reason.BROKER_FAILED, ""),
    DeleteService(key("s"), "0"),
    DeleteService(key("t"), "1"),
    UpdateService(key("s"), "1", {}, {"akri.sh/broker-hash": "old"}, {}),
    UpdateService(key("s"), "0", {}, NEW, {}),
    UpdateService(key("t"), "1", {}, NEW, {}),
    RemoveNode(evolve(DEVICE, metadata=evolve(DEVICE.metadata, revision=4)), NodeName("a")),
    RepairUsage(evolve(DEVICE, metadata=evolve(DEVICE.metadata, uid="0")), ()),
    DeleteInstance(evolve(DEVICE, metadata=evolve(DEVICE.metadata, key=key("x"))), Reason.DEVICE_LOST),
    DropFinalizers("Instance", key("cam-a"), ("b",)),
    DropFinalizers("Instance", key("x"), ("a",)),
    DropFinalizers("Configuration", key("cam"), ("b",)),
    DropFinalizers("Configuration", key("x"), ("a",)),
]
UNSEEN: list[Action] = [
    CreatePod(key("x"), key("cam-a"), NodeName("a"), OWNER, {}, {}, {}),
    CreateJob(key("x"), key("cam-a"), OWNER, {}, {}, {}),
    CreateService(key("x"), key("cam-a"), OWNER, {}, {}, {}),
    *(action for action, _ in ACTIONS if not isinstance(action, CreatePod | CreateJob | CreateService)),
    DropFinalizers("Instance", key("cam-a"), ("a",)),
]


@pytest.mark.parametrize("action", SEEN)
def test_an_effect_is_seen(action: Action) -> None:
    assert effect_seen(action, world())


@pytest.mark.parametrize("action", UNSEEN)
def test_an_effect_is_not_seen_yet(action: Action) -> None:
    assert not effect_seen(action, world())


def test_a_broker_on_its_way_out_is_seen_to_go() -> None:
    made = world()
    made.pods.take(Put(evolve(POD, deleting=True)))
    assert effect_seen(DeletePod(key("p"), "1", Reason.BROKER_FAILED, ""), made)


CONFIGURATION = evolve(configuration(), metadata=ObjectMeta(key("cam"), "7", generation=3))


def report(node: str, *handlers: HandlerReport, uid: str = "7", problems: tuple[str, ...] = ()) -> DiscoveryReport:
    """Describe what a node reports."""
    return DiscoveryReport(key("cam"), uid, NodeName(node), 3, 0.0, handlers, problems)


def handler(*, answered: float = 0.0, error: str = "", reason: Reason | None = None) -> HandlerReport:
    """Describe a handler."""
    return HandlerReport(HandlerName("debugEcho"), "embedded", answered_at=answered, error=error, reason=reason)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], no("Discovering", Reason.HANDLER_MISSING, "no node has a discovery handler named debugEcho")),
        ([report("a")], no("Discovering", Reason.HANDLER_MISSING, "no node has a discovery handler named debugEcho")),
        ([report("a", handler())], no("Discovering", Reason.DISCOVERING, "handlers for debugEcho have not answered yet")),
        (
            [report("b"), report("a", handler(answered=1.0))],
            yes("Discovering", Reason.DISCOVERING, "handlers for debugEcho answer on 1 of 2 nodes"),
        ),
        (
            [report("a", handler(answered=1.0, error="bad"), problems=("odd",))],
            no("Discovering", Reason.DISCOVERY_FAILED, "node a: odd; node a: handler debugEcho: bad"),
        ),
        (
            [
                report("a", handler(error="none", reason=Reason.HANDLER_MISSING)),
                report("b", handler(error="no", reason=Reason.HANDLER_MISSING)),
            ],
            no("Discovering", Reason.HANDLER_MISSING, "node a: handler debugEcho: none; node b: handler debugEcho: no"),
        ),
        (
            [
                report("a", handler(error="none", reason=Reason.HANDLER_MISSING)),
                report("b", handler(error="no", reason=Reason.DETAILS_REFUSED)),
            ],
            no("Discovering", Reason.DISCOVERY_FAILED, "node a: handler debugEcho: none; node b: handler debugEcho: no"),
        ),
        (
            [report("b", problems=("odd",)), report("a", handler(answered=1.0))],
            yes("Discovering", Reason.DISCOVERING, "handlers for debugEcho answer on 1 of 2 nodes; node b: odd"),
        ),
        (
            [report("a", handler(answered=1.0), uid="6")],
            no("Discovering", Reason.HANDLER_MISSING, "no node has a discovery handler named debugEcho"),
        ),
    ],
)
def test_discovery_is_told_from_the_reports(reports: list[DiscoveryReport], expected: Condition) -> None:
    snapshot = EMPTY.with_configurations([CONFIGURATION])
    status = statuses(snapshot, reports, ())[key("cam")]
    assert status.generation == 3
    assert status.conditions[:2] == (yes("Accepted", Reason.ACCEPTED), expected)


def test_brokers_are_counted() -> None:
    snapshot = EMPTY.with_configurations([CONFIGURATION]).with_instances([DEVICE])
    brokers = no("BrokersReady", Reason.BROKER_CREATED, "0 of 0 brokers run")
    assert statuses(snapshot, [], ())[key("cam")].conditions[2] == brokers
    pods = [
        POD,
        evolve(POD, key=key("q"), phase=Phase.PENDING),
        evolve(POD, key=key("r"), uid=""),
        evolve(POD, key=key("t"), deleting=True),
    ]
    status = statuses(snapshot.with_pods(pods).with_jobs([JOB, evolve(JOB, key=key("k"), deleting=True)]), [], ())[key("cam")]
    assert (status.instances, status.nodes, status.brokers, status.brokers_ready) == (1, 2, 5, 2)
    assert status.conditions[2] == no("BrokersReady", Reason.BROKER_CREATED, "2 of 5 brokers run")
    failed = statuses(snapshot.with_jobs([evolve(JOB, failed=True)]), [], ())[key("cam")]
    assert failed.conditions[2].message == "0 of 1 brokers run, 1 ended and wait to be started again"
    ready = statuses(snapshot.with_pods([POD]), [], ())[key("cam")]
    assert ready.conditions[2] == yes("BrokersReady", Reason.BROKERS_READY, "1 of 1 brokers run")


def test_no_brokers_no_condition_about_them() -> None:
    status = statuses(EMPTY.with_configurations([evolve(CONFIGURATION, broker=NoBroker())]), [], ())[key("cam")]
    assert [condition.type for condition in status.conditions] == ["Accepted", "Discovering"]


def test_what_is_not_accepted_says_why() -> None:
    refusal = NameRefusal("Configuration", key("cam"), "Instance", key("x"))
    taken = statuses(EMPTY.with_configurations([CONFIGURATION]), [], [refusal])[key("cam")]
    assert taken.conditions == (no("Accepted", Reason.NAME_TAKEN, refusal.message),)
    problems = (Problem("spec.capacity", "bad"), Problem("spec.x", "worse"))
    unreadable = EMPTY.with_configurations([UnreadableConfiguration(CONFIGURATION.metadata, problems)])
    invalid = statuses(unreadable, [], [])[key("cam")]
    assert invalid.conditions == (no("Accepted", Reason.INVALID, "spec.capacity: bad; spec.x: worse"),)
    assert statuses(EMPTY.with_configurations([CONFIGURATION]), [], [evolve(refusal, kind="Instance")])[key("cam")].conditions[0].status


def test_a_condition_keeps_its_time_while_it_holds() -> None:
    first = since(ConfigurationStatus(1, (yes("A", Reason.ACCEPTED), yes("B", Reason.ACCEPTED))), None, 5.0)
    assert [condition.since for condition in first.conditions] == [5.0, 5.0]
    changed = ConfigurationStatus(1, (yes("A", Reason.INVALID, "x"), no("B", Reason.ACCEPTED)))
    assert [condition.since for condition in since(changed, first, 9.0).conditions] == [5.0, 9.0]

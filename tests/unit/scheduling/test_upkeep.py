"""What the controller writes into Instances itself: lost nodes, garbage, a capacity left behind; finalizers; orphans."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import NoBroker, UnreadableConfiguration
from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import NodeName
from akri.core.metadata import ObjectMeta
from akri.core.reports import Reason
from akri.scheduling.model import DeleteInstance, DeletePod, DropFinalizers, RemoveNode, RepairUsage, WriteCapacity
from akri.scheduling.planning import plan
from akri.scheduling.snapshot import StoredConfiguration
from akri.scheduling.timing import Timing
from tests.unit.scheduling.building import NOW, configuration, instance, key, node, only, plan_pods, snapshot

IDLE = configuration(broker=NoBroker())


def test_a_deleted_node_is_removed_at_once() -> None:
    device = instance("a", "b", owner=IDLE)
    cluster = snapshot(device, owner=IDLE).with_nodes(gone=[NodeName("a")])
    assert only(plan(cluster, NOW)) == RemoveNode(device, NodeName("a"), Reason.NODE_LOST)


def test_a_deleted_node_is_lost_whatever_the_time() -> None:
    device = instance("a", owner=IDLE)
    assert only(plan(snapshot(device, owner=IDLE).with_nodes(gone=[NodeName("a")]), 0.0)) == RemoveNode(device, NodeName("a"))


def test_a_handmade_cluster_counts_as_unchanged_for_long() -> None:
    device = instance("a", owner=IDLE, generation=0)
    assert only(plan(evolve(snapshot(device, owner=IDLE), edited={}), 60.0)) == WriteCapacity(device, 2, 1)


def test_a_node_that_is_not_ready_is_lost_after_the_grace() -> None:
    device = instance("a", "b", owner=IDLE)
    cluster = snapshot(device, owner=IDLE, nodes=["a", node("b", ready=False, since=NOW)])
    early = plan(cluster, NOW + 299.9)
    assert early.actions == ()
    assert early.next_due == NOW + 300
    late = plan(cluster, NOW + 300)
    assert only(late) == RemoveNode(device, NodeName("b"))
    assert late.next_due is None
    assert plan(cluster, NOW + 300, timing=Timing(node_grace=400.0)).next_due == NOW + 400


def test_a_node_that_the_list_does_not_show_yet_is_given_ten_seconds() -> None:
    device = instance("a", "x", owner=IDLE)
    cluster = snapshot(owner=IDLE).with_instances([device], at=NOW)
    assert plan(cluster, NOW + 9).actions == ()
    assert plan(cluster, NOW + 9).next_due == NOW + 10
    assert only(plan(cluster, NOW + 10)) == RemoveNode(device, NodeName("x"))
    assert plan(cluster.with_nodes([node("x")]), NOW + 10).actions == ()


def test_one_lost_node_is_removed_at_a_time_in_the_order_of_joining() -> None:
    device = instance("b", "a", owner=IDLE)
    cluster = snapshot(device, owner=IDLE, nodes=[])
    assert only(plan(cluster.with_instances([device]), NOW)) == RemoveNode(device, NodeName("b"))


def test_the_time_to_look_again_is_told_beside_a_write() -> None:
    device = instance("a", "b", owner=IDLE)
    cluster = snapshot(device, owner=IDLE, nodes=[node("b", ready=False, since=NOW)])
    made = plan(cluster, NOW)
    assert only(made) == RemoveNode(device, NodeName("a"))
    assert made.next_due == NOW + 300


@pytest.mark.parametrize("usage", ["x", "C:cam-0:x"])
def test_slots_of_a_lost_node_that_left_are_freed(usage: str) -> None:
    device = instance("a", owner=IDLE, usage={"cam-aaaaaa-0": usage})
    assert only(plan(snapshot(device, owner=IDLE), NOW)) == RemoveNode(device, NodeName("x"))


def test_unreadable_keys_and_values_are_removed() -> None:
    device = instance("a", owner=IDLE, usage={"zzz": "", "cam-aaaaaa-0": "C:x", "cam-aaaaaa-1": "", "cam-bbbbbb-0": "a"})
    made = only(plan(snapshot(device, owner=IDLE), NOW))
    assert made == RepairUsage(device, ("cam-aaaaaa-0", "cam-bbbbbb-0", "zzz"), Reason.SLOT_UNREADABLE)


def test_lost_nodes_come_before_garbage() -> None:
    device = instance("a", "x", owner=IDLE, usage={"zzz": ""})
    assert only(plan(snapshot(owner=IDLE).with_instances([device], at=0.0), NOW)) == RemoveNode(device, NodeName("x"))


def test_a_reporter_that_is_behind_is_helped_after_a_minute() -> None:
    device = instance("a", owner=IDLE)
    edited = configuration(capacity=7, generation=2, broker=NoBroker())
    cluster = snapshot(device, owner=IDLE).with_configurations([edited], at=NOW)
    early = plan(cluster, NOW + 59)
    assert early.actions == ()
    assert early.next_due == NOW + 60
    late = plan(cluster, NOW + 60)
    assert only(late) == WriteCapacity(device, 7, 2, Reason.REPORTER_BEHIND)
    assert late.next_due is None
    stamped = cluster.with_instances([instance("a", owner=edited)])
    assert plan(stamped, NOW + 60).actions == ()
    ahead = cluster.with_instances([instance("a", owner=edited, generation=3)])
    assert plan(ahead, NOW + 60).actions == ()
    assert plan(ahead, NOW + 60).next_due is None


def test_garbage_comes_before_a_capacity_left_behind() -> None:
    device = instance("a", owner=IDLE, generation=0, usage={"zzz": ""})
    assert only(plan(snapshot(device, owner=IDLE), NOW)) == RepairUsage(device, ("zzz",))


def test_the_earliest_time_to_look_again_counts() -> None:
    device = instance("a", "b", owner=IDLE, generation=0)
    cluster = snapshot(owner=IDLE, nodes=["a", node("b", ready=False, since=NOW - 250)])
    cluster = cluster.with_configurations([evolve(IDLE, metadata=evolve(IDLE.metadata, uid="uid-cam", generation=2))], at=NOW)
    cluster = cluster.with_instances([device])
    assert plan(cluster, NOW).next_due == NOW + 50
    assert plan(cluster.with_nodes([node("b", ready=False, since=NOW)]), NOW).next_due == NOW + 60


def test_an_instance_that_nobody_sees_is_deleted_with_its_brokers() -> None:
    cluster = plan_pods(snapshot(instance("a")))
    forsaken = instance()
    made = plan(cluster.with_instances([forsaken]), NOW)
    assert made.actions == (
        DeleteInstance(forsaken, Reason.DEVICE_LOST),
        DeletePod(
            key("a-cam-aaaaaa-pod"),
            "uid-a-cam-aaaaaa-pod",
            Reason.DEVICE_LOST,
            "broker pod default/a-cam-aaaaaa-pod on node a is removed: the node does not see the device any more",
        ),
    )


def orphaning() -> list[StoredConfiguration]:
    """Name ways in which an Instance loses its Configuration."""
    other = configuration()
    remade = evolve(other, metadata=evolve(other.metadata, uid="another"))
    deleting = evolve(other, metadata=evolve(other.metadata, deleting=True))
    return [remade, deleting, UnreadableConfiguration(remade.metadata, (Problem("spec", "bad"),))]


@pytest.mark.parametrize("stored", [None, *orphaning()])
def test_an_orphan_goes_with_its_brokers(stored: StoredConfiguration | None) -> None:
    cluster = plan_pods(snapshot(instance("a")))
    cluster = cluster.with_configurations([] if stored is None else [stored], gone=[key("cam")])
    made = plan(cluster, NOW)
    assert made.actions == (
        DeleteInstance(cluster.instances[key("cam-aaaaaa")], Reason.CONFIGURATION_GONE),
        DeletePod(
            key("a-cam-aaaaaa-pod"),
            "uid-a-cam-aaaaaa-pod",
            Reason.CONFIGURATION_GONE,
            "broker pod default/a-cam-aaaaaa-pod on node a is removed: its Configuration is gone",
        ),
    )


def test_an_instance_without_owner_belongs_to_the_configuration_of_its_name() -> None:
    device = instance("a", owner=IDLE)
    cluster = snapshot(evolve(device, metadata=evolve(device.metadata, owners=())), owner=IDLE)
    assert plan(cluster, NOW).actions == ()


def test_an_instance_of_the_same_name_in_another_namespace_is_an_orphan_there() -> None:
    device = instance("a", owner=IDLE)
    elsewhere = evolve(device, metadata=evolve(device.metadata, key=key("cam-aaaaaa", "other")))
    assert only(plan(snapshot(elsewhere, owner=IDLE), NOW)) == DeleteInstance(elsewhere, Reason.CONFIGURATION_GONE)


def test_an_unreadable_configuration_keeps_what_runs_and_starts_nothing() -> None:
    cluster = plan_pods(snapshot(instance("a"), instance("b", name="cam-bbbbbb")))
    first, second = (cluster.pods[key(name)][0] for name in ("cam-aaaaaa", "cam-bbbbbb"))
    unreadable = UnreadableConfiguration(evolve(configuration().metadata, generation=2), (Problem("spec", "bad"),))
    cluster = cluster.with_configurations([unreadable]).with_pods([evolve(first, spec_hash="old")], gone=[second])
    assert plan(cluster, NOW).actions == ()
    assert only(plan(cluster.with_nodes(gone=[NodeName("a")]), NOW)) == RemoveNode(cluster.instances[key("cam-aaaaaa")], NodeName("a"))
    waiting = cluster.with_nodes([node("a", ready=False, since=NOW)])
    assert plan(waiting, NOW).next_due == NOW + 300


def test_finalizers_of_upstream_go_and_those_of_others_stay() -> None:
    finalizers = ("node-a", "example.com/keep", "foregroundDeletion", "orphan", "kubernetes", "node-b")
    device = instance("a", owner=IDLE)
    device = evolve(device, metadata=evolve(device.metadata, finalizers=finalizers))
    owner = evolve(IDLE, metadata=evolve(IDLE.metadata, finalizers=("node-a",)))
    assert plan(snapshot(device, owner=owner), NOW).actions == (
        DropFinalizers("Instance", key("cam-aaaaaa"), ("node-a", "node-b"), Reason.FINALIZER_LEFT),
        DropFinalizers("Configuration", key("cam"), ("node-a",)),
    )


@pytest.mark.parametrize("unreadable", [False, True])
def test_finalizers_go_from_what_is_being_deleted_or_unreadable(*, unreadable: bool) -> None:
    metadata = ObjectMeta(key("cam"), uid="uid-cam", finalizers=("node-a",), deleting=not unreadable)
    owner = UnreadableConfiguration(metadata, (Problem("spec", "bad"),)) if unreadable else evolve(IDLE, metadata=metadata)
    cluster = snapshot(owner=None).with_configurations([owner])
    assert only(plan(cluster, NOW)) == DropFinalizers("Configuration", key("cam"), ("node-a",))


def test_an_instance_that_is_being_deleted_loses_brokers_and_finalizers_and_is_not_written() -> None:
    cluster = plan_pods(snapshot(instance("a")))
    device = cluster.instances[key("cam-aaaaaa")]
    deleting = evolve(device, nodes=(), metadata=evolve(device.metadata, deleting=True, finalizers=("node-a",)))
    assert plan(cluster.with_instances([deleting]), NOW).actions == (
        DropFinalizers("Instance", key("cam-aaaaaa"), ("node-a",)),
        DeletePod(
            key("a-cam-aaaaaa-pod"),
            "uid-a-cam-aaaaaa-pod",
            Reason.DEVICE_LOST,
            "broker pod default/a-cam-aaaaaa-pod on node a is removed: its Instance is being deleted",
        ),
    )


@pytest.mark.parametrize("grace", [299.9, 0.0, -1.0, float("nan")])
def test_a_grace_under_five_minutes_is_refused(grace: float) -> None:
    with pytest.raises(InvalidValueError, match=r"^node_grace: .* is not valid: expected 300 seconds or more$"):
        Timing(node_grace=grace)


def test_the_times_as_promised() -> None:
    timing = Timing()
    assert (timing.node_grace, timing.stranger_grace, timing.reporter_grace, timing.healthy) == (300.0, 10.0, 60.0, 600.0)
    assert Timing(node_grace=300.0) == timing

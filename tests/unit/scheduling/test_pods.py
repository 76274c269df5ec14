"""Which broker pods stay, go and come."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import PodBroker
from akri.core.ids import NodeName
from akri.core.reports import Reason
from akri.scheduling.model import BrokerPod, CreatePod, DeletePod, Phase
from akri.scheduling.planning import Plan, plan
from akri.scheduling.snapshot import Snapshot
from akri.scheduling.timing import Timing
from tests.unit.scheduling.building import CAM, NOW, POD, configuration, instance, key, node, only, plan_pods, pod_of, snapshot

POD_A = key("a-cam-aaaaaa-pod")
OTHER = PodBroker({"containers": []})


def created(made: Plan) -> list[str]:
    """Names of the nodes that get a pod."""
    return [action.node for action in made.actions if isinstance(action, CreatePod)]


def deleted(made: Plan) -> list[tuple[str, Reason]]:
    """Nodes, as the names of pods tell, that lose their pod, and why."""
    return [(action.key.name.split("-")[0], action.reason) for action in made.actions if isinstance(action, DeletePod)]


def running(*nodes: str, owner: str = "") -> Snapshot:
    """Let brokers run on all these nodes, as many as there are."""
    assert not owner
    wide = configuration(capacity=len(nodes))
    return plan_pods(snapshot(instance(*nodes, owner=wide), owner=wide))


def on(cluster: Snapshot, name: str) -> BrokerPod:
    """Find the pod on a node."""
    return next(pod for pods in cluster.pods.values() for pod in pods if pod.node == name)


def test_up_to_capacity_nodes_get_a_pod_in_the_order_of_joining() -> None:
    made = plan(snapshot(instance("b", "c", "a")), NOW)
    assert created(made) == ["b", "c"]
    assert len(made.actions) == 2
    assert made.next_due is None
    assert made.refusals == ()


@pytest.mark.parametrize(("of_instance", "of_configuration", "expected"), [(1, 3, ["a"]), (3, 1, ["a"]), (3, 3, ["a", "b", "c"])])
def test_the_smaller_capacity_counts(of_instance: int, of_configuration: int, expected: list[str]) -> None:
    owner = configuration(capacity=of_configuration)
    assert created(plan(snapshot(instance("a", "b", "c", owner=owner, capacity=of_instance), owner=owner), NOW)) == expected


def test_a_device_that_is_not_shared_gets_one_pod_without_the_node_in_its_name() -> None:
    made = only(plan(snapshot(instance("a", "b", shared=False)), NOW))
    assert isinstance(made, CreatePod)
    assert made.key == key("cam-aaaaaa-pod")
    assert made.node == "a"


def test_nothing_is_done_for_what_runs() -> None:
    cluster = running("a", "b")
    assert plan(cluster, NOW) == Plan()


def test_nothing_is_done_before_the_nodes_are_known() -> None:
    cluster = evolve(snapshot(instance("a")), nodes_known=False)
    made = plan(cluster, NOW)
    assert made == Plan()
    assert made.memory is None


def test_a_node_that_is_not_ready_gets_nothing_and_loses_nothing() -> None:
    unready = node("a", ready=False, since=NOW)
    assert created(plan(snapshot(instance("a", "b", "c"), nodes=[unready, "b", "c"]), NOW)) == ["b", "c"]
    cluster = running("a", "b").with_nodes([unready])
    made = plan(cluster, NOW)
    assert made.actions == ()
    assert made.next_due == NOW + 300


def test_a_pod_on_a_node_that_left_is_removed() -> None:
    cluster = running("a", "b").with_instances([instance("b", owner=configuration(capacity=2))])
    assert only(plan(cluster, NOW)) == DeletePod(
        POD_A,
        "uid-a-cam-aaaaaa-pod",
        Reason.DEVICE_LOST,
        "broker pod default/a-cam-aaaaaa-pod on node a is removed: the node does not see the device any more",
    )


def test_a_pod_on_a_lost_node_is_removed_though_it_left_already() -> None:
    cluster = running("a", "b").with_instances([instance("b", owner=configuration(capacity=2))]).with_nodes(gone=[NodeName("a")])
    made = only(plan(cluster, NOW))
    assert isinstance(made, DeletePod)
    assert made.reason is Reason.NODE_LOST
    assert made.message == "broker pod default/a-cam-aaaaaa-pod on node a is removed: the node is lost"


def test_a_pod_on_its_way_out_from_a_node_that_left_does_not_hold_a_place() -> None:
    cluster = running("a", "b").with_instances([instance("b", "c", owner=configuration(capacity=2))])
    assert created(plan(cluster, NOW)) == ["c"]
    leaving = cluster.with_pods([evolve(on(cluster, "a"), deleting=True)])
    made = plan(leaving, NOW)
    assert created(made) == ["c"]
    assert deleted(made) == []


def test_a_pod_with_a_foreign_name_is_removed() -> None:
    cluster = running("a")
    odd = evolve(on(cluster, "a"), key=key("odd"), uid="odd")
    made = only(plan(cluster.with_pods([odd]), NOW))
    assert made == DeletePod(
        key("odd"),
        "odd",
        Reason.BROKER_REMOVED,
        "broker pod default/odd on node a is removed: it does not have the name of a broker of this device and node",
    )


def test_an_edited_specification_replaces_the_pods_in_their_places() -> None:
    cluster = running("b", "c")
    edited = configuration(broker=OTHER, generation=2)
    cluster = cluster.with_instances([instance("a", "b", "c", owner=edited)]).with_configurations([edited])
    made = plan(cluster, NOW)
    assert deleted(made) == [("b", Reason.BROKER_CHANGED), ("c", Reason.BROKER_CHANGED)]
    assert created(made) == []
    first = made.actions[0]
    assert isinstance(first, DeletePod)
    assert first.message == "broker pod default/b-cam-aaaaaa-pod on node b is removed: the specification of the broker changed"
    leaving = cluster.with_pods([evolve(on(cluster, "b"), deleting=True), evolve(on(cluster, "c"), deleting=True)])
    assert plan(leaving, NOW).actions == ()
    gone = leaving.with_pods(gone=leaving.pods[key("cam-aaaaaa")])
    assert created(plan(gone, NOW)) == ["b", "c"]
    assert {action.annotations["akri.sh/attempt"] for action in plan(gone, NOW).actions if isinstance(action, CreatePod)} == {"0"}


def test_a_moved_device_replaces_the_pods() -> None:
    cluster = running("a", "b")
    moved = instance("a", "b", owner=configuration(capacity=2), properties={"UDEV_DEVNODE": "/dev/video1"})
    made = plan(cluster.with_instances([moved]), NOW)
    assert deleted(made) == [("a", Reason.DEVICE_MOVED), ("b", Reason.DEVICE_MOVED)]
    first = made.actions[0]
    assert isinstance(first, DeletePod)
    assert first.message == "broker pod default/a-cam-aaaaaa-pod on node a is removed: the properties or the address of its device changed"


def test_a_lowered_capacity_removes_the_last_and_a_raised_one_adds() -> None:
    cluster = running("a", "b", "c")
    lowered = configuration(capacity=1)
    made = plan(cluster.with_configurations([lowered]), NOW)
    assert deleted(made) == [("b", Reason.CAPACITY_LOWERED), ("c", Reason.CAPACITY_LOWERED)]
    first = made.actions[0]
    assert isinstance(first, DeletePod)
    assert first.message == "broker pod default/b-cam-aaaaaa-pod on node b is removed: at most 1 may run for the device"
    leaving = cluster.with_configurations([lowered]).with_pods([evolve(on(cluster, "b"), deleting=True)])
    assert deleted(plan(leaving, NOW)) == [("c", Reason.CAPACITY_LOWERED)]


@pytest.mark.parametrize(
    ("phases", "kept"),
    [
        ((Phase.PENDING, Phase.RUNNING, Phase.RUNNING), "b"),
        ((Phase.FAILED, Phase.PENDING, Phase.RUNNING), "c"),
        ((Phase.FAILED, Phase.PENDING, Phase.PENDING), "b"),
        ((Phase.SUCCEEDED, Phase.FAILED, Phase.PENDING), "c"),
        ((Phase.SUCCEEDED, Phase.FAILED, Phase.FAILED), "a"),
        ((Phase.FAILED, Phase.SUCCEEDED, Phase.FAILED), "a"),
    ],
)
def test_the_brokers_that_work_best_are_kept(phases: tuple[Phase, ...], kept: str) -> None:
    cluster = running("a", "b", "c")
    pods = [evolve(on(cluster, name), phase=phase, finished=NOW) for name, phase in zip("abc", phases, strict=True)]
    cluster = cluster.with_pods(pods).with_configurations([configuration(capacity=1)])
    made = plan(cluster, NOW)
    assert {name for name, _ in deleted(made)} == {"a", "b", "c"} - {kept}
    assert {reason for _, reason in deleted(made)} == {Reason.CAPACITY_LOWERED}


def test_an_outdated_pod_goes_before_a_failed_one() -> None:
    cluster = running("a", "b")
    outdated = evolve(on(cluster, "a"), spec_hash="x-y")
    failed = evolve(on(cluster, "b"), phase=Phase.FAILED, finished=NOW)
    cluster = cluster.with_pods([outdated, failed]).with_configurations([configuration(capacity=1)])
    assert deleted(plan(cluster, NOW)) == [("a", Reason.CAPACITY_LOWERED)]


def test_a_pod_that_was_asked_for_holds_its_place_and_cannot_be_deleted_yet() -> None:
    cluster = running("a")
    asked = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")]).with_pods([evolve(on(cluster, "a"), uid="", spec_hash="x-y")])
    assert plan(asked, NOW).actions == ()
    left = asked.with_instances([instance("b", owner=configuration(capacity=1))])
    assert deleted(plan(left, NOW)) == []
    crowded = running("a", "b").with_configurations([configuration(capacity=1)])
    crowded = crowded.with_pods([evolve(on(crowded, "b"), uid="")])
    assert plan(crowded, NOW).actions == ()


@pytest.mark.parametrize(("phase", "word"), [(Phase.FAILED, "Failed"), (Phase.SUCCEEDED, "Succeeded")])
def test_an_ended_pod_is_replaced_after_its_back_off(phase: Phase, word: str) -> None:
    cluster = running("a")
    ended = evolve(on(cluster, "a"), phase=phase, finished=NOW)
    cluster = cluster.with_pods([ended])
    early = plan(cluster, NOW + 9.5)
    assert early.actions == ()
    assert early.next_due == NOW + 10
    made = plan(cluster, NOW + 10)
    assert only(made) == DeletePod(
        POD_A,
        ended.uid,
        Reason.BROKER_FAILED,
        f"broker pod default/a-cam-aaaaaa-pod on node a is removed: it ended ({word}), a new one follows as attempt 1",
    )
    assert made.next_due is None
    again = only(plan(cluster.with_pods(gone=[ended]), NOW + 10))
    assert isinstance(again, CreatePod)
    assert again.annotations["akri.sh/attempt"] == "1"


def test_the_platforms_word_for_a_failure_is_told() -> None:
    cluster = running("a")
    cluster = cluster.with_pods([evolve(on(cluster, "a"), phase=Phase.FAILED, finished=NOW, reason="OOMKilled")])
    made = only(plan(cluster, NOW + 10))
    assert isinstance(made, DeletePod)
    assert "it ended (OOMKilled), a new one follows as attempt 1" in made.message


@pytest.mark.parametrize(("attempt", "delay"), [(0, 10.0), (1, 20.0), (2, 40.0), (4, 160.0), (5, 300.0), (50, 300.0)])
def test_the_back_off_doubles_up_to_its_cap(attempt: int, delay: float) -> None:
    cluster = running("a")
    cluster = cluster.with_pods([evolve(on(cluster, "a"), phase=Phase.FAILED, finished=NOW, attempt=attempt)])
    assert plan(cluster, NOW).next_due == NOW + delay


@pytest.mark.parametrize(("started", "attempt"), [(NOW - 599.0, "8"), (NOW - 600.0, "1"), (0.0, "8")])
def test_the_back_off_starts_over_after_ten_healthy_minutes(started: float, attempt: str) -> None:
    cluster = running("a")
    ended = evolve(on(cluster, "a"), phase=Phase.FAILED, started=started, finished=NOW, attempt=7)
    again = only(plan(cluster.with_pods([ended]).with_pods(gone=[ended]), NOW))
    assert isinstance(again, CreatePod)
    assert again.annotations["akri.sh/attempt"] == attempt


def test_a_pod_that_never_ran_counts_from_its_creation() -> None:
    cluster = running("a")
    rejected = evolve(on(cluster, "a"), phase=Phase.FAILED, started=0.0, finished=0.0, created=NOW - 3)
    assert plan(cluster.with_pods([rejected]), NOW).next_due == NOW + 7


def test_an_edit_ends_the_back_off_and_starts_over() -> None:
    cluster = running("a")
    failed = evolve(on(cluster, "a"), phase=Phase.FAILED, finished=NOW, attempt=6)
    edited = configuration(capacity=1, broker=OTHER, generation=2)
    cluster = cluster.with_pods([failed]).with_configurations([edited]).with_instances([instance("a", owner=edited)])
    assert deleted(plan(cluster, NOW)) == [("a", Reason.BROKER_CHANGED)]
    again = only(plan(cluster.with_pods(gone=[failed]), NOW))
    assert isinstance(again, CreatePod)
    assert again.annotations["akri.sh/attempt"] == "0"


def test_a_running_pod_that_a_user_deletes_comes_back_in_its_place() -> None:
    owner = configuration(capacity=1)
    cluster = plan_pods(snapshot(instance("b", owner=owner), owner=owner)).with_instances([instance("a", "b", owner=owner)])
    gone = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")])
    again = only(plan(gone, NOW))
    assert isinstance(again, CreatePod)
    assert again.node == "b"
    assert again.annotations["akri.sh/attempt"] == "0"


def test_more_brokers_come_back_than_there_are_places_for() -> None:
    cluster = running("a", "b", "c")
    gone = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")]).with_configurations([configuration(capacity=2)])
    assert created(plan(gone, NOW)) == ["a", "b"]


def test_places_that_are_left_go_to_others() -> None:
    owner = configuration(capacity=3)
    cluster = plan_pods(snapshot(instance("c", owner=owner), owner=owner)).with_instances([instance("a", "b", "c", owner=owner)])
    gone = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")])
    assert created(plan(gone, NOW)) == ["c", "a", "b"]


def test_a_place_is_not_given_twice_while_its_pod_leaves() -> None:
    owner = configuration(capacity=1)
    cluster = plan_pods(snapshot(instance("a", owner=owner), owner=owner)).with_instances([instance("a", "b", owner=owner)])
    leaving = cluster.with_pods([evolve(on(cluster, "a"), deleting=True)])
    assert plan(leaving, NOW).actions == ()


def test_a_name_that_is_taken_is_not_used_twice() -> None:
    alone = instance("b", shared=False)
    cluster = snapshot(instance("a", shared=False))
    made = only(plan(cluster, NOW))
    assert isinstance(made, CreatePod)
    leaving = cluster.with_pods([evolve(pod_of(made), deleting=True)]).with_instances([alone])
    assert plan(leaving, NOW).actions == ()
    assert created(plan(leaving.with_pods(gone=[pod_of(made)]), NOW)) == ["b"]


def test_the_times_can_be_set() -> None:
    cluster = running("a")
    cluster = cluster.with_pods([evolve(on(cluster, "a"), phase=Phase.FAILED, started=NOW - 5, finished=NOW, attempt=3)])
    assert plan(cluster, NOW, timing=Timing(healthy=5.0)).next_due == NOW + 10


def test_each_broker_is_made_from_the_instance() -> None:
    made = plan(snapshot(instance("a")), NOW).actions[0]
    assert isinstance(made, CreatePod)
    assert made.instance == key("cam-aaaaaa")
    assert made.reason is Reason.BROKER_CREATED
    assert CAM.broker == PodBroker(POD)


def test_of_brokers_alike_those_of_the_nodes_that_joined_first_are_kept() -> None:
    cluster = running("c", "b", "a")
    assert {name for name, _ in deleted(plan(cluster.with_configurations([configuration(capacity=1)]), NOW))} == {"a", "b"}
    outdated = cluster.with_pods([evolve(pod, spec_hash="x-y") for pod in cluster.pods[key("cam-aaaaaa")]])
    made = plan(outdated.with_configurations([configuration(capacity=1)]), NOW)
    assert deleted(made) == [
        ("c", Reason.BROKER_CHANGED),
        ("b", Reason.CAPACITY_LOWERED),
        ("a", Reason.CAPACITY_LOWERED),
    ]


def test_a_failed_broker_whose_time_has_come_goes_before_one_that_runs() -> None:
    cluster = running("a", "b")
    failed = evolve(on(cluster, "a"), phase=Phase.FAILED, finished=NOW - 100)
    made = plan(cluster.with_pods([failed]).with_configurations([configuration(capacity=1)]), NOW)
    assert deleted(made) == [("a", Reason.CAPACITY_LOWERED)]


def test_a_pod_goes_in_the_moment_in_which_its_node_is_lost() -> None:
    cluster = running("a", "b").with_nodes([node("a", ready=False, since=NOW)])
    assert deleted(plan(cluster, NOW + 299)) == []
    assert deleted(plan(cluster, NOW + 300)) == [("a", Reason.NODE_LOST)]


def test_a_broker_that_runs_since_the_first_second_is_healthy() -> None:
    cluster = running("a")
    ended = evolve(on(cluster, "a"), phase=Phase.FAILED, started=1.0, finished=NOW, attempt=7)
    assert plan(cluster.with_pods([ended]), NOW).next_due == NOW + 10

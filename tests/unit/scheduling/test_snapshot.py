"""How a Snapshot goes on from one observation to the next."""

from __future__ import annotations

from attrs import evolve

from akri.core.configuration import UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, Phase
from akri.scheduling.snapshot import EMPTY, Snapshot
from tests.unit.scheduling.building import CAM, configuration, instance, key, node

DEVICE = key("cam-aaaaaa")
POD = BrokerPod(key("p"), "1", DEVICE, NodeName("a"), Phase.RUNNING)
OTHER = BrokerPod(key("o"), "2", DEVICE, NodeName("b"), Phase.RUNNING)
JOB = BrokerJob(key("j"), "1", DEVICE)
WITH = EMPTY.with_instances([instance("a")])


def test_the_empty_one_knows_no_nodes_and_the_default_one_does() -> None:
    assert EMPTY.nodes_known is False
    assert Snapshot().nodes_known is True
    assert EMPTY.with_nodes().nodes_known is True


def test_configurations_remember_when_they_were_edited() -> None:
    first = EMPTY.with_configurations([CAM], at=1.0)
    assert first.edited == {key("cam"): 1.0}
    assert first.with_configurations([evolve(CAM, capacity=9)], at=2.0).edited == {key("cam"): 1.0}
    assert first.with_configurations([evolve(CAM, capacity=9)], at=2.0).configurations[key("cam")] == evolve(CAM, capacity=9)
    assert first.with_configurations([configuration(generation=2)], at=2.0).edited == {key("cam"): 2.0}
    assert first.with_configurations([UnreadableConfiguration(CAM.metadata, (Problem("", "x"),))], at=2.0).edited == {key("cam"): 1.0}
    remade = evolve(CAM, metadata=evolve(CAM.metadata, uid="x"))
    assert first.with_configurations([remade], at=2.0).edited == {key("cam"): 2.0}
    gone = first.with_configurations(gone=[key("cam"), key("none")])
    assert (gone.configurations, gone.edited) == ({}, {})
    assert EMPTY.with_configurations([CAM]).edited == {key("cam"): 0.0}


def test_instances_remember_since_when_a_node_is_missing() -> None:
    first = EMPTY.with_nodes([node("a")]).with_instances([instance("a", "x")], at=1.0)
    assert first.missing == {"x": 1.0}
    assert first.with_instances([instance("a", "x")], at=2.0).missing is first.missing
    assert first.with_instances([instance("x", "y")], at=2.0).missing == {"x": 1.0, "y": 2.0}
    assert first.with_nodes([node("x")]).missing == {}
    assert EMPTY.with_instances([instance("x")]).missing == {"x": 0.0}


def test_nodes_come_and_go() -> None:
    first = EMPTY.with_nodes([node("a"), node("b")])
    assert first.with_nodes([node("b", ready=False)], [NodeName("a"), NodeName("none")]).nodes == {"b": node("b", ready=False)}
    back = first.with_nodes([node("a", ready=False)], [NodeName("a")])
    assert back.nodes[NodeName("a")] == node("a", ready=False)


def test_an_instance_that_goes_takes_its_memories_along() -> None:
    full = EMPTY.with_instances([instance("a")]).with_pods([POD]).with_jobs([JOB]).with_pods(gone=[POD]).with_jobs(gone=[JOB])
    assert full.former_pods == {DEVICE: (POD,)}
    assert full.former_jobs == {DEVICE: (JOB,)}
    gone = full.with_instances(gone=[DEVICE, key("none")])
    assert (gone.instances, gone.former_pods, gone.former_jobs) == ({}, {}, {})
    again = full.with_instances([instance("b")], [DEVICE])
    assert again.instances[DEVICE].nodes == ("b",)


def test_pods_are_grouped_by_instance_in_the_order_of_their_names() -> None:
    first = EMPTY.with_pods([POD, OTHER])
    assert first.pods == {DEVICE: (OTHER, POD)}
    elsewhere = evolve(POD, key=key("q"), instance=key("cam-bbbbbb"))
    second = first.with_pods([elsewhere])
    assert second.pods == {DEVICE: (OTHER, POD), key("cam-bbbbbb"): (elsewhere,)}
    assert second.pods[DEVICE] is first.pods[DEVICE]
    assert first.with_pods(gone=[OTHER, POD]).pods == {}
    assert EMPTY.with_pods(gone=[POD]).pods == {}


def test_a_pod_is_remembered_in_its_last_state_of_life() -> None:
    failed = evolve(POD, phase=Phase.FAILED)
    alive = WITH.with_pods([POD]).with_pods([failed])
    assert alive.former_pods == {}
    leaving = alive.with_pods([evolve(failed, deleting=True)])
    assert leaving.former_pods == {DEVICE: (failed,)}
    ended = leaving.with_pods([evolve(failed, deleting=True, finished=9.0)])
    assert ended.former_pods == {DEVICE: (failed,)}
    gone = ended.with_pods(gone=[failed])
    assert gone.former_pods == {DEVICE: (failed,)}
    assert gone.pods == {}
    assert gone.with_pods([evolve(POD, uid="", key=POD.key)]).former_pods == {DEVICE: (failed,)}
    assert gone.with_pods([evolve(POD, uid="9")]).former_pods == {}
    assert gone.with_pods([evolve(OTHER, uid="9")]).former_pods == {DEVICE: (failed,)}
    assert gone.with_pods([evolve(POD, uid="9", key=key("another"))]).former_pods == {}


def test_one_pod_is_remembered_for_each_place() -> None:
    renamed = evolve(POD, key=key("r"), uid="3")
    gone = WITH.with_pods([POD, OTHER]).with_pods(gone=[POD, OTHER])
    assert gone.former_pods == {DEVICE: (OTHER, POD)}
    first = WITH.with_pods([POD, renamed])
    assert first.with_pods(gone=[POD, renamed]).former_pods == {DEVICE: (renamed,)}


def test_what_was_never_seen_alive_is_not_remembered() -> None:
    asked = evolve(POD, uid="")
    assert WITH.with_pods([asked]).with_pods(gone=[asked]).former_pods == {}
    assert WITH.with_pods([asked]).with_pods([POD]).former_pods == {}
    assert WITH.with_pods([evolve(POD, deleting=True)]).with_pods(gone=[POD]).former_pods == {}
    replaced = WITH.with_pods([POD]).with_pods([evolve(POD, uid="7", deleting=True)])
    assert replaced.former_pods == {}


def test_one_job_is_remembered_for_each_instance() -> None:
    second = evolve(JOB, key=key("k"), uid="2")
    first = WITH.with_jobs([JOB, second]).with_jobs(gone=[JOB, second])
    assert first.former_jobs == {DEVICE: (second,)}
    assert first.jobs == {}
    assert first.with_jobs([evolve(JOB, uid="3")]).former_jobs == {}


def test_brokers_of_an_instance_that_is_gone_are_not_remembered() -> None:
    forsaken = WITH.with_pods([POD, OTHER]).with_jobs([JOB]).with_pods(gone=[OTHER]).with_instances(gone=[DEVICE])
    leaving = forsaken.with_pods([evolve(POD, deleting=True)]).with_jobs([evolve(JOB, deleting=True)])
    assert (leaving.former_pods, leaving.former_jobs) == ({}, {})
    ended = leaving.with_pods(gone=[POD]).with_jobs(gone=[JOB])
    assert (ended.pods, ended.jobs, ended.former_pods, ended.former_jobs) == ({}, {}, {}, {})


def test_services_are_grouped_by_owner() -> None:
    one, two = BrokerService(key("s"), "1", DEVICE), BrokerService(key("t"), "2", key("cam"))
    first = EMPTY.with_services([one, two])
    assert first.services == {DEVICE: (one,), key("cam"): (two,)}
    changed = evolve(one, spec_hash="x")
    assert first.with_services([changed], [two]).services == {DEVICE: (changed,)}
    assert EMPTY.with_services(gone=[one]).services == {}


def test_a_handmade_one_goes_on_like_any_other() -> None:
    handmade = Snapshot(instances={DEVICE: instance("a")}, pods={DEVICE: (POD,)})
    assert handmade.with_pods([OTHER]).pods == {DEVICE: (OTHER, POD)}
    assert handmade.pods == {DEVICE: (POD,)}

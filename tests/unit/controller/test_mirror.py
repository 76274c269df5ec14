"""What each event of a watch changes, and how changes reach the Snapshot."""

from __future__ import annotations

from attrs import evolve

from akri.controller.mirror import Change, Mirror
from akri.controller.world import World
from akri.core.ids import ConfigurationName, NodeName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.ports import Alive, Gone, Put, Reset
from akri.scheduling.model import BrokerPod, CreateJob, CreatePod, DeleteService, NodeState, Phase
from tests.unit.controller.world import configuration, key

POD = BrokerPod(key("p"), "1", key("i"), NodeName("a"), Phase.RUNNING)
OTHER = BrokerPod(key("o"), "2", key("i"), NodeName("b"), Phase.RUNNING)
OWNER = OwnerReference("v0", "Instance", "i", "1")
MADE = {"akri.sh/broker-hash": "h", "akri.sh/attempt": "3"}


def pods() -> Mirror[BrokerPod]:
    """Mirror pods."""
    return Mirror(lambda pod: pod.key, lambda pod: pod.instance)


def test_events_change_what_is_there() -> None:
    mirror = pods()
    assert not mirror.known
    assert mirror.take(Put(POD)) == Change(put=(POD,))
    assert mirror.take(Put(POD)) == Change()
    assert mirror.take(Alive()) == Change()
    assert mirror.take(Gone(OTHER.key, "2")) == Change()
    assert mirror.take(Gone(POD.key, "1")) == Change(gone=(POD,))
    assert not mirror.known


def test_a_reset_tells_the_difference() -> None:
    mirror = pods()
    assert mirror.take(Reset((POD, OTHER))) == Change(put=(POD, OTHER))
    assert mirror.known
    changed = evolve(OTHER, phase=Phase.FAILED)
    assert mirror.take(Reset((changed,))) == Change((POD,), (changed,))
    assert mirror.objects == {OTHER.key: changed}


def test_an_object_that_moves_is_gone_where_it_was() -> None:
    mirror = pods()
    mirror.take(Put(POD))
    moved = evolve(POD, instance=key("j"))
    assert mirror.take(Put(moved)) == Change((POD,), (moved,))
    back = evolve(POD, phase=Phase.FAILED)
    assert mirror.take(Reset((back, OTHER))) == Change((moved,), (back, OTHER))


def test_a_world_is_complete_when_all_watches_have_spoken() -> None:
    world = World()
    feeds = (world.configurations, world.instances, world.pods, world.jobs, world.services, world.nodes)
    for feed in feeds:
        assert not world.complete
        assert feed.take(Reset(()))
        assert not feed.take(Reset(()))
    assert world.reports.take(Reset(()))
    assert world.complete


def test_changes_reach_the_snapshot_in_their_order() -> None:
    world = World()
    world.nodes.take(Put(NodeState(NodeName("a"))))
    world.instances.take(Put(Instance(ObjectMeta(key("i")), ConfigurationName("cam"), "", 1)))
    world.pods.take(Put(POD))
    failed = evolve(POD, phase=Phase.FAILED)
    world.pods.take(Put(failed))
    world.pods.take(Gone(POD.key, "1"))
    world.pods.take(Put(evolve(OTHER, uid="")))
    world.advance(1.0)
    assert world.snapshot.pods == {key("i"): (evolve(OTHER, uid=""),)}
    assert world.snapshot.former_pods == {key("i"): (failed,)}
    assert list(world.snapshot.nodes) == ["a"]
    before = world.snapshot
    world.advance(2.0)
    assert world.snapshot is before


def test_our_own_status_writes_do_not_count_as_a_change() -> None:
    world = World()
    first = configuration()
    world.configurations.take(Put(first))
    assert not world.configurations.take(Put(evolve(first, metadata=evolve(first.metadata, revision=9))))
    assert world.configurations.take(Put(evolve(first, metadata=evolve(first.metadata, generation=9))))
    assert world.configurations.take(Gone(key("cam"), ""))
    world.advance(1.0)
    assert world.snapshot.configurations == {}


def test_what_was_asked_for_stands_in_the_snapshot_until_it_comes_or_not() -> None:
    world = World()
    pod = CreatePod(key("p"), key("i"), NodeName("a"), OWNER, {}, MADE, {})
    job = CreateJob(key("j"), key("i"), OWNER, {}, MADE, {})
    for action in (pod, job, DeleteService(key("s"), "1")):
        world.assume(action)
    (asked,) = world.snapshot.pods[key("i")]
    assert (asked.uid, asked.node, asked.phase, asked.attempt, asked.spec_hash) == ("", "a", Phase.PENDING, 3, "h")
    (wanted,) = world.snapshot.jobs[key("i")]
    assert (wanted.uid, wanted.attempt, wanted.spec_hash) == ("", 3, "h")
    for action in (pod, job, DeleteService(key("s"), "1")):
        world.unassume(action)
    assert (world.snapshot.pods, world.snapshot.jobs) == ({}, {})
    world.pods.take(Put(POD))
    world.advance(1.0)
    world.unassume(pod)
    assert world.snapshot.pods == {key("i"): (POD,)}

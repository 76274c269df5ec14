"""`plan` as a whole: names that are taken, order, and that the plan before never changes the plan after."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core.configuration import BrokerSpec, Configuration, JobBroker, NoBroker, PodBroker, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.core.metadata import JsonObject
from akri.core.naming import NameRefusal
from akri.scheduling.model import CreatePod, DeletePod, NodeState, Phase, WriteCapacity
from akri.scheduling.placement import FIRST_NODES, PACK, SPREAD, Opening, Placement
from akri.scheduling.planning import Plan, plan
from akri.scheduling.render import Hashes, digest_of
from akri.scheduling.snapshot import EMPTY, Snapshot
from akri.scheduling.timing import Timing
from tests.unit.scheduling.building import CAM, NOW, POD, configuration, instance, key, node, plan_pods, snapshot
from tests.unit.scheduling.cluster import apply, settle

ELSEWHERE = key("cam", "other")


def twins() -> Snapshot:
    """Two Configurations of one name, each with an Instance of one name; the one in namespace `other` is younger."""
    younger = evolve(CAM, metadata=evolve(CAM.metadata, key=ELSEWHERE, created=5.0))
    device = instance("b")
    theirs = evolve(device, metadata=evolve(device.metadata, key=key("cam-aaaaaa", "other"), created=6.0))
    return snapshot(instance("a"), theirs).with_configurations([younger])


def test_of_two_configurations_with_one_name_the_younger_gets_nothing() -> None:
    made = plan(twins(), NOW)
    assert [action.key for action in made.actions if isinstance(action, CreatePod)] == [key("a-cam-aaaaaa-pod")]
    assert made.refusals == (NameRefusal("Configuration", ELSEWHERE, "Configuration", key("cam")),)
    free = twins().with_configurations(gone=[key("cam")]).with_instances(gone=[key("cam-aaaaaa")])
    later = plan(free, NOW, previous=made)
    assert [action.key for action in later.actions if isinstance(action, CreatePod)] == [key("b-cam-aaaaaa-pod", "other")]
    assert later.refusals == ()


def test_what_runs_for_a_refused_configuration_is_kept() -> None:
    alone = twins().with_configurations(gone=[key("cam")]).with_instances(gone=[key("cam-aaaaaa")])
    cluster = plan_pods(alone)
    made = plan(cluster, NOW)
    assert made.actions == ()
    cluster = cluster.with_configurations([CAM]).with_instances([instance("a")])
    refused = plan(cluster, NOW, previous=made)
    assert [action.key for action in refused.actions if isinstance(action, CreatePod)] == [key("a-cam-aaaaaa-pod")]
    assert not any(isinstance(action, DeletePod) for action in refused.actions)


def test_an_instance_that_is_named_like_an_older_configuration_gets_nothing() -> None:
    odd = configuration("cam-aaaaaa")
    cluster = snapshot(instance("a"), instance("b", name="cam-bbbbbb")).with_configurations([odd])
    made = plan(cluster, NOW)
    assert [action.instance.name for action in made.actions if isinstance(action, CreatePod)] == ["cam-bbbbbb"]
    assert made.refusals == (NameRefusal("Instance", key("cam-aaaaaa"), "Configuration", key("cam-aaaaaa")),)
    freed = plan(cluster.with_configurations(gone=[key("cam-aaaaaa")]), NOW, previous=made)
    assert [action.instance.name for action in freed.actions if isinstance(action, CreatePod)] == ["cam-aaaaaa", "cam-bbbbbb"]
    assert freed.refusals == ()


def test_a_refusal_follows_the_ages() -> None:
    cluster = twins()
    made = plan(cluster, NOW)
    older = evolve(CAM, metadata=evolve(CAM.metadata, key=ELSEWHERE, created=0.5))
    assert plan(cluster.with_configurations([older]), NOW, previous=made).refusals[0].key == key("cam")


def test_an_unreadable_configuration_takes_no_name() -> None:
    unreadable = UnreadableConfiguration(evolve(CAM.metadata, key=ELSEWHERE), (Problem("spec", "bad"),))
    assert plan(snapshot(instance("a")).with_configurations([unreadable]), NOW).refusals == ()


def test_actions_are_in_the_order_of_keys() -> None:
    devices = [instance("a", name=name) for name in ("cam-cccccc", "cam-aaaaaa", "cam-bbbbbb")]
    made = plan(snapshot(*devices), NOW)
    assert [action.instance.name for action in made.actions if isinstance(action, CreatePod)] == ["cam-aaaaaa", "cam-bbbbbb", "cam-cccccc"]


def test_the_time_to_plan_again_is_the_earliest() -> None:
    cluster = snapshot(instance("a"), instance("b", name="cam-bbbbbb"), nodes=[node("a"), node("b")])
    cluster = plan_pods(cluster)
    cluster = cluster.with_nodes([node("a", ready=False, since=NOW - 5), node("b", ready=False, since=NOW)])
    assert plan(cluster, NOW).next_due == NOW + 295


@frozen(eq=False)
class Counting:
    """Counts how often it is asked."""

    asked: list[str]

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Choose as upstream does."""
        self.asked.append(opening.instance.name)
        return opening.candidates


def test_a_plan_that_knows_the_one_before_makes_nothing_again_that_did_not_change() -> None:
    cluster = snapshot(instance("a", "b", "c"), instance("a", "b", "c", name="cam-bbbbbb"))
    first = plan(cluster, NOW, Counting([]))
    second = plan(cluster.with_instances([instance("a", "b", name="cam-bbbbbb")]), NOW, Counting([]), previous=first)
    assert second.actions[0] is first.actions[0]
    assert second.actions[1] is first.actions[1]
    assert second.actions[2] is not first.actions[2]
    assert second == plan(cluster.with_instances([instance("a", "b", name="cam-bbbbbb")]), NOW)


def test_reviews_that_did_not_change_are_kept() -> None:
    cluster = plan_pods(snapshot(instance("a"), instance("b", name="cam-bbbbbb")))
    failed = [evolve(pod, phase=Phase.FAILED, finished=NOW - 100) for pods in cluster.pods.values() for pod in pods]
    cluster = cluster.with_pods(failed)
    first = plan(cluster, NOW)
    assert len(first.actions) == 2
    second = plan(cluster.with_pods([evolve(failed[0], attempt=1)]), NOW, previous=first)
    assert second.actions[0] is not first.actions[0]
    assert second.actions[1] is first.actions[1]
    third = plan(cluster, NOW + 1, previous=first)
    assert [one is two for one, two in zip(first.actions, third.actions, strict=True)] == [True, True]


@pytest.mark.parametrize(("now", "timing"), [(NOW - 1, Timing()), (NOW, Timing(healthy=1.0))])
def test_a_plan_of_another_time_is_not_used(now: float, timing: Timing) -> None:
    cluster = plan_pods(snapshot(instance("a")))
    cluster = cluster.with_pods([evolve(pod, phase=Phase.FAILED, finished=NOW - 100) for pod in cluster.pods[key("cam-aaaaaa")]])
    first = plan(cluster, NOW)
    second = plan(cluster, now, timing=timing, previous=first)
    assert second.actions == plan(cluster, now, timing=timing).actions
    assert second.actions[0] is not first.actions[0]


def test_plans_compare_by_what_they_say() -> None:
    cluster = snapshot(instance("a"))
    assert plan(cluster, NOW) == plan(cluster, NOW + 1)
    assert "memory" not in repr(plan(cluster, NOW))
    assert plan(cluster, NOW) != Plan()


NODES = [NodeName(name) for name in "abcd"]
NAMES = ["cam-aaaaaa", "cam-bbbbbb", "rig-aaaaaa", "rig-bbbbbb"]
SERVICE: JsonObject = {"ports": []}
BROKERS: list[BrokerSpec] = [PodBroker(POD), PodBroker({"containers": []}), JobBroker({"template": {"spec": POD}}), NoBroker()]
POLICIES: list[Placement] = [FIRST_NODES, SPREAD, PACK]
USAGE = [{}, {"x": "y"}, {"cam-aaaaaa-0": "d"}, {"cam-aaaaaa-0": "C:a:b", "rig-bbbbbb-0": "C:rig-0:c"}]


class Story:
    """A cluster to which things happen. Each happening is told by three numbers, so that any numbers tell a story."""

    def __init__(self, policy: Placement) -> None:
        self.policy = policy
        self.now = NOW
        self.serial = count()
        self.cluster = EMPTY.with_nodes([NodeState(name) for name in NODES[:3]])
        self.plan = Plan()
        for number, name in enumerate(("cam", "rig")):
            self.configure(number, 0, 0)
            self.device(number * 2, 7, number)
            self.device(number * 2 + 1, 3, 1)
            assert key(name) in self.cluster.configurations

    def happen(self, what: int, which: int, how: int) -> None:
        """Let one thing happen."""
        happenings = (self.configure, self.device, self.vanish, self.node, self.broker, self.job, self.obey, self.wait, self.odd)
        happenings[what % len(happenings)](which, how, what)

    def configure(self, which: int, how: int, what: int) -> None:
        """Make or edit a Configuration."""
        name = ("cam", "rig")[which % 2]
        service = SERVICE if how % 3 == 0 else None
        made = configuration(name, 1 + how % 3, BROKERS[how % 4], 1 + what, service, SERVICE if how % 2 else None)
        self.cluster = self.cluster.with_configurations([made], at=self.now)

    def device(self, which: int, how: int, what: int) -> None:
        """Make or change an Instance."""
        name = NAMES[which % 4]
        nodes = [node for number, node in enumerate(NODES) if how >> number & 1]
        properties = {"A": str(what % 2)}
        made = instance(
            *nodes, name=name, owner=self.owner(name), shared=which % 3 != 0, usage=USAGE[(how + what) % 4], properties=properties
        )
        revision = next(self.serial) + 2
        self.cluster = self.cluster.with_instances([evolve(made, metadata=evolve(made.metadata, revision=revision))], at=self.now)

    def owner(self, name: str) -> Configuration:
        """Find a Configuration, or one that is gone."""
        stored = self.cluster.configurations.get(key(name[:3]))
        return stored if isinstance(stored, Configuration) else configuration(name[:3])

    def vanish(self, which: int, how: int, what: int) -> None:
        """Let an Instance or a Configuration go."""
        if how % 3 == 0 and what % 2:
            self.cluster = self.cluster.with_configurations(gone=[key(("cam", "rig")[which % 2])])
        else:
            self.cluster = self.cluster.with_instances(gone=[key(NAMES[which % 4])])

    def node(self, which: int, how: int, _what: int) -> None:
        """Let a node come, go, or change."""
        name = NODES[which % 4]
        if how % 3 == 0:
            self.cluster = self.cluster.with_nodes(gone=[name])
        else:
            self.cluster = self.cluster.with_nodes([NodeState(name, ready=how % 3 == 1, since=self.now)])

    def broker(self, which: int, how: int, _what: int) -> None:
        """Let something happen to a broker pod."""
        pods = [pod for group in self.cluster.pods.values() for pod in group]
        if pods:
            pod = pods[which % len(pods)]
            phase = (Phase.RUNNING, Phase.FAILED, Phase.SUCCEEDED, Phase.PENDING)[how % 4]
            ended = self.now if phase.terminal else 0.0
            self.cluster = self.cluster.with_pods([evolve(pod, phase=phase, started=pod.started or self.now, finished=ended)])

    def job(self, which: int, how: int, _what: int) -> None:
        """Let something happen to a broker job."""
        jobs = [job for group in self.cluster.jobs.values() for job in group]
        if jobs:
            job = jobs[which % len(jobs)]
            reason = ("UnexpectedAdmissionError", "")[how % 2]
            self.cluster = self.cluster.with_jobs(
                [evolve(job, failed=how % 3 != 0, complete=how % 3 == 0, reason=reason, finished=self.now)]
            )

    def obey(self, which: int, how: int, _what: int) -> None:
        """Do some of what is planned."""
        actions = self.plan.actions[which % 3 :][: 1 + how % 5]
        for action in actions:
            self.cluster = apply(self.cluster, action, self.now, next(self.serial))

    def wait(self, which: int, how: int, _what: int) -> None:
        """Let time go by, and nodes do their part."""
        self.now += (1.0, 20.0, 100.0, 700.0)[which % 4]
        if how % 2:
            self.cluster = settle(self.cluster, self.now)

    def odd(self, which: int, how: int, _what: int) -> None:
        """Let a user do something odd."""
        name = ("cam", "rig")[which % 2]
        stored = self.cluster.configurations.get(key(name))
        if stored is None:
            return
        metadata = evolve(stored.metadata, generation=stored.metadata.generation + 1)
        changes = [
            UnreadableConfiguration(metadata, (Problem("spec", "bad"),)),
            evolve(stored, metadata=evolve(metadata, uid=f"again-{how}")),
            evolve(stored, metadata=evolve(metadata, finalizers=("node-a",))),
            evolve(configuration("cam-aaaaaa"), metadata=evolve(configuration("cam-aaaaaa").metadata, created=float(how % 5))),
        ]
        self.cluster = self.cluster.with_configurations([changes[how % 4]], at=self.now)

    def assert_the_same_plan(self) -> None:
        """Plan with and without the plan before."""
        before = self.cluster
        self.plan = plan(self.cluster, self.now, self.policy, previous=self.plan)
        assert self.plan == plan(self.cluster, self.now, self.policy)
        assert self.cluster is before
        assert self.plan.next_due is None or self.plan.next_due > self.now


STORY = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 11), st.integers(0, 15)), max_size=40)


@settings(max_examples=60)
@given(st.sampled_from(POLICIES), STORY)
def test_the_plan_before_never_changes_the_plan_after(policy: Placement, story: list[tuple[int, int, int]]) -> None:
    told = Story(policy)
    told.assert_the_same_plan()
    for what, which, how in story:
        told.happen(what, which, how)
        told.assert_the_same_plan()


@settings(max_examples=60)
@given(st.sampled_from(POLICIES), STORY)
def test_obeying_the_plan_comes_to_rest_with_the_right_brokers(policy: Placement, story: list[tuple[int, int, int]]) -> None:
    told = Story(policy)
    told.assert_the_same_plan()
    for what, which, how in story:
        told.happen(what, which, how)
        told.assert_the_same_plan()
    for _ in range(40):
        told.now += 700.0
        told.cluster = settle(told.cluster, told.now)
        told.assert_the_same_plan()
        if not told.plan.actions:
            break
        for action in told.plan.actions:
            told.cluster = apply(told.cluster, action, told.now, next(told.serial))
    assert told.plan.actions == ()
    assert_right(told.cluster, told.plan)


def assert_right(cluster: Snapshot, made: Plan) -> None:
    """Hold a cluster at rest to what its Configurations ask for."""
    refused = {refusal.key for refusal in made.refusals}
    for device in cluster.instances.values():
        assert device.nodes
        owner = cluster.configurations[key(device.configuration)]
        assert owner.metadata.uid == device.owner_uid
        if not isinstance(owner, Configuration) or refused & {owner.key, device.key}:
            continue
        assert set(device.nodes) <= cluster.nodes.keys()
        pods, jobs = cluster.pods.get(device.key, ()), cluster.jobs.get(device.key, ())
        ready = [name for name in device.nodes if cluster.nodes[name].ready]
        places = min(owner.capacity, device.capacity) if device.shared else 1
        match owner.broker:
            case PodBroker(spec):
                assert jobs == ()
                assert len({pod.node for pod in pods}) == len(pods) == min(places, len(ready))
                assert {pod.node for pod in pods} <= set(device.nodes)
                assert {pod.spec_hash for pod in pods} <= {str(Hashes(digest_of(spec), digest_of(device.broker_properties)))}
                assert {pod.phase for pod in pods} <= {Phase.RUNNING}
            case JobBroker():
                assert (len(pods), len(jobs)) == (0, 1)
            case NoBroker():
                assert (pods, jobs) == ((), ())
    served = {key for key, group in cluster.services.items() if group}
    for owner_key in served:
        assert owner_key in cluster.instances or owner_key in cluster.configurations
    assert set(cluster.pods) <= set(cluster.instances)


def test_a_reporter_far_behind_is_written_once() -> None:
    cluster = snapshot(instance("a", generation=0))
    made = [action for action in plan(cluster, NOW).actions if isinstance(action, WriteCapacity)]
    assert len(made) == 1
    assert not any(isinstance(action, WriteCapacity) for action in plan(apply(cluster, made[0], NOW, 1), NOW).actions)

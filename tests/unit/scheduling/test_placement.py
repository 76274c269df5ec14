"""The placement policies that ship, and how `plan` asks one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve, frozen

from akri.core.configuration import UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.scheduling.model import CreatePod
from akri.scheduling.placement import FIRST_NODES, PACK, SPREAD, Opening, Placement
from akri.scheduling.planning import plan
from tests.unit.scheduling.building import NOW, configuration, instance, key, plan_pods, snapshot

A, B, C, D = (NodeName(name) for name in "abcd")


@pytest.mark.parametrize(
    ("policy", "expected"), [(FIRST_NODES, ["d", "a", "b", "c"]), (SPREAD, ["c", "d", "b", "a"]), (PACK, ["a", "b", "d", "c"])]
)
def test_each_policy_has_its_order(policy: Placement, expected: list[str]) -> None:
    opening = Opening(instance("d", "a", "b", "c"), (D, A, B, C), {A: 3, B: 2, D: 1}, 4)
    assert list(policy.choose(opening)) == expected


def test_equals_stay_in_the_order_of_joining() -> None:
    opening = Opening(instance("c", "a", "b"), (C, A, B), {}, 2)
    assert list(SPREAD.choose(opening)) == list(PACK.choose(opening)) == [C, A, B]


@frozen(eq=False)
class Recorder:
    """Notes what it is asked and answers as told."""

    answer: Sequence[str]
    asked: list[tuple[str, tuple[NodeName, ...], dict[NodeName, int], int]]

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Answer."""
        self.asked.append((opening.instance.name, opening.candidates, dict(opening.load), opening.count))
        return [NodeName(name) for name in self.answer]


def nodes(policy: Placement, *, capacity: int = 2) -> list[str]:
    """Name the nodes that get a broker of two devices, the first of which has one on b already."""
    owner = configuration(capacity=capacity)
    cluster = plan_pods(snapshot(instance("b", owner=owner), owner=owner))
    cluster = cluster.with_instances([instance("a", "b", "c", owner=owner), instance("c", "b", "a", name="cam-bbbbbb", owner=owner)])
    return [f"{action.instance.name}:{action.node}" for action in plan(cluster, NOW, policy).actions if isinstance(action, CreatePod)]


def test_a_policy_is_asked_for_each_device_in_order_and_sees_what_it_chose_before() -> None:
    asked: list[tuple[str, tuple[NodeName, ...], dict[NodeName, int], int]] = []
    assert nodes(Recorder(["c", "a"], asked)) == ["cam-aaaaaa:c", "cam-bbbbbb:c", "cam-bbbbbb:a"]
    assert asked == [("cam-aaaaaa", (A, C), {B: 1}, 1), ("cam-bbbbbb", (C, B, A), {B: 1, C: 1}, 2)]


def test_an_answer_is_cut_to_what_was_asked() -> None:
    assert nodes(Recorder(["x", "b", "c", "c", "a"], [])) == ["cam-aaaaaa:c", "cam-bbbbbb:b", "cam-bbbbbb:c"]
    assert nodes(Recorder([], [])) == []


def test_a_policy_is_not_asked_where_nothing_is_to_choose() -> None:
    asked: list[tuple[str, tuple[NodeName, ...], dict[NodeName, int], int]] = []
    full = plan_pods(snapshot(instance("a", "b")))
    plan(full, NOW, Recorder([], asked))
    alone = plan_pods(snapshot(instance("a")))
    plan(alone, NOW, Recorder([], asked))
    assert asked == []


def test_spread_and_pack_over_many_devices() -> None:
    owner = configuration(capacity=1)
    devices = [instance("a", "b", "c", name=f"cam-{number:06d}", owner=owner) for number in range(9)]
    cluster = snapshot(*devices, owner=owner)
    for policy, expected in ((SPREAD, "abc" * 3), (PACK, "a" * 9), (FIRST_NODES, "a" * 9)):
        assert "".join(action.node for action in plan(cluster, NOW, policy).actions if isinstance(action, CreatePod)) == expected


def test_brokers_of_devices_that_are_going_or_undecided_count_as_load() -> None:
    running = plan_pods(snapshot(instance("a", name="cam-cccccc")))
    device = running.instances[key("cam-cccccc")]
    rig = configuration("rig", capacity=1)
    cluster = running.with_configurations([rig]).with_instances([instance("a", "b", name="rig-aaaaaa", owner=rig)])
    unreadable = UnreadableConfiguration(configuration().metadata, (Problem("spec", "bad"),))
    for changed in (
        cluster,
        cluster.with_instances([evolve(device, metadata=evolve(device.metadata, deleting=True))]),
        cluster.with_configurations(gone=[key("cam")]),
        cluster.with_configurations([unreadable]),
        cluster.with_instances(gone=[key("cam-cccccc")]),
    ):
        assert [action.node for action in plan(changed, NOW, SPREAD).actions if isinstance(action, CreatePod)] == ["b"]


def test_pack_counts_a_node_without_brokers_as_empty() -> None:
    assert list(PACK.choose(Opening(instance("a", "b"), (A, B), {B: 1}, 2))) == [B, A]
    assert list(SPREAD.choose(Opening(instance("a", "b"), (A, B), {A: 1}, 2))) == [B, A]

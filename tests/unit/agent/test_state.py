"""What a node knows: the newest state counts, whoever brings it, and what is gone is gone."""

from __future__ import annotations

import pytest

from akri.agent.state import NodeState, Resource, configuration_of
from akri.core.allocation import ByConfiguration, ByInstance
from akri.core.evidence import Evidence, Listing
from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, PluginDeviceId
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.usage import FREE
from tests.unit.agent.world import NODE, key, resource

_NAME = InstanceName("cam-8120fe")
_CAM = key("cam")


def _instance(revision: int = 1, *, uid: str = "1", nodes: tuple[str, ...] = (NODE,), name: str = _NAME, **usage: str) -> Instance:
    held = {f"{name}-{number.removeprefix('slot_')}": text for number, text in usage.items()}
    metadata = ObjectMeta(ObjectKey("default", name), uid=uid, revision=revision)
    names = tuple(NodeName(node) for node in nodes)
    return Instance(metadata, ConfigurationName("cam"), "akri.sh/cam=8120fe", 2, shared=True, nodes=names, device_usage=held)


@pytest.fixture
def state() -> NodeState:
    return NodeState(NODE, Evidence(0.0))


def test_an_older_state_changes_nothing(state: NodeState) -> None:
    state.observe(_instance(2, slot_0="node-a"))
    state.changed.clear()
    state.observe(_instance(1))
    state.observe(_instance(2))
    assert state.changed == set()
    assert [str(held.slot) for held in state.tables(_CAM)[_NAME].held()] == ["cam-8120fe-0"]


def test_another_object_of_the_name_counts_whatever_its_revision(state: NodeState) -> None:
    state.observe(_instance(5, slot_0="node-a"))
    state.observe(_instance(1, uid="2"))
    assert state.tables(_CAM)[_NAME].usage(0) == FREE
    assert state.changed == {_CAM}


def test_the_end_of_another_object_of_the_name_is_not_the_end_of_this_one(state: NodeState) -> None:
    state.observe(_instance(1, uid="2"))
    members = state.members
    state.forget(key(_NAME), "1")
    assert state.find(_CAM, _NAME) is not None
    assert state.members == members
    state.forget(key(_NAME), "2")
    assert state.find(_CAM, _NAME) is None
    assert state.members == members + 1
    assert dict(state.tables(_CAM)) == {}


def test_only_instances_of_this_node_have_a_table(state: NodeState) -> None:
    state.observe(_instance(1, nodes=("node-b",)))
    assert dict(state.tables(_CAM)) == {}
    state.observe(_instance(2, nodes=("node-b",), slot_1="node-a"))
    assert list(state.tables(_CAM)) == [_NAME]
    state.observe(_instance(3, nodes=("node-b",)))
    assert dict(state.tables(_CAM)) == {}
    assert state.find(_CAM, _NAME) is not None


def test_a_whole_set_replaces_all_and_what_a_start_finds_is_inherited(state: NodeState) -> None:
    state.observe(_instance(name="cam-a19705"))
    state.reset([_instance(2, slot_0="node-a")], inherit=True)
    assert state.find(_CAM, InstanceName("cam-a19705")) is None
    assert state.tables(_CAM)[_NAME].inherited == {0}
    state.reset([_instance(3, slot_0="node-a", slot_1="node-a")], inherit=False)
    assert state.tables(_CAM)[_NAME].inherited == {0}


def test_what_is_held_is_told_by_resource(state: NodeState) -> None:
    state.observe(_instance(1, slot_0="node-a", slot_1="C:cam-0:node-a"))
    held = state.held()
    assert {(name, str(id_)) for name, id_ in held} == {(resource("cam-8120fe"), "cam-8120fe-0"), (resource("cam"), "cam-0")}
    assert [found.level for found, _ in held.values()] == [ByConfiguration(ConfigurationName("cam")), ByInstance(_NAME)]


def test_users_are_found_at_both_levels(state: NodeState) -> None:
    assert list(state.users(_CAM, _NAME)) == []
    state.observe(_instance(1, slot_0="node-a", slot_1="C:cam-0:node-a"))
    users = {
        resource("cam-8120fe"): {PluginDeviceId("cam-8120fe-0"): key("one")},
        resource("cam"): {PluginDeviceId("cam-0"): key("two"), PluginDeviceId("cam-1"): key("of another Instance")},
    }
    state.evidence = state.evidence.list(Listing(1.0, users))
    assert list(state.users(_CAM, _NAME)) == [key("one"), key("two")]
    assert list(state.users(_CAM, InstanceName("cam-a19705"))) == []


def test_names() -> None:
    assert configuration_of(_instance()) == _CAM
    assert Resource(_CAM, ByInstance(_NAME)).name == "akri.sh/cam-8120fe"
    assert Resource(_CAM, ByConfiguration(ConfigurationName("cam"))).name == "akri.sh/cam"

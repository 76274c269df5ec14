"""A patch does to a stored Instance exactly what was decided, and nothing to an Instance for which something else is decided."""

from __future__ import annotations

from functools import partial
from typing import cast

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from akri.core.codec import observe_instance, print_instance
from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, SlotId, VirtualDeviceId
from akri.core.instance import ANNOTATION_FENCE, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.usage import HeldByConfiguration, HeldByNode, Usage
from akri.platforms import writes
from akri.platforms.kubernetes import patches
from akri.platforms.kubernetes.patches import Request
from akri.ports import Refusal, Refused
from tests.unit.platforms.kubernetes.json_patch import PatchRefusedError, apply, merge

ME, OTHER = NodeName("node-a"), NodeName("node-b")
NAME = InstanceName("cam-8120fe")
USAGES: tuple[Usage, ...] = (
    HeldByNode(ME),
    HeldByNode(OTHER),
    HeldByConfiguration(VirtualDeviceId(ConfigurationName("cam"), 0), ME),
)
TEXTS = ("", "node-a", "node-b", "C:cam-0:node-a")

usages = st.dictionaries(st.sampled_from([f"{NAME}-{index}" for index in range(4)]), st.sampled_from(TEXTS), max_size=4)
instances = st.builds(
    Instance,
    st.builds(
        ObjectMeta,
        st.just(ObjectKey("default", NAME)),
        uid=st.sampled_from(["u1", "u2"]),
        revision=st.integers(1, 3),
        created=st.just(1000.0),
        annotations=st.dictionaries(st.sampled_from(["akri.sh/device-id", "a/b~c"]), st.text("xy", max_size=2), min_size=1, max_size=2),
        owners=st.just((OwnerReference("akri.sh/v0", "Configuration", "cam", "c1", controller=True),)),
    ),
    st.just(ConfigurationName("cam")),
    st.just("akri.sh/cam=8120fe"),
    st.integers(1, 4),
    shared=st.just(value=True),
    nodes=st.lists(st.sampled_from([ME, OTHER, NodeName("node-c")]), unique=True, max_size=3).map(tuple),
    device_usage=usages,
    broker_properties=st.dictionaries(st.sampled_from(["A", "B"]), st.text("xy", max_size=2), max_size=2),
)
reported = instances.map(lambda instance: evolve(instance, nodes=(ME, *(node for node in instance.nodes if node != ME))))
slots = st.integers(0, 4).map(partial(SlotId, NAME))


def patched(stored: Instance, request: Request) -> Instance | None:
    """What a server makes of it; None if it refuses."""
    try:
        document = apply(print_instance(stored), request.body)
    except PatchRefusedError:
        return None
    found = observe_instance(document)
    assert isinstance(found, Instance)
    return found


def held_to(decision: writes.Decision, stored: Instance, request: Request) -> None:
    """A patch takes effect just where the decision is to write, and then as decided.

    Whether somebody may write at all (FORBIDDEN) is the business of the server's policies.
    """
    result = patched(stored, request)
    match decision:
        case writes.Write(target):
            assert result == target
        case writes.Keep() | writes.Delete():
            pass
        case Refused(refusal):
            assert refusal in {Refusal.FORBIDDEN, Refusal.INVALID} or result is None


@given(instances, slots, st.sampled_from(USAGES))
def test_a_claim_takes_a_free_slot_and_no_other(stored: Instance, slot: SlotId, usage: Usage) -> None:
    decision = writes.claim(stored, slot, usage, ME)
    if str(slot) in stored.device_usage:
        held_to(decision, stored, patches.claim(slot, usage))
    else:
        assert patched(stored, patches.claim(slot, usage)) is None
        if isinstance(decision, writes.Write):
            held_to(decision, stored, patches.claim_missing_key(stored, slot, usage))


@given(instances, instances, slots, st.sampled_from(USAGES))
def test_a_claim_of_a_missing_key_needs_the_very_state_that_was_read(stored: Instance, read: Instance, slot: SlotId, usage: Usage) -> None:
    same = (stored.metadata.uid, stored.metadata.revision) == (read.metadata.uid, read.metadata.revision)
    assert (patched(stored, patches.claim_missing_key(read, slot, usage)) is not None) == same


@given(instances, instances, slots, st.sampled_from(USAGES))
def test_a_release_frees_what_it_names_in_the_state_that_was_read(stored: Instance, carried: Instance, slot: SlotId, usage: Usage) -> None:
    decision = writes.release(stored, carried, slot, usage, ME)
    held_to(decision, stored, patches.release(carried, slot, usage))


@given(instances, st.sampled_from(["u1", "u2"]))
def test_a_join_adds_the_node_to_the_very_instance(stored: Instance, uid: str) -> None:
    assume(ME not in stored.nodes)
    held_to(writes.join(stored, uid, ME, ME), stored, patches.join(uid, ME))


@given(instances, instances)
def test_a_leave_removes_the_node_only_where_it_stood(stored: Instance, read: Instance) -> None:
    assume(ME in read.nodes)
    result = patched(stored, patches.leave(read, ME))
    index = read.nodes.index(ME)
    if stored.metadata.uid == read.metadata.uid and stored.nodes[index : index + 1] == (ME,):
        assert result == evolve(stored, nodes=tuple(node for node in stored.nodes if node != ME))
    else:
        assert result is None


@given(reported, instances, reported, st.booleans())
def test_an_update_writes_what_differs_in_the_state_that_was_read(read: Instance, wanted: Instance, other: Instance, same: bool) -> None:
    stored = read if same else other
    carried = evolve(wanted, metadata=evolve(wanted.metadata, uid=read.metadata.uid, revision=read.metadata.revision))
    decision = writes.update(read, carried, ME)
    assert isinstance(decision, writes.Write)
    result = patched(stored, patches.update(read, decision.instance, ME))
    if stored == read:
        assert result == decision.instance
    elif (stored.metadata.uid, stored.metadata.revision) != (read.metadata.uid, read.metadata.revision):
        assert result is None


@given(instances, reported)
def test_an_update_needs_to_be_the_reporters(stored: Instance, read: Instance) -> None:
    changed = evolve(stored, metadata=evolve(stored.metadata, uid=read.metadata.uid, revision=read.metadata.revision))
    result = patched(changed, patches.update(read, evolve(read, capacity=read.capacity + 1), ME))
    assert (result is not None) == (stored.nodes[:1] == (ME,))


@given(instances)
def test_a_fence_changes_one_annotation_and_nothing_else(stored: Instance) -> None:
    request = patches.fence("f1")
    assert (request.method, request.content_type) == ("PATCH", patches.MERGE_PATCH)
    found = observe_instance(cast("JsonObject", merge(print_instance(stored), request.body)))
    assert isinstance(found, Instance)
    assert found.metadata.annotations == {**stored.metadata.annotations, ANNOTATION_FENCE: "f1"}
    assert evolve(found, metadata=stored.metadata) == stored


@given(instances)
def test_a_creation_leaves_out_what_the_server_gives(instance: Instance) -> None:
    request = patches.create(instance)
    document = cast("JsonObject", request.body)
    assert request.method == "POST"
    assert not {"uid", "resourceVersion", "generation", "creationTimestamp"} & set(cast("JsonObject", document["metadata"]))
    found = observe_instance(document)
    assert isinstance(found, Instance)
    assert evolve(found, metadata=instance.metadata) == instance
    assert found.metadata.owners == instance.metadata.owners


def test_a_deletion_names_the_very_state() -> None:
    stored = Instance(ObjectMeta(ObjectKey("default", NAME), uid="u1", revision=7), ConfigurationName("cam"), "", 1)
    request = patches.delete(stored)
    assert request.method == "DELETE"
    assert cast("JsonObject", request.body)["preconditions"] == {"uid": "u1", "resourceVersion": "7"}


def test_a_leave_of_a_stranger_is_a_mistake_of_the_caller() -> None:
    stored = Instance(ObjectMeta(ObjectKey("default", NAME), uid="u1"), ConfigurationName("cam"), "", 1, nodes=(OTHER,))
    with pytest.raises(ValueError, match="tuple"):
        patches.leave(stored, ME)


def test_a_slot_is_addressed_whatever_its_name() -> None:
    request = patches.claim(SlotId(InstanceName("a/b~c"), 0), HeldByNode(ME))
    path = "/spec/deviceUsage/a~1b~0c-0"
    assert request.body == [{"op": "test", "path": path, "value": ""}, {"op": "replace", "path": path, "value": "node-a"}]

"""The contract of creating, joining, leaving, updating and reading Instances."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_DEVICE_NODE, ANNOTATION_GENERATION, Instance
from akri.core.metadata import OwnerReference
from akri.core.usage import HeldByNode
from akri.ports import Done, Refusal, Refused
from tests.contract.driver import COLLECTED, A, B, C, Driver, configuration, done, instance_of, made, owner_of, slot, until


async def test_a_created_instance_is_given_its_identity(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    wanted = instance_of(stored)
    made_up = evolve(wanted, metadata=evolve(wanted.metadata, uid="mine", revision=99, created=1.0))
    created = done(await driver.node(A).create(made_up))
    assert created.metadata.uid not in {"", "mine"}
    assert created.metadata.revision > 0
    assert abs(created.metadata.created - driver.clock.wall()) < 60
    assert evolve(created, metadata=wanted.metadata) == wanted
    assert created.metadata.owners == (owner_of(stored),)
    assert await driver.node(B).read_instance(created.key) == created


async def test_of_many_creations_one_wins_and_the_others_see_it(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    nodes = [A, B, C] * 5
    wanted = [evolve(instance_of(stored, node), broker_properties={"CREATION": str(index)}) for index, node in enumerate(nodes)]
    outcomes = await asyncio.gather(*(driver.node(node).create(each) for node, each in zip(nodes, wanted, strict=True)))
    winners = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    assert len(winners) == 1
    assert await driver.node(A).read_instance(wanted[0].key) == winners[0].instance
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            assert outcome.refusal is Refusal.EXISTS
            assert outcome.instance is None or outcome.instance == winners[0].instance


async def test_creation_is_refused_where_the_access_rules_forbid_it(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    good = instance_of(stored)
    other = OwnerReference("akri.sh/v0", "Configuration", "other", "uid", controller=True)
    forbidden = (
        evolve(good, nodes=(B,)),
        evolve(good, nodes=(A, B)),
        evolve(good, nodes=()),
        evolve(good, device_usage={**good.device_usage, str(slot(good)): A}),
        evolve(good, metadata=evolve(good.metadata, owners=())),
        evolve(good, metadata=evolve(good.metadata, owners=(owner_of(stored), evolve(other, controller=False)))),
        evolve(good, metadata=evolve(good.metadata, owners=(other,))),
        evolve(good, metadata=evolve(good.metadata, key=ObjectKey("default", "dog-8120fe"))),
        evolve(good, configuration=ConfigurationName("dog")),
    )
    for instance in forbidden:
        outcome = await driver.node(A).create(instance)
        assert isinstance(outcome, Refused), instance
        assert outcome.refusal is Refusal.FORBIDDEN
        assert outcome.message
        assert await driver.node(A).read_instance(instance.key) is None
    # Two controllers are against the rules of Kubernetes itself.
    two = await driver.node(A).create(evolve(good, metadata=evolve(good.metadata, owners=(owner_of(stored), other))))
    assert isinstance(two, Refused)
    assert two.refusal in {Refusal.FORBIDDEN, Refusal.INVALID}


@pytest.mark.parametrize(
    ("capacity", "properties"),
    [(1001, {}), (1, {f"P{index}": "" for index in range(257)}), (1, {"P": "x" * 4097})],
)
async def test_creation_is_refused_beyond_the_bounds_of_the_schema(driver: Driver, capacity: int, properties: dict[str, str]) -> None:
    stored = await driver.apply(configuration())
    outcome = await driver.node(A).create(evolve(instance_of(stored), capacity=capacity, broker_properties=properties))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.INVALID


async def test_a_missing_instance_reads_as_none(driver: Driver) -> None:
    assert await driver.node(A).read_instance(ObjectKey("default", "cam-8120fe")) is None


async def test_nodes_join_at_the_end_and_once(driver: Driver) -> None:
    instance = await made(driver, A)
    uid = instance.metadata.uid
    joined = done(await driver.node(B).join(instance.key, uid, B))
    assert joined.nodes == (A, B)
    assert joined.metadata.revision > instance.metadata.revision
    again = done(await driver.node(B).join(instance.key, uid, B))
    assert again == joined
    await asyncio.gather(*(driver.node(C).join(instance.key, uid, C) for _ in range(5)))
    assert await _nodes(driver, instance) == (A, B, C)


async def test_joining_is_refused_where_it_makes_no_sense(driver: Driver) -> None:
    instance = await made(driver, A)
    uid = instance.metadata.uid
    local = await driver.put_instance(_local(instance))
    for outcome, refusal in (
        (await driver.node(B).join(ObjectKey("default", "cam-aaaaaa"), uid, B), Refusal.MISSING),
        (await driver.node(B).join(instance.key, "another", B), Refusal.MISSING),
        (await driver.node(B).join(instance.key, uid, C), Refusal.FORBIDDEN),
        (await driver.node(B).join(local.key, local.metadata.uid, B), Refusal.FORBIDDEN),
    ):
        assert isinstance(outcome, Refused)
        assert outcome.refusal is refusal
    assert await _nodes(driver, instance) == (A,)


async def test_nodes_leave_and_the_last_one_takes_the_instance_along(driver: Driver) -> None:
    instance = await made(driver, A, B)
    uid = instance.metadata.uid
    left = done(await driver.node(A).leave(instance.key, uid, A))
    assert left.nodes == (B,)
    again = await driver.node(A).leave(instance.key, uid, A)
    assert isinstance(again, Done)
    assert await _nodes(driver, instance) == (B,)
    assert await driver.node(B).leave(instance.key, uid, B) == Done(None)
    assert await driver.node(A).read_instance(instance.key) is None


async def test_leaving_what_is_gone_is_done(driver: Driver) -> None:
    instance = await made(driver, A)
    await driver.node(A).leave(instance.key, instance.metadata.uid, A)
    assert isinstance(await driver.node(A).leave(instance.key, instance.metadata.uid, A), Done)
    fresh = await made(driver, A)
    assert fresh.metadata.uid != instance.metadata.uid
    assert isinstance(await driver.node(A).leave(fresh.key, instance.metadata.uid, A), Done)
    assert await _nodes(driver, fresh) == (A,)


async def test_e7_an_instance_is_gone_when_all_nodes_leave_at_the_same_moment(driver: Driver) -> None:
    instance = await made(driver, A, B, C)
    await asyncio.gather(*(driver.node(node).leave(instance.key, instance.metadata.uid, node) for node in (A, B, C)))
    assert await driver.node(A).read_instance(instance.key) is None


async def test_no_node_makes_another_one_leave(driver: Driver) -> None:
    instance = await made(driver, A, B)
    outcome = await driver.node(A).leave(instance.key, instance.metadata.uid, B)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.FORBIDDEN
    assert await _nodes(driver, instance) == (A, B)


async def test_the_reporter_writes_capacity_keys_properties_and_annotations(driver: Driver) -> None:
    instance = await made(driver, A, B)
    instance = done(await driver.node(B).claim(instance.key, slot(instance, 1), HeldByNode(B)))
    annotations = {**instance.metadata.annotations, ANNOTATION_GENERATION: "2"}
    wanted = evolve(
        instance,
        metadata=evolve(instance.metadata, annotations=annotations),
        capacity=3,
        broker_properties={"DESCRIPTION": "new"},
        device_usage={str(slot(instance, index)): "" for index in range(3)},
    )
    updated = done(await driver.node(A).update(wanted))
    assert (updated.capacity, updated.broker_properties, updated.generation_seen) == (3, {"DESCRIPTION": "new"}, 2)
    assert updated.device_usage == {str(slot(instance, 0)): "", str(slot(instance, 1)): B, str(slot(instance, 2)): ""}
    assert updated.nodes == (A, B)
    assert updated.metadata.revision > instance.metadata.revision


async def test_capacity_down_removes_free_keys_and_leaves_used_ones(driver: Driver) -> None:
    instance = await made(driver, A, capacity=4)
    instance = done(await driver.node(A).claim(instance.key, slot(instance, 3), HeldByNode(A)))
    wanted = evolve(instance, capacity=1, device_usage={str(slot(instance)): "", str(slot(instance, 3)): A})
    updated = done(await driver.node(A).update(wanted))
    assert updated.device_usage == {str(slot(instance)): "", str(slot(instance, 3)): A}
    freed = done(await driver.node(A).release(updated, slot(instance, 3), HeldByNode(A)))
    updated = done(await driver.node(A).update(evolve(freed, device_usage={str(slot(instance)): ""})))
    assert updated.device_usage == {str(slot(instance)): ""}


async def test_an_update_needs_the_state_it_was_made_from_and_the_reporter(driver: Driver) -> None:
    instance = await made(driver, A, B)
    await driver.node(B).claim(instance.key, slot(instance), HeldByNode(B))
    stale = await driver.node(A).update(evolve(instance, capacity=3))
    assert isinstance(stale, Refused)
    assert stale.refusal is Refusal.CONFLICT
    current = await driver.node(B).read_instance(instance.key)
    assert current is not None
    forbidden = await driver.node(B).update(evolve(current, capacity=3))
    assert isinstance(forbidden, Refused)
    assert forbidden.refusal is Refusal.FORBIDDEN
    other = evolve(current, metadata=evolve(current.metadata, uid="another"))
    missing = await driver.node(A).update(other)
    assert isinstance(missing, Refused)
    assert missing.refusal is Refusal.MISSING
    assert await driver.node(A).read_instance(instance.key) == current


async def test_an_update_that_changes_nothing_is_done_and_keeps_the_revision(driver: Driver) -> None:
    instance = await made(driver, A)
    assert done(await driver.node(A).update(instance)).metadata.revision == instance.metadata.revision


async def test_s7_keys_that_nobody_can_read_stay_where_they_are(driver: Driver) -> None:
    instance = await made(driver, A)
    usage = {**instance.device_usage, "rubbish": "x", "cam-8120fe-77": "node-z", "": "?", "cam-8120fe-01": A}
    await driver.put_instance(evolve(instance, device_usage=usage))
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    assert claimed.device_usage == {**usage, str(slot(instance)): A}
    updated = done(await driver.node(A).update(evolve(claimed, broker_properties={})))
    assert updated.device_usage == claimed.device_usage


async def test_instances_go_with_their_configuration(driver: Driver) -> None:
    instance = await made(driver, A)
    await driver.delete_configuration(configuration().key)
    assert await _in_the_end(driver, instance) is None


async def test_an_instance_of_a_configuration_that_is_gone_does_not_stay(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    await driver.delete_configuration(stored.key)
    await driver.node(A).create(instance_of(stored))
    assert await _in_the_end(driver, instance_of(stored)) is None


async def _in_the_end(driver: Driver, instance: Instance) -> Instance | None:
    """What is stored of an Instance when garbage has been collected."""

    async def gone() -> bool:
        return await driver.node(A).read_instance(instance.key) is None

    await until(driver, gone, COLLECTED)
    return await driver.node(A).read_instance(instance.key)


async def _nodes(driver: Driver, instance: Instance) -> tuple[NodeName, ...]:
    current = await driver.node(A).read_instance(instance.key)
    assert current is not None
    return current.nodes


def _local(instance: Instance) -> Instance:
    """The Instance of a device of node A alone, beside `instance`."""
    metadata = evolve(
        instance.metadata, key=ObjectKey("default", "cam-bbbbbb"), annotations={**instance.metadata.annotations, ANNOTATION_DEVICE_NODE: A}
    )
    return evolve(instance, metadata=metadata, shared=False, nodes=(A,), device_usage={})

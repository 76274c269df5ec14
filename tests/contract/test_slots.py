"""The contract of claiming, releasing and fencing slots, with lost and late answers."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from akri.core.ids import ConfigurationName, ObjectKey, VirtualDeviceId
from akri.core.instance import Instance
from akri.core.usage import HeldByConfiguration, HeldByNode, Usage, print_usage
from akri.ports import Done, NodePlatform, Refusal, Refused, Unknown
from akri.testing.faults import Conflict, Fault, FaultyNodePlatform, Late, LostAfter, LostBefore, Orders, Slow
from tests.contract.driver import A, B, C, Driver, done, made, slot, until

LATE = 3.0
"""Seconds by which a write is late: long after its sender has read back."""
VIRTUAL = HeldByConfiguration(VirtualDeviceId(ConfigurationName("cam"), 0), A)


@pytest.mark.parametrize("usage", [HeldByNode(A), VIRTUAL])
async def test_a_free_slot_is_claimed_and_released(driver: Driver, usage: Usage) -> None:
    instance = await made(driver, A)
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), usage))
    assert claimed.device_usage == {str(slot(instance)): print_usage(usage), str(slot(instance, 1)): ""}
    assert claimed.metadata.revision > instance.metadata.revision
    released = done(await driver.node(A).release(claimed, slot(instance), usage))
    assert released.device_usage.get(str(slot(instance)), "") == ""
    assert released.metadata.revision > claimed.metadata.revision


async def test_s6_of_many_claims_of_one_slot_exactly_one_wins(driver: Driver) -> None:
    instance = await made(driver, A, B, C)
    for _ in range(10):
        usages = [HeldByConfiguration(VirtualDeviceId(ConfigurationName("cam"), k), node) for k in range(4) for node in (A, B, C)]
        outcomes = await asyncio.gather(*(driver.node(usage.node).claim(instance.key, slot(instance), usage) for usage in usages))
        winners = [usage for usage, outcome in zip(usages, outcomes, strict=True) if isinstance(outcome, Done)]
        assert len(winners) == 1
        current = await _usage(driver, instance)
        assert current == print_usage(winners[0])
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                assert outcome.refusal is Refusal.CONFLICT
                assert outcome.instance is not None
                assert outcome.instance.device_usage[str(slot(instance))] == current
        await _release(driver.node(winners[0].node), instance.key, winners[0])


async def test_a_slot_that_already_holds_exactly_this_usage_is_refused_too(driver: Driver) -> None:
    instance = await made(driver, A)
    await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A))
    outcome = await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.CONFLICT
    assert outcome.instance is not None
    assert outcome.instance.device_usage[str(slot(instance))] == A


async def test_a_missing_key_is_free_below_the_capacity_and_only_there(driver: Driver) -> None:
    instance = await made(driver, A, capacity=3)
    await driver.put_instance(evolve(instance, device_usage={}))
    claimed = done(await driver.node(A).claim(instance.key, slot(instance, 2), HeldByNode(A)))
    assert claimed.device_usage == {str(slot(instance, 2)): A}
    beyond = await driver.node(A).claim(instance.key, slot(instance, 3), HeldByNode(A))
    assert isinstance(beyond, Refused)
    assert beyond.refusal is Refusal.CONFLICT


async def test_claims_are_refused_where_the_access_rules_forbid_them(driver: Driver) -> None:
    instance = await made(driver, A)
    for node, usage in ((A, HeldByNode(B)), (B, HeldByNode(B))):
        outcome = await driver.node(node).claim(instance.key, slot(instance), usage)
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.FORBIDDEN
    assert await _usage(driver, instance) == ""


async def test_claims_and_fences_of_a_missing_instance_are_refused(driver: Driver) -> None:
    instance = await made(driver, A)
    await driver.node(A).leave(instance.key, instance.metadata.uid, A)
    for outcome in (
        await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)),
        await driver.node(A).release(instance, slot(instance), HeldByNode(A)),
        await driver.node(A).fence(instance.key),
    ):
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.MISSING


async def test_a_release_needs_the_usage_the_revision_and_the_very_instance(driver: Driver) -> None:
    instance = await made(driver, A, B)
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    other = evolve(claimed, metadata=evolve(claimed.metadata, uid="another"))
    for carried, usage, refusal in (
        (claimed, VIRTUAL, Refusal.CONFLICT),
        (instance, HeldByNode(A), Refusal.CONFLICT),
        (other, HeldByNode(A), Refusal.MISSING),
    ):
        outcome = await driver.node(A).release(carried, slot(instance), usage)
        assert isinstance(outcome, Refused), (carried, usage)
        assert outcome.refusal is refusal
    assert await _usage(driver, instance) == A


async def test_nobody_frees_the_slot_of_another_node(driver: Driver) -> None:
    instance = await made(driver, A, B)
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    outcome = await driver.node(B).release(claimed, slot(instance), HeldByNode(A))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.FORBIDDEN
    assert await _usage(driver, instance) == A


async def test_a_node_that_left_may_still_release_and_fence(driver: Driver) -> None:
    instance = await made(driver, A, B)
    await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A))
    await driver.node(A).leave(instance.key, instance.metadata.uid, A)
    fenced = done(await driver.node(A).fence(instance.key))
    assert done(await driver.node(A).release(fenced, slot(instance), HeldByNode(A))).nodes == (B,)
    assert await _usage(driver, instance) == ""


async def test_a_fence_makes_what_was_sent_before_it_fail(driver: Driver) -> None:
    instance = await made(driver, A)
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    fenced = done(await driver.node(A).fence(instance.key))
    assert fenced.metadata.revision > claimed.metadata.revision
    assert evolve(fenced, metadata=claimed.metadata) == claimed
    late_release = await driver.node(A).release(claimed, slot(instance), HeldByNode(A))
    late_update = await driver.node(A).update(evolve(claimed, capacity=7))
    for outcome in (late_release, late_update):
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.CONFLICT
    assert await _usage(driver, instance) == A
    assert done(await driver.node(A).fence(instance.key)).metadata.revision > fenced.metadata.revision


async def test_a_stranger_must_not_fence(driver: Driver) -> None:
    instance = await made(driver, A)
    outcome = await driver.node(B).fence(instance.key)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.FORBIDDEN


@pytest.mark.parametrize(
    ("fault", "at_once", "in_the_end"),
    [(LostBefore(), "", ""), (LostAfter(), A, A), (Late(LATE), "", A), (Conflict(), "", ""), (Slow(0.5, 0.5), A, A)],
)
async def test_s9_a_claim_whose_answer_is_lost_did_all_of_it_or_nothing(
    driver: Driver, fault: Fault, at_once: str, in_the_end: str
) -> None:
    instance = await made(driver, A)
    orders = Orders()
    platform = FaultyNodePlatform(driver.node(A), orders, driver.clock)
    orders.add("claim", fault)
    claim = asyncio.ensure_future(platform.claim(instance.key, slot(instance), HeldByNode(A)))
    await until(driver, claim.done)
    outcome = await claim
    assert isinstance(outcome, Unknown) == isinstance(fault, LostBefore | LostAfter | Late)
    assert await _usage(driver, instance) == at_once
    await driver.pass_time(LATE + 0.5 if isinstance(fault, Late) else 0)
    assert await _usage(driver, instance) == in_the_end
    await platform.close()


@pytest.mark.parametrize("fenced", [True, False])
async def test_s9_a_release_that_arrives_late_frees_nothing_once_it_is_fenced(driver: Driver, *, fenced: bool) -> None:
    instance = await made(driver, A)
    orders = Orders()
    platform = FaultyNodePlatform(driver.node(A), orders, driver.clock)
    claimed = done(await platform.claim(instance.key, slot(instance), HeldByNode(A)))
    orders.add("release", Late(LATE))
    assert isinstance(await platform.release(claimed, slot(instance), HeldByNode(A)), Unknown)
    if fenced:
        assert done(await platform.fence(instance.key)).device_usage[str(slot(instance))] == A
    await driver.pass_time(LATE + 0.5)
    assert await _usage(driver, instance) == (A if fenced else "")
    await platform.close()


async def test_s8_a_claim_and_a_release_are_one_write_each(driver: Driver) -> None:
    instance = await made(driver, A, B, C)
    claimed = done(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    assert evolve(claimed, metadata=instance.metadata, device_usage=instance.device_usage) == instance
    assert claimed.metadata.annotations == instance.metadata.annotations


async def _usage(driver: Driver, instance: Instance) -> str:
    current = await driver.node(A).read_instance(instance.key)
    assert current is not None
    return current.device_usage.get(str(slot(instance)), "")


async def _release(platform: NodePlatform, key: ObjectKey, usage: Usage) -> None:
    current = await platform.read_instance(key)
    assert current is not None
    assert isinstance(await platform.release(current, slot(current), usage), Done)

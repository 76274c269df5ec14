"""Single writes: what is not sent at all, what a doubt is, and how it is settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import define, evolve

from akri.agent.state import NodeState
from akri.agent.writes import InstanceWrites
from akri.core.allocation import Binding
from akri.core.evidence import Evidence
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey, PluginDeviceId, SlotId
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.slots import Held
from akri.core.usage import HeldByNode
from akri.platforms.local.memory import MemoryStore
from akri.ports import Done, Refusal, Refused, Unknown
from akri.testing.clock import VirtualClock
from akri.testing.faults import Conflict, FaultyNodePlatform, Late, LostAfter, Orders, Slow
from tests.unit.agent.world import NODE, key

_NAME = InstanceName("cam-8120fe")
_SLOT = SlotId(_NAME, 0)
_USAGE = HeldByNode(NODE)
_BINDING = Binding(PluginDeviceId(str(_SLOT)), _SLOT, _USAGE)
_CONFIGURATION = key("cam")


@define(eq=False)
class _World:
    clock: VirtualClock
    store: MemoryStore
    orders: Orders
    platform: FaultyNodePlatform
    state: NodeState
    writes: InstanceWrites

    @property
    def doubts(self) -> set[int]:
        return {index for _, table in self.state.doubtful() for index in table.doubts}


@asynccontextmanager
async def _world(**usage: str) -> AsyncGenerator[_World]:
    clock = VirtualClock()
    store = MemoryStore(clock)
    orders = Orders()
    platform = FaultyNodePlatform(store.node(NODE), orders, clock)
    state = NodeState(NODE, Evidence(0.0))
    metadata = ObjectMeta(ObjectKey("default", _NAME))
    held = {f"{_NAME}-{number.removeprefix('slot_')}": text for number, text in usage.items()}
    wanted = Instance(metadata, ConfigurationName("cam"), "akri.sh/cam=8120fe", 2, shared=True, nodes=(NODE,), device_usage=held)
    state.observe(await store.put_instance(wanted))
    yield _World(clock, store, orders, platform, state, InstanceWrites(state, platform, clock))
    await platform.close()


async def test_a_claim_is_in_doubt_until_its_answer_is_there() -> None:
    async with _world() as it:
        it.orders.add("claim", Slow(after=2.0))
        claim = asyncio.create_task(it.writes.claim(_CONFIGURATION, _BINDING, 10.0))
        await it.clock.advance(1.0)
        assert it.doubts == {0}
        await it.clock.advance(1.0)
        assert isinstance(await claim, Done)
        assert it.doubts == set()
        assert [held.slot for held in it.state.tables(_CONFIGURATION)[_NAME].held()] == [_SLOT]


async def test_a_claim_whose_time_is_over_when_its_turn_comes_is_not_sent() -> None:
    async with _world(slot_1="node-a") as it:
        it.orders.add("release", Slow(before=4.0))
        other = Held(SlotId(_NAME, 1), _USAGE)
        release = asyncio.create_task(it.writes.release(_CONFIGURATION, other, lambda: True))
        await it.clock.advance(0.5)
        claim = asyncio.create_task(it.writes.claim(_CONFIGURATION, _BINDING, 1.0))
        await it.clock.advance(5.0)
        await release
        assert await claim == Unknown("an earlier write to Instance default/cam-8120fe is still under way")
        assert it.platform.counts["claim"] == 0
        assert 0 not in it.doubts


async def test_a_release_of_what_is_not_held_or_not_allowed_any_more_is_not_sent() -> None:
    async with _world(slot_1="node-a") as it:
        held = Held(SlotId(_NAME, 1), _USAGE)
        assert await it.writes.release(_CONFIGURATION, held, lambda: False) is None
        assert await it.writes.release(_CONFIGURATION, Held(_SLOT, _USAGE), lambda: True) is None
        assert await it.writes.release(key("other"), held, lambda: True) is None
        assert it.platform.counts["release"] == 0
        assert isinstance(await it.writes.release(_CONFIGURATION, held, lambda: True), Done)
        assert await it.writes.release(_CONFIGURATION, held, lambda: True) is None


async def test_a_release_in_doubt_is_fenced_before_another_one_is_sent() -> None:
    async with _world(slot_1="node-a") as it:
        held = Held(SlotId(_NAME, 1), _USAGE)
        it.orders.add("release", Late(5.0), Conflict())
        assert isinstance(await it.writes.release(_CONFIGURATION, held, lambda: True), Unknown)
        # The refusal of a second one would say nothing of the first.
        assert await it.writes.release(_CONFIGURATION, held, lambda: True) is None
        assert (it.doubts, it.platform.counts["release"]) == ({1}, 1)
        assert isinstance(await it.writes.fence(_CONFIGURATION, _NAME), Done)
        await it.clock.advance(10.0)
        (instance,) = it.store.instances
        assert instance.device_usage[f"{_NAME}-1"] == "node-a", "the late release freed a slot that counts as held"


async def test_a_fence_settles_a_doubt_and_is_not_sent_without_one() -> None:
    async with _world() as it:
        assert await it.writes.fence(_CONFIGURATION, _NAME) is None
        it.orders.add("claim", LostAfter())
        assert isinstance(await it.writes.claim(_CONFIGURATION, _BINDING, 10.0), Unknown)
        assert it.doubts == {0}
        assert isinstance(await it.writes.fence(_CONFIGURATION, _NAME), Done)
        assert it.doubts == set()
        assert [held.slot for held in it.state.tables(_CONFIGURATION)[_NAME].held()] == [_SLOT]
        assert it.platform.counts["fence"] == 1


async def test_a_fence_on_an_instance_that_is_gone_forgets_it() -> None:
    async with _world() as it:
        it.orders.add("claim", LostAfter())
        await it.writes.claim(_CONFIGURATION, _BINDING, 10.0)
        (instance,) = it.store.instances
        await it.store.node(NODE).leave(instance.key, instance.metadata.uid, NODE)
        outcome = await it.writes.fence(_CONFIGURATION, _NAME)
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.MISSING
        assert it.state.find(_CONFIGURATION, _NAME) is None
        assert isinstance(await it.writes.claim(_CONFIGURATION, _BINDING, 10.0), Refused)


async def test_a_claim_that_is_refused_takes_in_who_holds_the_slot() -> None:
    async with _world() as it:
        (instance,) = it.store.instances
        await it.store.put_instance(evolve(instance, device_usage={str(_SLOT): "node-b"}))
        outcome = await it.writes.claim(_CONFIGURATION, _BINDING, 10.0)
        assert isinstance(outcome, Refused)
        assert it.state.tables(_CONFIGURATION)[_NAME].usage(0) != _USAGE
        assert it.doubts == set()


async def test_an_instance_that_is_left_in_the_middle_of_a_write_needs_no_table() -> None:
    async with _world() as it:
        it.orders.add("claim", Slow(before=1.0))
        claim = asyncio.create_task(it.writes.claim(_CONFIGURATION, _BINDING, 10.0))
        await it.clock.advance(0.5)
        it.state.forget(ObjectKey("default", _NAME))
        await it.clock.advance(1.0)
        assert isinstance(await claim, Done)
        assert it.doubts == set()

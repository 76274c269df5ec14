"""Allocate without a kubelet: what is granted, refused, given back, and how long it may take."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from akri.agent.claims import STALE_AFTER
from akri.core.device import Device, DeviceNode
from akri.core.errors import AkriError, DeviceUnavailableError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import DeviceId, NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.reports import Event, Reason
from akri.core.usage import Usage
from akri.platforms.local.memory import MemoryStore
from akri.ports import Outcome, Refusal, Refused
from akri.testing.clock import VirtualClock
from akri.testing.faults import Cut, FaultyNodePlatform, LostBefore, Orders, Slow
from tests.unit.agent.world import NODE, World, agent_world, configuration, device, ids, key, resource


async def _refusal(it: World, name: str, *wanted: str) -> AkriError:
    asked = asyncio.ensure_future(it.agent.allocate(resource(name), ids(*wanted)))
    await it.clock.run_until(asked.done)
    with pytest.raises(AkriError) as raised:
        await asked
    return raised.value


async def test_what_is_not_offered_is_refused() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        assert str(await _refusal(it, "other", "other-0")) == "resource akri.sh/other is not offered by this node any more"
        assert isinstance(await _refusal(it, "cam", "rubbish"), AkriError)
        assert "is not a slot of Instance" in str(await _refusal(it, "cam-8120fe", "cam-a19705-0"))
        assert it.usages() == {}
        assert len(it.told(Reason.SLOT_REFUSED)) == 2


async def test_a_container_gets_what_all_its_devices_say() -> None:
    async with agent_world(device("foo0", KEY="a"), device("foo1", KEY="b")) as it:
        await it.store.apply(evolve(configuration(), broker_properties={"SIZE": "1"}))
        await it.clock.advance(1)
        environment = await it.allocate("cam", "cam-0", "cam-1")
        assert environment["KEY"] == "a"
        assert (environment["KEY_8120FE"], environment["KEY_A19705"], environment["SIZE"]) == ("a", "b", "1")
        assert await it.allocate("cam", "cam-0", "cam-1") == environment
        assert it.platform.counts["claim"] == 2


async def test_devices_that_do_not_go_into_one_container_are_given_back() -> None:
    clash = [Device(DeviceId(name), device_nodes=(DeviceNode("/dev/video", f"/dev/{name}"),)) for name in ("foo0", "foo1")]
    async with agent_world(*clash) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        assert isinstance(await _refusal(it, "cam", "cam-0", "cam-1"), DeviceUnavailableError)
        assert it.usages() == {}


class _Refusing(FaultyNodePlatform):
    """A node whose claims are refused for ever, or that cannot read, or not tell."""

    refusal = Refusal.FORBIDDEN

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        return Refused(self.refusal, f"not for you: {key} {slot} {usage}")

    async def emit(self, event: Event) -> None:
        raise OSError(f"nobody listens to {event.reason}")


@pytest.mark.parametrize("refusal", [Refusal.FORBIDDEN, Refusal.INVALID])
async def test_a_refusal_that_is_final_is_not_tried_again(refusal: Refusal, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    platform = _Refusing(store.node(NODE), Orders(), clock)
    platform.refusal = refusal
    async with agent_world(device("foo0"), store=store, clock=clock, platform=platform) as it:
        await store.apply(configuration())
        await clock.advance(1)
        error = await _refusal(it, "cam", "cam-0")
        assert isinstance(error, NotPermittedError)
        assert "not for you" in str(error)
        assert it.platform.counts["claim"] == 1
        assert "an event could not be delivered reason=SlotRefused" in caplog.text


class _Failing(FaultyNodePlatform):
    """A node whose writes raise."""

    error: Exception = OSError("no route")

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:  # noqa: ARG002 - as the port has it
        raise self.error

    async def read_instance(self, key: ObjectKey) -> Instance | None:  # noqa: ARG002 - as the port has it
        raise self.error


@pytest.mark.parametrize("error", [OSError("no route"), RuntimeError("a bug"), OutcomeUnknownError("no answer")])
async def test_a_platform_that_raises_leaves_an_unknown_outcome_and_ends_nothing(error: Exception) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    platform = _Failing(store.node(NODE), Orders(), clock)
    platform.error = error
    async with agent_world(device("foo0"), store=store, clock=clock, platform=platform) as it:
        await store.apply(configuration())
        await clock.advance(1)
        before = clock.now()
        refused = await _refusal(it, "cam-8120fe", "cam-8120fe-0")
        assert "could not be claimed within 10 s" in str(refused)
        assert it.platform.counts["claim"] < 60
        assert str(error) in str(refused)
        assert 10.0 <= clock.now() - before < 11.0
        await clock.advance(30)
        assert it.usages() == {}


async def test_a_held_slot_is_read_first_when_the_watch_has_been_silent() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        it.orders.add("watch", *[Cut(1000.0)] * 4)
        it.platform.cut_watches(1000.0)
        await it.clock.advance(STALE_AFTER + 1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        assert it.platform.counts["read"] == 1
        stored = it.instance()
        await it.store.put_instance(evolve(stored, device_usage={"cam-8120fe-0": "node-b"}))
        assert "held by node-b" in str(await _refusal(it, "cam-8120fe", "cam-8120fe-0"))
        await it.store.delete(key("cam"))
        assert isinstance(await _refusal(it, "cam-8120fe", "cam-8120fe-0"), AkriError)


async def test_a_read_without_an_answer_refuses_within_the_time() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        it.orders.add("watch", *[Cut(1000.0)] * 4)
        it.platform.cut_watches(1000.0)
        await it.clock.advance(STALE_AFTER + 1)
        it.orders.add("read", Slow(before=100.0))
        before = it.clock.now()
        assert isinstance(await _refusal(it, "cam-8120fe", "cam-8120fe-0"), OutcomeUnknownError)
        assert it.clock.now() - before <= 10.0
        assert it.usages() == {"cam-8120fe-0": "node-a"}


async def test_an_allocate_that_is_cancelled_leaves_a_doubt_that_is_settled() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        it.orders.add("claim", Slow(after=5.0))
        asked = asyncio.ensure_future(it.agent.allocate(resource("cam"), ids("cam-0")))
        await it.clock.advance(1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:node-a"}
        await it.clock.advance(20)
        assert it.usages() == {}
        assert not list(it.agent.state.doubtful())
        await it.allocate("cam", "cam-0")


async def test_a_claim_behind_a_slow_write_gets_no_more_time_for_that() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        it.orders.add("claim", LostBefore(60.0))
        first = asyncio.ensure_future(it.agent.allocate(resource("cam"), ids("cam-0")))
        before = it.clock.now()
        await it.clock.run_until(first.done)
        assert isinstance(first.exception(), OutcomeUnknownError)
        assert it.clock.now() - before <= 10.5
        assert it.usages() == {"cam-8120fe-0": "node-a"}


async def test_locks_go_with_their_instances() -> None:
    async with agent_world() as it:
        await it.store.apply(configuration())
        for number in range(20):
            it.source.show(device(f"foo{number}"), gone=(f"foo{number - 1}",))
            await it.clock.advance(1)
            (instance,) = it.store.instances
            await it.allocate("cam", "cam-0")
            it.end("cam")
            await it.clock.advance(12)
            assert instance.nodes == (NodeName("node-a"),)
        assert len(it.agent.claims.writes._locks) == 0  # pyright: ignore[reportPrivateUsage]
        assert len(it.agent.claims._turns) == 0  # pyright: ignore[reportPrivateUsage]

"""Slots go back on evidence alone; PodResources that does not answer frees nothing, is said once, and is not asked without end."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.errors import RemoteCallError
from akri.core.evidence import Listing
from akri.core.metadata import JsonObject
from akri.core.reports import Event, Reason
from akri.platforms.local.memory import MemoryStore
from akri.testing.clock import VirtualClock
from akri.testing.faults import Conflict, FaultyNodePlatform, LostAfter, LostBefore, Orders, Slow
from tests.unit.agent.world import NODE, agent_world, configuration, device, key, resource

_SPEC: JsonObject = {"nodeName": "node-a", "containers": [{"name": "main", "resources": {"limits": {"akri.sh/cam-8120fe": 1}}}]}


@pytest.mark.parametrize(("watch_pods", "kept", "free"), [(True, 10.0, 12.0), (False, 60.0, 62.0)])
async def test_without_proof_a_slot_is_kept_for_its_time(watch_pods: bool, kept: float, free: float) -> None:
    async with agent_world(device("foo0"), watch_pods=watch_pods) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(30)
        it.end("cam-8120fe")
        await it.clock.advance(kept)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        await it.clock.advance(free - kept)
        assert it.usages() == {}
        (told,) = it.told(Reason.SLOT_RELEASED)
        assert told.message == "slot cam-8120fe-0 is free: it is absent for long enough"


async def test_a_pod_that_asks_and_is_not_listed_keeps_the_slot_until_ten_seconds_after_it_vanished() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        pod = await it.store.create_pod(key("user"), _SPEC)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        it.end("cam-8120fe")
        await it.clock.advance(60)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        await it.store.remove_pod(pod)
        await it.clock.advance(9.9)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        await it.clock.advance(2)
        assert it.usages() == {}


@pytest.mark.parametrize("error", [RemoteCallError("no socket"), OSError("no socket"), RuntimeError("no socket")])
async def test_a_pod_resources_that_does_not_answer_frees_nothing_and_is_asked_ever_more_rarely(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    asked: list[float] = []
    answers = [True]

    async def list_pods() -> Listing:
        asked.append(clock.now())
        if not answers:
            raise error
        return Listing(clock.now(), {resource("cam"): {}})

    async with agent_world(device("foo0"), clock=clock, list_pods=list_pods) as it:
        await it.store.apply(configuration())
        await clock.advance(1)
        answers.clear()
        await it.allocate("cam", "cam-0")
        asked.clear()
        await clock.advance(100)
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:node-a"}
        assert 5 < len(asked) < 35
        assert caplog.text.count("no slot can be released error=") == 1
        answers.append(True)
        await clock.advance(25)
        assert it.usages() == {}
        assert it.agent.releases.trouble == ""


async def test_a_list_that_hangs_is_given_up() -> None:
    clock = VirtualClock()

    async def hang() -> Listing:
        await clock.sleep(10_000)
        raise AssertionError("it was not given up")

    async with agent_world(device("foo0"), clock=clock, list_pods=hang) as it:
        await it.store.apply(configuration())
        await clock.advance(10)
        assert it.agent.releases.trouble == "no answer to PodResources List within 5 s"
        assert it.plugins.healthy("cam") == ["cam-0"]


async def test_nothing_is_asked_while_nothing_is_held() -> None:
    clock = VirtualClock()
    asked: list[float] = []

    async def list_pods() -> Listing:
        asked.append(clock.now())
        return Listing(clock.now())

    async with agent_world(device("foo0"), clock=clock, list_pods=list_pods) as it:
        await it.store.apply(configuration())
        await clock.advance(100)
        assert len(asked) == 1
        await it.allocate("cam", "cam-0")
        await clock.advance(30)
        assert it.usages() == {}
        held = len(asked)
        await clock.advance(100)
        assert len(asked) <= held + 1


@pytest.mark.parametrize("fault", [Conflict(), LostBefore(2.0), LostAfter(2.0), Slow(before=8.0), Slow(after=8.0)])
async def test_a_release_that_fails_is_tried_again_and_holds_up_no_other(fault: Conflict | LostBefore | LostAfter | Slow) -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.allocate("cam-a19705", "cam-a19705-0")
        await it.clock.advance(1)
        it.orders.add("release", fault)
        it.orders.add("fence", Conflict(), LostBefore(1.0))
        it.users.clear()
        await it.clock.advance(11.5)
        assert len(it.usages()) <= 1
        await it.clock.advance(30)
        assert it.usages() == {}
        assert not list(it.agent.state.doubtful())


class _Mute(FaultyNodePlatform):
    """A node whose events cannot be delivered."""

    async def emit(self, event: Event) -> None:
        raise RuntimeError(event.message)


async def test_news_that_cannot_be_told_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    async with agent_world(device("foo0"), store=store, clock=clock, platform=_Mute(store.node(NODE), Orders(), clock)) as it:
        await store.apply(configuration())
        await clock.advance(1)
        await it.allocate("cam", "cam-0")
        it.end("cam")
        await clock.advance(12)
        assert it.usages() == {}
        assert "an event could not be delivered reason=SlotReleased" in caplog.text


async def test_after_a_restart_nothing_is_freed_and_the_next_allocate_fences_first() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    async with agent_world(device("foo0"), store=store, clock=clock) as it:
        await store.apply(configuration())
        await clock.advance(1)
        pod = await store.create_pod(key("user"), _SPEC)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await clock.advance(1)
    async with agent_world(device("foo0"), store=store, clock=clock, users=it.users) as it:
        await clock.advance(60)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        assert it.plugins.urgent == {resource("cam-8120fe")}
        assert it.platform.counts["fence"] == 0
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        assert (it.platform.counts["fence"], it.platform.counts["claim"]) == (1, 0)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        assert it.platform.counts["fence"] == 1
        it.end("cam-8120fe")
        it.agent.kubelet_started()
        await clock.advance(60)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        await store.remove_pod(pod)
        await clock.advance(12)
        assert it.usages() == {}


async def test_of_two_slots_with_one_id_the_one_that_the_kubelet_was_not_told_goes_after_forty_seconds_and_no_earlier() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        for instance in it.store.instances:
            await it.store.put_instance(evolve(instance, device_usage={f"{instance.name}-0": "C:cam-0:node-a"}))
        await it.clock.advance(1)
        await it.allocate("cam", "cam-0")
        await it.clock.advance(38)
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:node-a", "cam-a19705-0": "C:cam-0:node-a"}
        await it.clock.advance(3.5)
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:node-a"}

"""Faults on order: each does what it says, once, and leaves the port's promises standing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.errors import OutcomeUnknownError
from akri.core.ids import ConfigurationName, HandlerName, InstanceName, NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.core.usage import HeldByNode
from akri.platforms.local.memory import MemoryStore
from akri.ports import Alive, ClusterPlatform, Done, Gone, NodePlatform, Put, Refused, Reset, Unknown, WatchEvent
from akri.scheduling.model import DropFinalizers
from akri.testing.clock import VirtualClock
from akri.testing.faults import (
    AtRandom,
    Conflict,
    Cut,
    FaultyClusterPlatform,
    FaultyNodePlatform,
    Hold,
    Late,
    LostAfter,
    LostBefore,
    Orders,
    Slow,
)
from akri.testing.streams import FaultyStream

_T = TypeVar("_T")
NODE = NodeName("node-a")
KEY = ObjectKey("default", "cam-8120fe")
SLOT = SlotId(InstanceName("cam-8120fe"), 0)


class Bench:
    """A store with one Instance, and its platform behind faults."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(self.clock)
        self.orders = Orders()
        self.node = FaultyNodePlatform(self.store.node(NODE), self.orders, self.clock)
        self.cluster = FaultyClusterPlatform(self.store.cluster(), self.orders, self.clock)

    async def begin(self) -> Bench:
        await self.store.put_instance(
            Instance(ObjectMeta(KEY), ConfigurationName("cam"), "", 1, nodes=(NODE,), device_usage={str(SLOT): ""})
        )
        return self

    @property
    def usage(self) -> str:
        instance = self.store.instance(KEY)
        assert instance is not None
        return instance.device_usage[str(SLOT)]


async def test_without_orders_everything_passes() -> None:
    bench = await Bench().begin()
    assert isinstance(await bench.node.claim(KEY, SLOT, HeldByNode(NODE)), Done)
    assert bench.node.counts == {"claim": 1}


async def test_faults_are_met_in_order_and_per_operation() -> None:
    bench = await Bench().begin()
    bench.orders.add("claim", LostBefore(), None, Conflict())
    bench.orders.add("fence", Conflict())
    assert isinstance(await bench.node.claim(KEY, SLOT, HeldByNode(NODE)), Unknown)
    assert bench.usage == ""
    assert isinstance(await bench.node.claim(KEY, SLOT, HeldByNode(NODE)), Done)
    assert bench.orders.open == 2
    assert isinstance(await bench.node.claim(KEY, SLOT, HeldByNode(NODE)), Refused)
    assert isinstance(await bench.node.fence(KEY), Refused)
    assert isinstance(await bench.node.fence(KEY), Done)
    assert bench.orders.open == 0


async def test_a_lost_answer_comes_as_unknown_when_its_time_is_over() -> None:
    bench = await Bench().begin()
    bench.orders.add("claim", LostAfter(5.0))
    claim = asyncio.ensure_future(bench.node.claim(KEY, SLOT, HeldByNode(NODE)))
    await bench.clock.advance(4)
    assert (bench.usage, claim.done()) == (NODE, False)
    await bench.clock.advance(1)
    assert await claim == Unknown("the answer to the claim was lost")


async def test_a_late_write_arrives_by_the_clock_unless_it_is_dropped() -> None:
    bench = await Bench().begin()
    bench.orders.add("claim", Late(5.0), Late(5.0))
    assert await bench.node.claim(KEY, SLOT, HeldByNode(NODE)) == Unknown("the claim is late")
    await bench.node.close()
    await bench.clock.advance(6)
    assert bench.usage == ""
    await bench.node.claim(KEY, SLOT, HeldByNode(NODE))
    await bench.clock.advance(6)
    assert bench.usage == NODE


async def test_a_slow_write_is_slow_on_both_ways() -> None:
    bench = await Bench().begin()
    bench.orders.add("claim", Slow(1.0, 2.0))
    claim = asyncio.ensure_future(bench.node.claim(KEY, SLOT, HeldByNode(NODE)))
    await bench.clock.advance(0.5)
    assert bench.usage == ""
    await bench.clock.advance(1)
    assert (bench.usage, claim.done()) == (NODE, False)
    await bench.clock.advance(2)
    assert isinstance(await claim, Done)


async def test_reads_and_reports_raise_when_their_answer_is_lost() -> None:
    bench = await Bench().begin()
    for operation in ("read", "fetch", "fetch", "report", "status", "report"):
        bench.orders.add(operation, LostBefore())
    report = DiscoveryReport(KEY, "uid", NODE, 1, 0.0)
    for call in (
        bench.node.read_instance(KEY),
        bench.node.fetch_secret(KEY),
        bench.node.fetch_config_map(KEY),
        bench.node.publish_report(report),
        bench.cluster.delete_report(report),
        bench.cluster.set_status(KEY, "uid", ConfigurationStatus(1)),
    ):
        with pytest.raises(OutcomeUnknownError, match="was lost on its way"):
            await call
    bench.orders.add("execute", LostBefore())
    assert isinstance(await bench.cluster.execute(DropFinalizers("Instance", KEY, ("x",))), Unknown)


async def test_chance_is_seeded_and_befalls_only_what_it_may() -> None:
    def draw(seed: int) -> list[object]:
        schedule = AtRandom(VirtualClock(seed=seed), {Conflict(): 0.3, Cut(): 0.9, LostAfter(): 0.3}, frozenset({"claim", "watch"}))
        return [schedule.next("claim") for _ in range(200)]

    drawn = draw(1)
    assert drawn == draw(1)
    assert {Conflict(), LostAfter(), None} == set(drawn)
    schedule = AtRandom(VirtualClock(), {Conflict(): 1.0}, frozenset({"claim"}))
    assert schedule.next("release") is None
    assert schedule.next("claim") == Conflict()
    assert AtRandom(VirtualClock(), {Conflict(): 1.0}).next("watch") is None
    assert AtRandom(VirtualClock(), {Cut(): 1.0}).next("watch") == Cut()


async def test_a_cut_watch_begins_again_after_the_outage() -> None:
    bench = await Bench().begin()
    seen, task = _read(bench.node.watch_instances())
    await bench.clock.settle()
    bench.node.cut_watches(3.0)
    await bench.clock.advance(1)
    await bench.node.claim(KEY, SLOT, HeldByNode(NODE))
    await bench.clock.advance(1)
    assert len(seen) == 1
    await bench.clock.advance(2)
    assert [type(event) for event in seen] == [Reset, Reset]
    task.cancel()
    await asyncio.wait({task})
    assert bench.clock.sleeping == 0


async def test_an_ordered_cut_takes_the_event_with_it() -> None:
    bench = await Bench().begin()
    bench.orders.add("watch", None, Cut())
    seen, task = _read(bench.node.watch_instances())
    await bench.clock.settle()
    await bench.node.claim(KEY, SLOT, HeldByNode(NODE))
    await bench.clock.settle()
    assert [type(event) for event in seen] == [Reset, Reset]
    task.cancel()
    await asyncio.wait({task})


async def test_a_held_object_is_overtaken_by_others_but_not_by_itself() -> None:
    clock = VirtualClock()
    events: list[WatchEvent[str]] = [Reset(()), Put("a1"), Put("b1"), Put("a2"), Alive(), Gone(ObjectKey("", "a"), "uid", 3)]
    faults: list[Cut | Hold | None] = [None, Hold(2.0), None, None, None, None]

    async def source() -> AsyncIterator[WatchEvent[str]]:
        for event in events:
            yield event
        await asyncio.Event().wait()

    stream = FaultyStream(source, lambda value: ObjectKey("", value[0]), lambda: faults.pop(0), clock)
    seen, task = _read(stream.events())
    await clock.advance(1)
    assert seen == [Reset(()), Put("b1")]
    await clock.advance(1)
    assert seen == [Reset(()), Put("b1"), Put("a1"), Put("a2"), Gone(ObjectKey("", "a"), "uid", 3)]
    task.cancel()
    await asyncio.wait({task})


async def test_a_watch_that_ends_by_itself_ends() -> None:
    async def source() -> AsyncIterator[WatchEvent[str]]:
        yield Reset(("a",))

    stream = FaultyStream(source, lambda value: ObjectKey("", value), lambda: None, VirtualClock())
    assert [event async for event in stream.events()] == [Reset(("a",))]


async def test_a_watch_that_fails_fails() -> None:
    async def source() -> AsyncIterator[WatchEvent[str]]:
        yield Reset(("a",))
        raise OutcomeUnknownError("broken")

    stream = FaultyStream(source, lambda value: ObjectKey("", value), lambda: None, VirtualClock())
    with pytest.raises(OutcomeUnknownError, match="broken"):
        assert [event async for event in stream.events()] == []


async def test_the_wrappers_are_platforms() -> None:
    bench = Bench()
    node: NodePlatform = bench.node
    cluster: ClusterPlatform = bench.cluster
    stored = await bench.store.apply(Configuration(ObjectMeta(ObjectKey("default", "cam")), DiscoveryRequest(HandlerName("udev"))))
    for watch in (node.watch_configurations(), cluster.watch_configurations()):
        assert await anext(watch) == Reset((stored,))


def _read(watch: AsyncIterator[WatchEvent[_T]]) -> tuple[list[WatchEvent[_T]], asyncio.Task[None]]:
    seen: list[WatchEvent[_T]] = []

    async def read() -> None:
        async for event in watch:
            seen.append(event)  # noqa: PERF401 - the list grows while the watch goes on

    return seen, asyncio.create_task(read())

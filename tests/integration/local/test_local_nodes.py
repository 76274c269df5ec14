"""S3, C2, E7, E8 with processes: nodes that go for a moment or for good, and devices that vanish on one node or on all.

A node is ready while a process holds its lock. That one is away for longer than the grace of 300 s is told to the store by a clock that
goes five minutes behind; all else is as it comes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from attrs import evolve

from akri.clock import SystemClock
from akri.core.ids import NodeName
from akri.core.reports import Reason
from akri.platforms.local.sqlite.store import SqliteStore
from akri.scheduling.model import Phase
from tests.integration.local.plant import MINE, Plant, configuration, plant

pytestmark = pytest.mark.timeout(240)


class _LateClock(SystemClock):
    """A clock of five minutes ago."""

    def wall(self) -> float:
        return super().wall() - 310


def _ready(it: Plant, name: str) -> bool:
    return any(one.ready for one in it.store.nodes if one.name == name)


async def _lose(it: Plant, name: str) -> None:
    """Let a node whose process is dead be not ready for longer than the grace."""
    async with SqliteStore(it.state, _LateClock()) as late:
        await late.set_node_ready(NodeName(name), ready=True)
        await late.set_node_ready(NodeName(name), ready=False)


async def _two_nodes(it: Plant) -> None:
    await it.up("a")
    await it.node("b")
    await it.apply(configuration())
    await it.until(lambda: len(it.store.instances) == 1 and len(it.instance().nodes) == 2, "both nodes see it")


async def test_s3_a_node_that_is_away_for_a_moment_changes_nothing_and_one_that_is_lost_gives_its_slots_back_once() -> None:
    async with plant() as it:
        await _two_nodes(it)
        await it.run("user", "cam", node="b")
        before = it.instance()
        it.of("b").kill()
        await it.until(lambda: not _ready(it, "b"), "its lock is free")
        await asyncio.sleep(3)
        assert it.instance() == before
        await it.node("b")
        await it.until(lambda: it.healthy("cam", "b") == 1, "it is back")
        await asyncio.sleep(2)
        assert evolve(it.instance(), metadata=before.metadata) == before
        assert (it.instance().metadata.uid, len(it.starts("user"))) == (before.metadata.uid, 1)

        it.of("b").kill()
        os.kill(it.starts("user")[0][0], signal.SIGKILL)  # the whole machine is lost
        await it.until(lambda: not _ready(it, "b"), "its lock is free")
        await _lose(it, "b")
        await it.until(lambda: not it.usages() and it.instance().nodes == ("a",), "it has lost its slot")
        assert it.instance().metadata.uid == before.metadata.uid
        await it.run("survivor", "cam", node="a")
        await it.delete("survivor")
        await it.until(lambda: len(it.events(Reason.NODE_LOST, "Instance")) == 1, "it is told once")
        await it.node("b")
        await it.until(lambda: it.instance().nodes == ("a", "b"), "it joins again")
        await it.until(lambda: it.pod("user") is None or it.pod("user").phase is Phase.FAILED)  # type: ignore[union-attr]
        await it.until(lambda: not it.usages(), "all is free")
        await it.run("late", "cam-8120fe", node="b")
        assert it.usages() == {"cam-8120fe-0": "b"}
        assert len(it.events(Reason.NODE_LOST, "Instance")) == 1


async def test_c2_nodes_that_disappeared_while_the_controller_was_down_are_cleaned_when_it_starts() -> None:
    """Node b was deleted, and c is not ready for longer than the grace; of c's own device nothing is left."""
    async with plant() as it:
        await _two_nodes(it)
        await it.node("c")
        it.handler(it.answer("own"), "c", "local")
        await it.apply(configuration("own", MINE))
        await it.until(lambda: sorted(it.ids()) == ["foo0", "own"], "both devices are there")
        own = next(one.name for one in it.store.instances if one.device_id == "own")
        await it.until(lambda: len(it.instance("cam-8120fe").nodes) == 3, "three nodes see it")
        await it.run("user", "cam", node="b")
        await it.run("own", own, node="c")
        for program in reversed(it.programs):
            program.kill()
        for name in ("user", "own"):
            os.kill(it.starts(name)[0][0], signal.SIGKILL)
        await it.store.remove_node(NodeName("b"))
        await _lose(it, "c")
        await asyncio.sleep(1)
        assert len(it.usages()) == 2
        await it.up("a")
        await it.until(lambda: it.ids() == ["foo0"] and it.instance().nodes == ("a",) and not it.usages(), "they are cleaned")
        await it.run("next", "cam", node="a")


async def test_e7_an_instance_goes_with_its_last_node_also_when_two_drop_it_at_the_same_moment() -> None:
    """The controller is dead: it would delete an Instance that is left without nodes, and no node is to leave one."""
    async with plant() as it:
        await it.up("a")
        answer = it.answer("foo0")
        for node in "bc":
            await it.node(node)
            it.handler(answer, node)
        await it.apply(configuration("cam", MINE))
        for number in range(10):
            await it.until(lambda: [len(one.nodes) for one in it.store.instances] == [2], "both nodes see it")
            if number == 0:
                it.of("a").kill()
            it.answer(gone=["foo0"])
            await it.until(lambda: not it.store.instances, "it is gone")
            it.answer("foo0")
        await it.until(lambda: [len(one.nodes) for one in it.store.instances] == [2], "both nodes see it")
        uid = it.instance().metadata.uid
        it.of("handler-b").kill()
        it.handler(it.answer(gone=["foo0"], name="other"), "b")
        await it.until(lambda: [one.nodes for one in it.store.instances] == [("c",)], "one node drops it")
        assert it.instance().metadata.uid == uid


async def test_e8_a_device_that_is_away_for_less_than_its_grace_does_not_flap_and_the_grace_is_shown() -> None:
    async with plant() as it:
        await it.up("a")
        it.handler(it.answer("foo0", "foo1"))
        await it.apply(configuration("cam", MINE, grace="10", brokerSpec=it.brokers_spec()))
        await it.until(lambda: len(it.brokers()) == 2, "both have brokers")
        before, brokers = it.store.instances, it.brokers()
        it.answer("foo1")  # missing from one answer
        await it.until(lambda: "device foo0: missing from the last answer of its handler" in it.problems(), "it is shown")
        (report,) = it.store.reports
        assert [(kept.device_id, kept.instance) for kept in report.kept] == [("foo0", "cam-8120fe")]
        it.answer("foo0", "foo1")
        await it.until(lambda: "foo0" not in it.problems(), "it is back")
        it.of("handler-a").kill()  # no answer at all
        await it.until(lambda: "foo0" in it.problems(), "its handler is away")
        it.handler(it.folder / "answer.json")
        await it.until(lambda: "foo0" not in it.problems(), "its handler is back")
        assert [(one.name, one.metadata.uid) for one in it.store.instances] == [(one.name, one.metadata.uid) for one in before]
        assert it.brokers() == brokers
        it.answer("foo1", gone=["foo0"])  # certainly gone
        await it.until(lambda: it.ids() == ["foo1"] and len(it.brokers()) == 1, "it goes at once")
        began = time.monotonic()
        it.answer()
        await it.until(lambda: not it.store.instances and not it.brokers(), "its grace is over")
        assert time.monotonic() - began >= 10

"""E2, E3, E4 with processes: whatever is killed and starts anew takes nothing away from anybody.

The device manager, which is the kubelet here, lives in its node's process and dies with it; the store stands for the API server:
it is locked, lost, or not listened to for a while.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable

import pytest

from tests.integration.local.plant import MINE, Plant, configuration, plant

pytestmark = pytest.mark.timeout(240)


async def _running(it: Plant, *, once: bool = False) -> Callable[[], object]:
    """Two nodes, a shared device of debugEcho and one of a handler in a process of its own beside node b, each with a broker.

    Returns what tells who is who: Instances, who holds their slots, brokers and how often they were started.
    """
    await it.up("a")
    await it.node("b")
    it.handler(it.answer("own"), "b", "local", *(["once"] if once else []))
    await it.apply(configuration("cam", brokerSpec=it.brokers_spec()), configuration("own", MINE, brokerSpec=it.brokers_spec()))
    await it.until(lambda: len(it.brokers()) == 2 and bool(it.starts("foo0") and it.starts("own")), "both have brokers")
    await it.until(lambda: any(len(one.nodes) == 2 for one in it.store.instances), "both nodes see the one")

    def who() -> object:
        uids = [(one.name, one.metadata.uid) for one in it.store.instances]
        return uids, it.usages(), it.brokers(), [len(it.starts(name)) for name in ("foo0", "own")]

    return who


async def _unchanged(who: Callable[[], object], before: object, seconds: float) -> None:
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        assert who() == before


@pytest.mark.parametrize("node", ["a", "b"])
async def test_e2_a_node_that_is_killed_and_starts_anew_takes_nothing_away_and_offers_everything_within_five_seconds(node: str) -> None:
    """With node a it is the controller as well. The quicker of two starts counts: on a busy machine one may have to wait."""
    async with plant() as it:
        who = await _running(it)
        before, took, offered = who(), list[float](), _offered(it, node)
        for _ in range(2):
            it.of(node).kill()
            await _unchanged(who, before, 0.5)
            await (it.up(node) if node == "a" else it.node(node))
            await it.until(lambda: _offered(it, node) == offered and bool(_ready_after(it, node)), "all is registered again")
            took += _ready_after(it, node)
            await _unchanged(who, before, 3)
        assert min(took) <= 5, took


def _ready_after(it: Plant, node: str) -> list[float]:
    """Seconds after which the present process of a node served all that was known, as it says; without the start of Python."""
    return [float(text) for text in re.findall(r"ready after ([0-9.]+) s", it.of(node).said)]


def _offered(it: Plant, node: str) -> set[str]:
    """Resources that the present process of a node registered."""
    return set(re.findall(r"registered resource=(\S+)", it.of(node).said))


async def test_e2_a_handler_that_is_killed_and_starts_anew_takes_nothing_away() -> None:
    async with plant() as it:
        who = await _running(it)
        before = who()
        for _ in range(2):
            it.of("handler-b").kill()
            await it.until(lambda: bool(it.reports("own", "b")[0].error), "it is missed")
            await _unchanged(who, before, 1)
            it.handler(it.folder / "answer.json", "b", "local")
            await it.until(lambda: not it.reports("own", "b")[0].error, "it is back")
        await _unchanged(who, before, 2)
        it.answer("own", "second")
        await it.until(lambda: len(it.brokers()) == 3, "it is listened to")


async def test_e2_a_store_that_is_locked_for_a_while_takes_nothing_away_and_ends_nobody() -> None:
    async with plant() as it:
        who = await _running(it)
        before = who()
        file = sqlite3.connect(it.state / "store.sqlite", isolation_level=None)
        try:
            for _ in range(2):
                file.execute("BEGIN EXCLUSIVE")
                await asyncio.sleep(7)
                file.execute("ROLLBACK")
                await _unchanged(who, before, 1)
        finally:
            file.close()
        assert it.of("a").lives
        assert it.of("b").lives
        it.answer("own", "second")
        await it.until(lambda: len(it.brokers()) == 3, "all goes on")
        assert [uid for uid in it.brokers().values() if uid in str(before)]


async def test_e2_a_store_that_is_lost_is_built_anew_and_no_broker_that_runs_is_touched() -> None:
    async with plant() as it:
        who = await _running(it)
        await asyncio.sleep(1)  # so that every process has heard of everything: what only a lost file held is lost
        before = who()
        for name in ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"):
            (it.state / name).unlink(missing_ok=True)
        await it.until((it.state / "store.sqlite").exists, "there is a new one")
        await asyncio.sleep(3)
        assert who() == before, it.told()
        assert it.of("a").lives
        assert it.of("b").lives
        it.answer("own", "second")
        await it.until(lambda: len(it.brokers()) == 3, "all goes on")


async def test_e2_a_node_that_slept_and_one_that_hears_nothing_of_changes_take_nothing_away() -> None:
    """As after a watch that ended with 410: the node was stopped while everything changed, and nobody can ring at its socket."""
    async with plant() as it:
        who = await _running(it)
        before = who()
        it.of("b").pause()
        for number in range(40):
            await it.store.apply(it.stored("own") if number % 2 else it.stored("cam"))
        await it.apply(configuration("late"))
        await it.until(lambda: len(it.store.instances) == 3, "node a goes on")
        for socket in (it.state / "notify").iterdir():
            socket.unlink(missing_ok=True)
        it.of("b").resume()
        await it.until(lambda: all(len(one.nodes) == 2 for one in it.store.instances if one.device_id == "foo0"), "node b has heard of it")
        await it.akri("delete", "late")
        await it.until(lambda: len(it.store.instances) == 2, "it is gone")
        await _unchanged(who, before, 2)


async def test_e3_a_handler_that_registers_once_in_its_life_is_asked_after_a_restart_of_the_agent() -> None:
    async with plant() as it:
        who = await _running(it, once=True)
        before = who()
        for number in range(2):
            it.of("b").kill()
            await it.node("b")
            await _unchanged(who, before, 1)
            it.answer("own", *(f"next-{one}" for one in range(number + 1)))
            await it.until(lambda number=number: len(it.usages()) == len(it.brokers()) == 3 + number, "it was asked again")  # type: ignore[misc]
            before = who()


async def test_e4_a_handler_that_registers_after_the_configuration_is_asked_within_half_a_second() -> None:
    """The quickest of several counts, as on a busy machine a process may have to wait for longer. The caps of back-offs take minutes."""
    async with plant() as it:
        await it.up("a")
        await it.apply(configuration("cam", MINE))
        await it.until(lambda: "no discovery handler mine is registered on this node" in it.problems(), "it is missed")
        took: list[float] = []
        for _ in range(3):
            await asyncio.sleep(2)
            answer = it.answer("foo0")
            for what in ("asked", "registered"):
                answer.with_suffix(f".{what}").unlink(missing_ok=True)
            program = it.handler(answer)
            await it.until(lambda answer=answer: all(answer.with_suffix(f".{what}").exists() for what in ("asked", "registered")))  # type: ignore[misc]
            asked, registered = (float(answer.with_suffix(f".{what}").read_text().split()[0]) for what in ("asked", "registered"))
            took.append(asked - registered)
            await it.until(lambda: it.ids() == ["foo0"], "its device is there")
            program.kill()
            await it.until(lambda: "discovery handler mine" in it.problems(), "it is missed")
        assert min(took) <= 0.5, took

"""S5, S6, S8, S9 with processes: claims at a store that cannot be written, and nodes that race for slots.

There is no server here that could lose an answer. What comes nearest is real as well: a file that cannot be written as on a full
disk, a store that another process keeps locked for longer than anybody waits, and a kill in the middle of a claim.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from akri.core.ids import ObjectKey
from akri.scheduling.model import Phase
from tests.integration.local.plant import Plant, RejectedError, configuration, echo, plant

pytestmark = pytest.mark.timeout(240)


@asynccontextmanager
async def _two_nodes(*devices: str) -> AsyncGenerator[Plant]:
    """Two nodes that see these devices; node b has no controller."""
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await it.apply(configuration("cam", echo(*devices)))
        await it.until(lambda: [len(one.nodes) for one in it.store.instances] == [2] * len(devices), "both nodes see all")
        await it.until(lambda: all(it.healthy("cam", node) == len(devices) for node in "ab"), "both nodes offer all")
        yield it


async def _failure(it: Plant, name: str) -> str:
    """Wait until a pod runs, or has failed; return why."""
    pod = it.pod(name)
    assert pod is not None
    try:
        await it.running(pod)
    except RejectedError as rejected:
        return str(rejected)
    return ""


async def _begin_anew(it: Plant, *names: str) -> None:
    """Delete pods, and wait until both nodes offer what they had."""
    for name in names:
        await it.delete(name)
    await it.until(lambda: not it.usages(), "all is given back")
    count = len(it.store.instances)
    await it.until(lambda: all(it.healthy("cam", node) == count for node in "ab"), "both nodes offer all")


async def test_s5_a_claim_that_fails_on_a_full_disk_leaves_nothing_in_memory_and_no_slot_behind() -> None:
    async with _two_nodes("foo0") as it:
        it.of("b").fill_disk()
        pod = await it.create("user", "cam-8120fe", node="b")
        for _ in range(30):
            await asyncio.sleep(0.5)
            assert it.usages() == {}
        it.of("b").free_disk()
        with pytest.raises(RejectedError, match="could not be claimed within 10 s"):
            await it.running(pod)
        await it.run("other", "cam-8120fe", node="a")
        assert it.usages() == {"cam-8120fe-0": "a"}
        await _begin_anew(it, "other")
        await it.run("again", "cam", node="b")
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:b"}


async def test_s5_a_request_for_several_devices_that_fails_half_way_gives_back_what_it_took() -> None:
    """Both nodes ask for both devices at the same moment, and each may get one: then neither has both, and nobody keeps one."""
    async with _two_nodes("foo0", "foo1") as it:
        for number in range(5):
            names = {node: f"user-{number}-{node}" for node in "ab"}
            await asyncio.gather(*(it.create(name, "cam", node=node, count=2) for node, name in names.items()))
            failures = {node: await _failure(it, name) for node, name in names.items()}
            winners = [node for node, failure in failures.items() if not failure]
            assert len(winners) <= 1
            await it.until(lambda winners=winners: [text[-1] for text in it.usages().values()] == winners * 2, "no device is kept")  # type: ignore[misc]
            await _begin_anew(it, *names.values())


async def test_s5_and_s6_of_two_nodes_that_race_for_the_last_slot_exactly_one_wins_and_the_error_of_the_other_names_it() -> None:
    async with _two_nodes("foo0") as it:
        named = 0
        for number in range(10):
            names = {node: f"user-{number}-{node}" for node in "ab"}
            level = "cam" if number % 3 == 2 else "cam-8120fe"
            await asyncio.gather(*(it.create(name, level, node=node) for node, name in random.sample(sorted(names.items()), 2)))
            failures = {node: await _failure(it, name) for node, name in names.items()}
            (winner,) = [node for node, failure in failures.items() if not failure]
            (failure,) = [failure for failure in failures.values() if failure]
            # Who hears of it in time is told by its own device manager, which knows no holders.
            assert f"cam-8120fe-0 is held by {winner}" in failure or f"cam-8120fe is held by {winner}" in failure or "unhealthy" in failure
            named += "is held by" in failure
            assert [text[-1] for text in it.usages().values()] == [winner]
            await _begin_anew(it, *names.values())
        assert named > 0


async def test_s6_a_race_for_the_last_slots_has_one_winner_for_each_though_a_node_is_killed_in_it() -> None:
    devices = [f"foo{index}" for index in range(6)]
    async with _two_nodes(*devices) as it:
        names = [(f"{one.name}-{node}", one.name, node) for one in it.store.instances for node in "ab"]
        random.shuffle(names)
        tries = asyncio.gather(*(it.create(name, instance, node=node) for name, instance, node in names))
        await it.until(lambda: len(it.usages()) >= 2, "some are taken")
        it.of("b").kill()
        await tries
        await it.node("b")
        running = [name for name, _, _ in names if not await _failure(it, name)]
        assert len({name[:-2] for name in running}) == len(running)
        # Node b waits until it knows for certain that a slot is not in use.
        await it.until(lambda: sorted(slot[:-2] for slot in it.usages()) == sorted(name[:-2] for name in running), "none is leaked")
        await _begin_anew(it, *(name for name, _, _ in names))


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s8_one_write_per_claim_and_one_per_release_whatever_the_number_of_nodes(level: str) -> None:
    """A trigger in the store's own file counts the writes, whoever makes them."""
    async with _two_nodes("foo0") as it:
        await it.node("c")
        await it.until(lambda: len(it.instance().nodes) == 3, "three nodes see it")
        await it.until(lambda: it.healthy(level, "c") == 1, "three nodes offer it")
        file = sqlite3.connect(it.state / "store.sqlite", isolation_level=None)
        try:
            file.execute("CREATE TABLE counted (document TEXT)")
            file.execute(
                "CREATE TRIGGER counting AFTER INSERT ON objects WHEN NEW.name = 'cam-8120fe' "
                "BEGIN INSERT INTO counted VALUES (NEW.kind); END"
            )
            counts: list[int] = []
            for held in (True, False, True, False):
                if held:
                    await it.run("user", level)
                else:
                    os.kill(it.starts("user")[-1][0], signal.SIGTERM)
                    await it.until(lambda: not it.usages(), "it is given back")
                    await it.delete("user")
                await asyncio.sleep(1.5)
                counts.append(file.execute("SELECT count(*) FROM counted").fetchone()[0])
            assert counts == [1, 2, 3, 4]
        finally:
            file.close()


@pytest.mark.parametrize("seconds", [7.0, 14.0])
async def test_s9_a_claim_at_a_store_that_is_locked_for_long_frees_no_slot_in_use_and_leaks_none(seconds: float) -> None:
    """Writes find the file busy for 5 s and end without an answer; admission waits for 10 s in all."""
    async with _two_nodes("foo0") as it:
        await it.create("user", "cam-8120fe", node="b")
        file = sqlite3.connect(it.state / "store.sqlite", isolation_level=None)
        try:
            file.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            file.execute("COMMIT")
        finally:
            file.close()
        if failure := await _failure(it, "user"):
            assert "could not be claimed within 10 s" in failure
        else:
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert it.usages() == {"cam-8120fe-0": "b"}
        await _begin_anew(it, "user")
        await it.run("next", "cam", node="a")


async def test_s9_a_node_that_is_killed_in_the_middle_of_claims_and_releases_frees_no_slot_in_use_and_leaks_none() -> None:
    async with _two_nodes(*(f"foo{index}" for index in range(8))) as it:
        # Those of the Configuration first: they must not ask for what the others take.
        names = [f"user-{index}" for index in range(8)]
        levels = ["cam"] * 4 + sorted(one.name for one in it.store.instances)[:4]
        for name, level in zip(names, levels, strict=True):
            await it.create(name, level, node="b")
            await asyncio.sleep(0.02 * random.random())
        await it.until(lambda: len(it.usages()) >= 3, "some are claimed")
        it.of("b").kill()
        await it.node("b")
        running = [name for name in names if not await _failure(it, name)]
        assert len(it.usages()) >= len(running) >= 3
        for name in running:
            await it.store.delete_pod(ObjectKey("default", name))
        await it.until(lambda: any(it.pod(name) is None for name in running), "some are gone")
        await asyncio.sleep(0.5 * random.random())
        it.of("b").kill()
        await it.node("b")
        await _begin_anew(it, *names)
        await it.run("next", "cam", node="a", count=8)


async def test_s9_a_release_that_cannot_be_stored_never_frees_the_slot_of_the_next_pod() -> None:
    async with _two_nodes("foo0") as it:
        await it.run("user", "cam-8120fe")
        it.of("a").fill_disk()
        os.kill(it.starts("user")[0][0], signal.SIGTERM)
        await asyncio.sleep(3)
        assert it.usages() == {"cam-8120fe-0": "a"}
        # Without a node of its own it is for node a, and waits there until it fits.
        next_one = await it.store.create_pod(ObjectKey("default", "next"), it.spec("next", "cam-8120fe"))
        await asyncio.sleep(0.5)
        it.of("a").free_disk()
        assert (await it.running(next_one)).phase is Phase.RUNNING
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert it.usages() == {"cam-8120fe-0": "a"}
        await _begin_anew(it, "next")

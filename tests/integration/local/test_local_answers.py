"""S8 and S9 with processes: how much is written, and what becomes of writes whose end nobody knows.

There is no server here that could lose an answer. What comes nearest is real as well: a file that cannot be written as on a full
disk, a store that another process keeps locked for longer than anybody waits, and a kill in the middle of a claim.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3

import pytest

from akri.core.ids import ObjectKey
from akri.scheduling.model import Phase
from tests.integration.local.pair import begin_anew, failure_of, two_nodes

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s8_one_write_per_claim_and_one_per_release_whatever_the_number_of_nodes(level: str) -> None:
    """A trigger in the store's own file counts the writes, whoever makes them."""
    async with two_nodes("foo0") as it:
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
    async with two_nodes("foo0") as it:
        await it.create("user", "cam-8120fe", node="b")
        file = sqlite3.connect(it.state / "store.sqlite", isolation_level=None)
        try:
            file.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            file.execute("COMMIT")
        finally:
            file.close()
        if failure := await failure_of(it, "user"):
            assert "could not be claimed within 10 s" in failure
        else:
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert it.usages() == {"cam-8120fe-0": "b"}
        await begin_anew(it, "user")
        await it.run("next", "cam", node="a")


async def test_s9_a_node_that_is_killed_in_the_middle_of_claims_and_releases_frees_no_slot_in_use_and_leaks_none() -> None:
    async with two_nodes(*(f"foo{index}" for index in range(8))) as it:
        # Those of the Configuration first: they must not ask for what the others take.
        names = [f"user-{index}" for index in range(8)]
        levels = ["cam"] * 4 + sorted(one.name for one in it.store.instances)[:4]
        for name, level in zip(names, levels, strict=True):
            await it.create(name, level, node="b")
            await asyncio.sleep(0.02 * random.random())
        await it.until(lambda: len(it.usages()) >= 3, "some are claimed")
        it.of("b").kill()
        await it.node("b")
        running = [name for name in names if not await failure_of(it, name)]
        assert len(it.usages()) >= len(running) >= 3
        for name in running:
            await it.store.delete_pod(ObjectKey("default", name))
        await it.until(lambda: any(it.pod(name) is None for name in running), "some are gone")
        await asyncio.sleep(0.5 * random.random())
        it.of("b").kill()
        await it.node("b")
        await begin_anew(it, *names)
        await it.run("next", "cam", node="a", count=8)


async def test_s9_a_release_that_cannot_be_stored_never_frees_the_slot_of_the_next_pod() -> None:
    async with two_nodes("foo0") as it:
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
        await begin_anew(it, "next")

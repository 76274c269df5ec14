"""Writers that are killed at any moment, and copies of the state folder at any moment, as a power loss leaves it."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from akri.clock import SystemClock
from akri.core.ids import ObjectKey
from akri.platforms.local.sqlite.store import SqliteStore
from tests.integration.store.racing import Racer, double_claims, doubtful_slots, prepare, read_history, slots_after, stored_slots

NODES: Final = ("node-a", "node-b", "node-c")
KILLS: Final = 12
COPIES: Final = 12
KEY: Final = ObjectKey("default", "cam")


@asynccontextmanager
async def racing(folder: Path) -> AsyncGenerator[list[Racer]]:
    """Racers that go on until they are killed."""
    state = folder / "state"
    await prepare(state, NODES, instances=3, capacity=4)
    racers = [Racer(state, node, seed, folder / node) for seed, node in enumerate(NODES)]
    try:
        for racer in racers:
            await racer.start()
        yield racers
    finally:
        for racer in racers:
            await racer.kill()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, for a minute at most."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - files and processes wake nobody
            await asyncio.sleep(0.005)


@pytest.mark.timeout(180)
async def test_what_was_acknowledged_is_stored_whoever_is_killed(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with racing(tmp_path) as racers:
        for _ in range(KILLS):
            victim = chance.choice(racers)
            before = len(victim.lines())
            await until(lambda seen=before, racer=victim: len(racer.lines()) > seen + 20)  # type: ignore[misc]
            await asyncio.sleep(chance.random() / 50)
            await victim.kill()
            await victim.start()
        await until(lambda: all(len(racer.lines()) > 100 for racer in racers))
    facts, doubtful = read_history(racers), doubtful_slots(racers)
    assert len(facts) > 100
    assert [problem for problem in double_claims(facts) if problem.split()[0] not in doubtful] == []
    async with SqliteStore(racers[0].folder, SystemClock()) as store:
        stored, acknowledged = stored_slots(store), slots_after(facts, 2**62)
        assert {slot for slot in {*stored, *acknowledged} if stored.get(slot) != acknowledged.get(slot)} <= doubtful
    assert not list(racers[0].folder.glob("*.damaged-*"))


@pytest.mark.timeout(180)
async def test_a_copy_of_any_moment_holds_all_that_was_acknowledged_until_then(tmp_path: Path) -> None:
    """Each second copy loses the end of the log as well, as one that was not yet on the disk."""
    chance = random.Random(2)
    copies: list[tuple[Path, int]] = []
    async with racing(tmp_path) as racers:
        for number in range(COPIES):
            seen = sum(len(racer.lines()) for racer in racers)
            await until(lambda seen=seen: sum(len(racer.lines()) for racer in racers) > seen + 50)  # type: ignore[misc]
            await asyncio.sleep(chance.random() / 20)
            for racer in racers:
                racer.signal(signal.SIGSTOP)
            await until(lambda: all(racer.stopped for racer in racers))
            copy = tmp_path / f"copy-{number}"
            shutil.copytree(racers[0].folder, copy, ignore=shutil.ignore_patterns("notify"))
            acknowledged = max(fact.revision for fact in read_history(racers))
            for racer in racers:
                racer.signal(signal.SIGCONT)
            copies.append((copy, acknowledged))
            log = copy / "store.sqlite-wal"
            if number % 2:
                with log.open("r+b") as file:
                    file.truncate(chance.randrange(log.stat().st_size + 1))
                copies[-1] = (copy, 0)
        await until(lambda: all(len(racer.lines()) > 100 for racer in racers))
    facts, doubtful = read_history(racers), doubtful_slots(racers)
    for copy, acknowledged in copies:
        async with SqliteStore(copy, SystemClock()) as store:
            revision = max(instance.metadata.revision for instance in store.instances)
            assert revision >= acknowledged
            expected, stored = slots_after(facts, revision), stored_slots(store)
            assert {slot for slot in {*stored, *expected} if stored.get(slot) != expected.get(slot)} <= doubtful
        assert not list(copy.glob("*.damaged-*"))


@pytest.mark.timeout(180)
async def test_files_that_were_copied_one_after_the_other_make_a_store_too(tmp_path: Path) -> None:
    """What fits together is read, and what does not is noticed: there are never Instances of which one slot is held by two."""
    chance = random.Random(3)
    copies: list[Path] = []
    async with racing(tmp_path) as racers:
        for number in range(COPIES):
            await asyncio.sleep(chance.random() / 5)
            copy = tmp_path / f"copy-{number}"
            copy.mkdir()
            for name in chance.sample(["store.sqlite", "store.sqlite-wal", "applied"], 3):
                found = racers[0].folder / name
                if found.is_dir():
                    shutil.copytree(found, copy / name)
                elif found.exists():
                    shutil.copy(found, copy / name)
            copies.append(copy)
    for copy in copies:
        async with SqliteStore(copy, SystemClock()) as store:
            assert store.configuration(KEY) is not None
            for instance in store.instances:
                assert set(instance.device_usage.values()) <= {"", *NODES}
            await store.delete(KEY)
            assert store.instances == ()

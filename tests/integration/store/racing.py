"""Racers over one store, and the judgement of what they wrote down."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from akri.clock import SystemClock
from akri.core.ids import NodeName
from akri.platforms.local.sqlite.store import SqliteStore
from tests.contract.driver import configuration, instance_of
from tests.guards.tree import ROOT

__all__ = ["Fact", "Racer", "double_claims", "doubtful_slots", "prepare", "read_history", "slots_after", "stored_slots"]

LIMIT: Final = 120.0
"""Seconds in which a process ends that was told to."""


@frozen
class Fact:
    """Something that the store acknowledged."""

    revision: int
    node: str
    claimed: bool
    slot: str


@define(eq=False)
class Racer:
    """A process that races; `history` is what it writes."""

    folder: Path
    node: str
    seed: int
    history: Path
    process: asyncio.subprocess.Process | None = field(init=False, default=None)

    async def start(self, tries: int = 0) -> None:
        """Let it try so many times, 0 for ever."""
        arguments = [str(self.folder), self.node, str(self.seed), str(tries), str(self.history)]
        command = [sys.executable, "-m", "tests.integration.store.racer", *arguments]
        self.process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    async def end(self, limit: float = LIMIT) -> int:
        """Wait for its end, so many seconds at most."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), limit)

    def lines(self) -> list[str]:
        """What it wrote."""
        return self.history.read_text(encoding="utf-8").splitlines() if self.history.exists() else []

    @property
    def stopped(self) -> bool:
        """Whether it stands still because of a signal."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"

    async def kill(self) -> None:
        """Kill it, whatever it does."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.end()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)


async def prepare(folder: Path, nodes: Sequence[str], *, instances: int, capacity: int) -> None:
    """Make a store with Instances that all nodes share."""
    async with SqliteStore(folder, SystemClock()) as store:
        stored = await store.apply(configuration(capacity=capacity))
        first, *others = map(NodeName, nodes)
        for index in range(instances):
            made = await store.put_instance(instance_of(stored, first, digest=f"{index:06x}", capacity=capacity))
            for other in others:
                await store.node(other).join(made.key, made.metadata.uid, other)


def read_history(racers: Iterable[Racer]) -> list[Fact]:
    """Read what all racers wrote, in the order of the store."""
    facts = [
        Fact(int(revision), racer.node, what == "claimed", slot)
        for racer in racers
        for revision, what, slot in (line.split() for line in racer.lines() if not line.startswith("?"))
        if what != "refused"
    ]
    return sorted(facts, key=lambda fact: fact.revision)


def doubtful_slots(racers: Iterable[Racer]) -> set[str]:
    """Tell for which slots a question was never answered, since the process was killed."""
    doubtful: set[str] = set()
    for racer in racers:
        lines = [*racer.lines(), "?"]
        doubtful |= {one.split()[1] for one, following in itertools.pairwise(lines) if one.startswith("? ") and following.startswith("?")}
    return doubtful


def double_claims(facts: Iterable[Fact]) -> list[str]:
    """Tell where a slot was given to somebody while somebody else held it, or was freed by one who did not hold it."""
    holders: dict[str, str] = {}
    problems: list[str] = []
    for fact in facts:
        holder = holders.get(fact.slot)
        if fact.claimed and holder is not None:
            problems.append(f"{fact.slot} was given to {fact.node} at {fact.revision} while {holder} held it")
        if not fact.claimed and holder != fact.node:
            problems.append(f"{fact.slot} was freed by {fact.node} at {fact.revision} while {holder} held it")
        if fact.claimed:
            holders[fact.slot] = fact.node
        else:
            holders.pop(fact.slot, None)
    return problems


def slots_after(facts: Iterable[Fact], revision: int) -> Mapping[str, str]:
    """Tell who holds which slot at a revision, as far as was acknowledged."""
    holders: dict[str, str] = {}
    for fact in facts:
        if fact.revision <= revision:
            holders[fact.slot] = fact.node if fact.claimed else ""
    return {slot: node for slot, node in holders.items() if node}


def stored_slots(store: SqliteStore) -> Mapping[str, str]:
    """Tell who holds which slot in a store."""
    return {slot: usage for instance in store.instances for slot, usage in instance.device_usage.items() if usage}

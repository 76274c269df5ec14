"""Eight processes race for the slots of one store: each slot is one node's at a time, and none is lost.

AKRI_RACE=whole tries 100,000 times.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from akri.clock import SystemClock
from akri.platforms.local.sqlite.store import SqliteStore
from tests.integration.store.racing import Racer, double_claims, prepare, read_history, stored_slots

NODES: Final = tuple(f"node-{index}" for index in range(8))
TRIES: Final = 100_000 if os.environ.get("AKRI_RACE") == "whole" else 4_000


LIMIT: Final = 120 if TRIES < 100_000 else 1800


@pytest.mark.timeout(LIMIT)
async def test_no_slot_is_given_to_two_of_eight_processes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await prepare(state, NODES, instances=3, capacity=4)
    racers = [Racer(state, node, seed, tmp_path / node) for seed, node in enumerate(NODES)]
    for racer in racers:
        await racer.start(TRIES // len(NODES))
    try:
        assert [await racer.end(LIMIT) for racer in racers] == [0] * len(NODES)
    finally:
        for racer in racers:
            await racer.kill()
    facts = read_history(racers)
    assert double_claims(facts) == []
    assert len({fact.revision for fact in facts}) == len(facts)
    assert {fact.node for fact in facts} == set(NODES)
    assert sum(fact.claimed for fact in facts) == sum(not fact.claimed for fact in facts) > TRIES // 10
    async with SqliteStore(state, SystemClock()) as store:
        assert stored_slots(store) == {}

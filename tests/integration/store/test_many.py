"""Several processes open one state folder at the same moment, and find that there is no store, or a damaged one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from akri.clock import SystemClock
from akri.platforms.local.sqlite.store import SqliteStore
from tests.guards.tree import ROOT

COUNT: Final = 5
PROGRAM: Final = """
import asyncio, sys
from pathlib import Path
from akri.clock import SystemClock
from akri.platforms.local.sqlite.store import SqliteStore
from tests.contract.driver import configuration

async def main(folder, name):
    async with SqliteStore(folder, SystemClock()) as store:
        await store.apply(configuration(name))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def apply_at_once(state: Path, *names: str) -> list[int]:
    """Let a process each apply a Configuration."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, state, name, cwd=ROOT, env=environment) for name in names
    ]
    return await asyncio.wait_for(asyncio.gather(*(process.wait() for process in started)), 100)


@pytest.mark.timeout(240)
async def test_a_store_is_made_once_and_built_anew_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = [f"first-{index}" for index in range(COUNT)]
    assert await apply_at_once(state, *first) == [0] * COUNT
    async with SqliteStore(state, SystemClock()) as store:
        uids = {one.key.name: one.metadata.uid for one in store.configurations}
        assert sorted(uids) == first
    with (state / "store.sqlite").open("r+b") as file:
        file.write(b"x" * 5000)
    second = [f"second-{index}" for index in range(COUNT)]
    assert await apply_at_once(state, *second) == [0] * COUNT
    async with SqliteStore(state, SystemClock()) as store:
        found = {one.key.name: one.metadata.uid for one in store.configurations}
        assert sorted(found) == [*first, *second]
        assert uids.items() <= found.items()
    assert len(list(state.glob("store.sqlite.damaged-*"))) == 1

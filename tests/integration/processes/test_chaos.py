"""Runner, supervisors and brokers are killed at random moments: no container ever runs twice, none is lost, nothing is left."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from akri.clock import SystemClock
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.local.container_records import Alive
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.stopping import running_containers, stop_all
from akri.platforms.local.store import LocalStore
from akri.scheduling.model import Phase
from tests.integration.processes.station import NODE, eventually, marked

PODS = 6
SECONDS = float(os.environ.get("AKRI_CHAOS_SECONDS", "12"))
PATIENCE = 60.0
PROGRAM = Path(__file__).with_name("node_program.py")
ROOT = Path(__file__).parents[3]


class Node:
    """The program that runs the node, started again whenever it was killed."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0

    @property
    def young(self) -> bool:
        """Whether it had little time to do anything yet."""
        return time.monotonic() < self.started + 2

    async def start(self) -> None:
        self.started = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), str(self.state), NODE, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def node(state: Path) -> AsyncGenerator[Node]:
    program = Node(state)
    await program.start()
    try:
        yield program
    finally:
        await program.kill()
        await stop_all(state, 0)


BROKER = """
exec 5>>"slot-$1"
flock -n 5 || { echo "$1" >>violations; exit 9; }
echo "$1" >>starts
(setsid sleep 3 5>&- &)
[ -e settled ] || case $(od -An -N1 -tu1 /dev/urandom) in *[0-6]) sleep 0.$1 5>&-; exit 7 ;; esac
exec sleep 1000
"""


def broker(folder: Path, number: int) -> JsonObject:
    """A broker that reports if another one of the same slot runs, that leaves something behind, and that fails more often than not."""
    container: JsonObject = {"name": "main", "command": ["/bin/sh", "broker.sh", str(number)], "workingDir": str(folder)}
    return {"containers": [container], "restartPolicy": "Always", "terminationGracePeriodSeconds": 1}


async def strike(program: Node, dice: random.Random) -> str:
    """Kill something."""
    children = running_containers(program.state)
    what = dice.choice(["supervisor", "broker", "broker"] if program.young else ["runner", "supervisor", "broker"])
    if what == "runner":
        await program.kill()
        await asyncio.sleep(dice.random() * 0.5)
        await program.start()
        return "runner"
    state = dice.choice(children).look() if children else None
    if isinstance(state, Alive):
        victim = state.supervisor if what == "supervisor" or state.started is None else state.started.process
        with suppress(ProcessLookupError):
            if victim is not None:
                os.kill(victim.pid, signal.SIGKILL)
    return what


async def all_run(store: LocalStore, state: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await store.catch_up()
            running = [pod for pod in store.pods if pod.phase is Phase.RUNNING]
            if len(running) == PODS and len(running_containers(state)) == PODS:
                return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(int(SECONDS + 2 * PATIENCE))
async def test_nothing_runs_twice_and_nothing_is_left_whatever_is_killed(tmp_path: Path) -> None:
    work, state = tmp_path / "work", tmp_path / "state"
    work.mkdir()
    (work / "broker.sh").write_text(BROKER, encoding="utf-8")
    dice = random.Random(6)
    struck: list[str] = []
    async with SqliteStore(state, SystemClock()) as store, node(state) as program:
        for number in range(PODS):
            await store.create_pod(ObjectKey("default", f"broker-{number}"), broker(work, number), node=NODE)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            struck.append(await strike(program, dice))
            await asyncio.sleep(dice.random() * 0.4)
        (work / "settled").touch()
        await all_run(store, state)
        for pod in store.pods:
            await store.delete_pod(pod.metadata.key)
        await eventually(lambda: store.pods == ())
        await eventually(lambda: marked(tmp_path) == [])
        await eventually(lambda: list((state / "brokers").iterdir()) == [])
    starts = (work / "starts").read_text(encoding="utf-8")
    assert not (work / "violations").exists()
    assert len(starts.split()) > PODS
    assert set(struck) == {"runner", "supervisor", "broker"}

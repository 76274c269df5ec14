"""A run: three nodes on one state folder, 30 devices, brokers at both levels, and once a second something is killed.

`python -m tests.integration.chaos.run [SECONDS] [--seed N] [--rest N] [--keep]`. `main` says what the exit codes mean.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import click

from akri.clock import SystemClock
from akri.core.errors import AkriError
from akri.core.naming import environment_suffix
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Put, Reset
from akri.testing.loop import LoopDevice, loop_device, loop_devices_refused
from tests.integration.chaos.aftermath import damage, end_all
from tests.integration.chaos.cast import Cast, become_subreaper, reap
from tests.integration.chaos.closer import closer_look, concerned
from tests.integration.chaos.history import Device, History, Life, Turn, excused, judge, parse_lives, parse_violations
from tests.integration.chaos.settled import Scene, device_of, unsettled, waiting
from tests.integration.chaos.users import Users
from tests.integration.chaos.victims import containers, kill_launcher
from tests.integration.chaos.world import ECHO, LOCAL, LOOP, NODES, SHARED, Change, configurations, devices, schedule

__all__ = ["KINDS", "Chaos", "main"]

KINDS: Final[Mapping[str, int]] = {"up": 1, "node": 1, "handler": 1, "supervisor": 2, "broker": 2, "launcher": 2, "logger": 1}
"""What is killed, and how often beside the others: programs, discovery handlers, and of brokers all processes that there are."""
_AKRI: Final = (sys.executable, "-c", "from akri.cli.main import main; main()")
_BROKER: Final = Path(__file__).with_name("broker.sh")
_TICK: Final = 0.1
_TELL: Final = 10.0
_ALL_KINDS: Final = 120.0
"""Seconds of a run in which every kind is killed at least once, but for once in ten thousand runs."""
_CHURN: Final = 0.2
_SETTLE: Final = 30.0
_BEGIN: Final = 120.0
_MOST_ENDS: Final = 2
"""Ends of one pod's broker after which its user deletes the pod: later starts would wait for longer than a run is judged."""


class Chaos:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Nothing runs yet."""
        self.folder: Final = folder
        self.state: Final = folder / "s"
        self.accounts: Final = folder / "accounts"
        self.token: Final = f"chaos-{seed}-{time.time_ns()}"
        self.number: Final = random.randrange(10**7, 10**8)
        self.chance: Final = random.Random(seed)
        self.cast: Final = Cast(folder, self.token)
        self.kills: Final[Counter[str]] = Counter()
        self.devices: list[Device] = list(devices())
        self.absent: set[Device] = set()
        self.turns: dict[str, Turn] = {}
        self._ends: Counter[str] = Counter()
        self._loops: dict[str, tuple[LoopDevice, Path]] = {}
        self._began = time.monotonic()

    async def run(self, seconds: float, rest: float) -> History:
        """Live through it, and write down how it was. Nothing is left running."""
        self._prepare()
        unfinished: tuple[str, ...] = ()
        async with AsyncExitStack() as stack:
            self._make_loops(stack)
            try:
                unfinished = await self._live(seconds, rest)
            finally:
                self.cast.end()
                left = await end_all(self.state, self.cast, self.folder)
        return History(
            devices=tuple(self.devices),
            turns=tuple(self.turns.values()),
            lives=self._lives(),
            violations=parse_violations(self._account("violations")),
            kills=dict(self.kills),
            unfinished=unfinished,
            ended=tuple(self.cast.ended),
            left=left,
            damage=damage(self.state),
        )

    async def _live(self, seconds: float, rest: float) -> tuple[str, ...]:
        async with SqliteStore(self.state, SystemClock()) as store:
            users = Users(store, self._command)
            watching = asyncio.create_task(self._watch(store))
            try:
                await self._configure(store)
                self._begin()
                # Whoever is killed at once has nothing to lose: the killing begins when everything runs.
                unfinished = await self._come_to_rest(store, users, _BEGIN)
                self.say("everything runs" if not unfinished else f"not everything runs yet: {unfinished[0]}")
                await self._kill_for(store, users, seconds)
                began = time.monotonic()
                unfinished = await self._come_to_rest(store, users, rest)
                self.say(f"at rest {time.monotonic() - began:.1f} s after the last kill" if not unfinished else "did not come to rest")
                await self._look_closer(store, users, unfinished)
                return unfinished
            finally:
                watching.cancel()
                await asyncio.wait({watching})

    def say(self, what: str) -> None:
        """Print a line."""
        click.echo(f"{time.monotonic() - self._began:7.1f} s  {what}")

    # -- the beginning ----------------------------------------------------------------------------------------------------------

    @property
    def _command(self) -> Sequence[str]:
        return ("sh", str(_BROKER), str(self.accounts), str(self.number))

    def _prepare(self) -> None:
        for name in ("slots", "pods"):
            (self.accounts / name).mkdir(parents=True)
        for name in ("lives", "violations"):
            (self.accounts / name).touch()
        (self.folder / "disks").mkdir()
        self.state.mkdir(mode=0o700)
        self._tell_handlers()

    def _make_loops(self, stack: AsyncExitStack) -> None:
        refused = loop_devices_refused()
        if refused:
            self.say(f"without loop devices: {refused}")
            return
        for number in range(2):
            file = self.folder / "disks" / f"{number}.img"
            file.write_bytes(bytes(1024 * 1024))
            device = stack.enter_context(loop_device(file))
            self._loops[device.devpath] = (device, file)
            self.devices += [Device(LOOP, device.devpath, node, kept=number == 0) for node in NODES]

    def _begin(self) -> None:
        folder = StateFolder.at(self.state)
        self.cast.add("up", [*_AKRI, "up", "-v", "--state", str(self.state), "--node", NODES[0]])
        for node in NODES[1:]:
            self.cast.add(f"node-{node}", [*_AKRI, "node", "-v", "--state", str(self.state), "--name", node])
        for node in NODES:
            files = [str(self.folder / name) for name in (SHARED, f"{LOCAL}-{node}")]
            handlers = self.state / "nodes" / node / "handlers"
            handlers.mkdir(parents=True, exist_ok=True)
            words = [
                sys.executable,
                "-m",
                "tests.integration.chaos.handler_process",
                str(folder.path / "nodes" / node / "handlers"),
                *files,
            ]
            self.cast.add(f"handler-{node}", words)

    # -- devices ----------------------------------------------------------------------------------------------------------------

    def _present(self, configuration: str, node: str = "") -> list[str]:
        there = [one for one in self.devices if one not in self.absent]
        return [one.id for one in there if (one.configuration, one.node) == (configuration, node)]

    def _tell_handlers(self) -> None:
        for name, ids in ((SHARED, self._present(SHARED)), *((f"{LOCAL}-{node}", self._present(LOCAL, node)) for node in NODES)):
            new = self.folder / f"{name}.new"
            new.write_text("\n".join(ids))
            new.replace(self.folder / name)

    async def _configure(self, store: SqliteStore) -> None:
        files = self.folder / "disks" if self._loops else None
        for one in configurations(self._command, self._present(ECHO), files):
            await store.apply(one)

    async def _change(self, store: SqliteStore, change: Change) -> None:
        device = change.device
        same = {one for one in self.devices if (one.configuration, one.id) == (device.configuration, device.id)}
        self.absent = self.absent - same if change.present else self.absent | same
        if device.configuration == LOOP:
            loop, file = self._loops[device.id]
            with suppress(OSError):  # somebody has it open for a moment: the kernel lets go of the file a moment later
                await asyncio.to_thread(loop.attach, file) if change.present else await asyncio.to_thread(loop.detach)
        elif device.configuration == ECHO:
            await self._configure(store)
        else:
            self._tell_handlers()

    async def _watch(self, store: SqliteStore) -> None:
        by_device = {(one.configuration, one.id, one.node): one for one in self.devices}
        async for event in store.cluster().watch_instances():
            for one in event.objects if isinstance(event, Reset) else (event.object,) if isinstance(event, Put) else ():
                device = by_device[device_of(one)]
                turn = Turn(device, environment_suffix(one.name), one.metadata.uid, one.metadata.created, time.time())
                self.turns.setdefault(turn.uid, turn)

    # -- killing ----------------------------------------------------------------------------------------------------------------

    async def _kill_for(self, store: SqliteStore, users: Users, seconds: float) -> None:
        comers = sorted(
            {Device(one.configuration, one.id, "" if one.configuration == LOOP else one.node, one.kept) for one in self.devices}, key=repr
        )
        changes = list(schedule(self.chance, seconds, comers))
        began = last = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            while changes and changes[0].at <= passed:
                await self._change(store, changes.pop(0))
            if time.monotonic() - last >= 1:
                last += 1
                await self._strike(store, users)
            await self._keep(users)
            await asyncio.sleep(_TICK)
        for change in changes:
            await self._change(store, change)

    async def _keep(self, users: Users) -> None:
        self.cast.keep()
        reap(self.cast)
        with suppress(AkriError):
            await users.keep()

    async def _strike(self, store: SqliteStore, users: Users) -> None:
        if not await self._kill(self.chance.choices(tuple(KINDS), tuple(KINDS.values()))[0], users):
            await self._kill(self.chance.choice(("broker", "supervisor")), users)
        worn = [pod for pod in store.pods if self._ends[pod.metadata.uid] >= _MOST_ENDS and not pod.metadata.deleting]
        with suppress(AkriError):
            if self.chance.random() < _CHURN:
                await users.churn(self.chance)
            for pod in worn[:2]:
                await store.delete_pod(pod.metadata.key)
        count = sum(self.kills.values())
        if count % 10 == 0:
            reports = len(self._account("violations").splitlines())
            self.say(f"{count} killed, {len(self._lives())} starts of brokers, {reports} brokers that found a lock held")

    async def _kill(self, kind: str, users: Users) -> bool:
        delay = self.chance.uniform(0.05, 1.5)
        if kind in {"up", "node", "handler"}:
            member = self.chance.choice([one for one in self.cast.members if one.name.startswith(kind)])
            killed = self.cast.kill(member, delay)
        elif kind == "launcher":
            with suppress(AkriError):
                await users.churn(self.chance)
            killed = await self._kill_launcher(users)
        else:
            killed = self._kill_of_container(kind)
        if killed is not None:
            self.kills[kind] += 1
            self._write_down(f"{kind} {killed}")
        return killed is not None

    async def _kill_launcher(self, users: Users) -> int | None:
        waiting = asyncio.create_task(asyncio.to_thread(kill_launcher, self.state / "brokers", 0.8))
        while not waiting.done():
            with suppress(AkriError):
                await users.keep()
            await asyncio.wait({waiting}, timeout=_TICK)
        found = waiting.result()
        if found is None:
            return None
        pod, pid = found
        self._ends[pod] += 1
        return pid

    def _kill_of_container(self, kind: str) -> int | None:
        there = [one for one in containers(self.state / "brokers") if self._ends[one.pod] < _MOST_ENDS]
        self.chance.shuffle(there)
        for one in there:
            pid = one.kill(kind)
            if pid is not None:
                self._ends[one.pod] += kind != "logger"
                return pid
        return None

    def _write_down(self, what: str) -> None:
        with (self.folder / "kills").open("a") as file:
            file.write(f"{time.time():.3f} {what}\n")

    # -- the end ----------------------------------------------------------------------------------------------------------------

    async def _come_to_rest(self, store: SqliteStore, users: Users, limit: float) -> tuple[str, ...]:
        began = told = time.monotonic()
        while True:
            await self._keep(users)
            problems = unsettled(self._scene(store, users))
            now = time.monotonic()
            if not problems or now > began + limit:
                return problems
            if now > told + _TELL:
                told = now
                self.say(f"{len(problems)} things are not at rest: {problems[-1]}")
            await asyncio.sleep(_TICK)

    async def _look_closer(self, store: SqliteStore, users: Users, problems: Sequence[str]) -> None:
        scene = self._scene(store, users)
        for pod in waiting(scene):
            self.say(f"broker {pod.metadata.key} waits, for pods hold all slots of its device")
        for line in await asyncio.to_thread(lambda: tuple(closer_look(scene, concerned(problems), self.folder, self._explain))):
            self.say(line)

    def _explain(self, name: str) -> str:
        done = self.cast.command(*_AKRI, "explain", name, "--state", str(self.state))
        return done.stdout + done.stderr

    def _scene(self, store: SqliteStore, users: Users) -> Scene:
        lives = {life.pod: life for life in self._lives()}
        living = frozenset(life.pid for life in lives.values() if _sleeps(life.pid, self.number))
        there = tuple(one for one in self.devices if one not in self.absent)
        return Scene(there, store.nodes, store.instances, store.pods, frozenset(users.wanted), lives, living)

    def _account(self, name: str) -> str:
        return (self.accounts / name).read_text()

    def _lives(self) -> tuple[Life, ...]:
        return parse_lives(self._account("lives"))


def _sleeps(pid: int, number: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{number}\0".encode()
    return False


async def _until_asked_to_end(run: Coroutine[object, object, History]) -> History:
    """Run, and leave nothing behind either when this is asked to end."""
    task = asyncio.ensure_future(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(arguments: Sequence[str]) -> int:
    """Run and judge; return the exit code: 0 all is well, 1 it is not, 2 it was ended before its time."""
    parser = argparse.ArgumentParser(
        prog="./dev chaos", description="Kill something of three nodes once a second, and judge what becomes of it."
    )
    parser.add_argument("seconds", nargs="?", type=float, default=600.0, help="for how long [600]")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what is killed when, and which devices come and go")
    parser.add_argument("--rest", type=float, default=_SETTLE, help="seconds to come to rest in afterwards [30]")
    parser.add_argument("--keep", action="store_true", help="leave the folder, whatever happens")
    wanted = parser.parse_args(arguments)
    click.echo(f"seed {wanted.seed}: the same again with ./dev chaos {wanted.seconds:g} --seed {wanted.seed}")
    become_subreaper()
    folder = Path(tempfile.mkdtemp(prefix="akri-"))
    chaos = Chaos(folder, wanted.seed)
    try:
        history = asyncio.run(_until_asked_to_end(chaos.run(wanted.seconds, wanted.rest)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        click.echo(f"seed {wanted.seed}: ended before its time; everything is in {folder}")
        return 2
    faults = judge(history, kinds=KINDS if wanted.seconds >= _ALL_KINDS else ())
    chaos.say(f"killed: {', '.join(f'{count} {kind}' for kind, count in sorted(history.kills.items()))}")
    chaos.say(
        f"{len(history.lives)} starts of brokers, {len(history.turns)} Instances, {len(excused(history))} slots lost with their Instance"
    )
    for fault in faults:
        click.echo(f"FAULT: {fault}")
    if faults or wanted.keep:
        click.echo(f"everything is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"seed {wanted.seed}: {len(faults)} faults" if faults else f"seed {wanted.seed}: nothing went wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

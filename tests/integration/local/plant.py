"""`akri` as users run it: programs of their own on one state folder, and an open store of the test's own to look at what they do.

Pods and brokers keep account: one writes a line whenever it starts, what it was given into a file of its own, and takes the lock
of its device for its life. One that finds the lock held reports a violation.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import define, field

from akri.clock import SystemClock
from akri.core.configuration import Configuration
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.reports import Condition, Event, HandlerReport, Reason
from akri.deviceplugin.checkpoint import CHECKPOINT_FILE, parse_checkpoint
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.objects import Pod
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.stopping import stop_all
from akri.scheduling.model import Phase

__all__ = ["MINE", "PATIENCE", "Plant", "Program", "RejectedError", "configuration", "echo", "plant"]

PATIENCE: Final = 60.0
"""Seconds for what takes a moment on a machine that is idle."""
MINE: Final[JsonObject] = {"name": "mine"}
"""What a Configuration says that wants the handler of handler_program.py."""
_LOOK: Final = 0.01
_ROOT: Final = Path(__file__).parents[3]
_AKRI: Final = (sys.executable, "-c", "from akri.cli.main import main; main()")
_TOLD: Final = 4000
_ACCOUNT: Final = """\
if [ -n "$DEBUG_ECHO_DESCRIPTION" ] && [ -z "$SHARES" ]; then
    exec 9>>{folder}/$DEBUG_ECHO_DESCRIPTION.lock
    flock -n 9 || echo "$AKRI_CONTAINER $DEBUG_ECHO_DESCRIPTION" >>{folder}/violations
fi
env >{folder}/$1.new && mv {folder}/$1.new {folder}/$1.env
echo "$$ $(date +%s.%N) $AKRI_CONTAINER" >>{folder}/$1.starts
"""


class RejectedError(Exception):
    """A pod failed; `reason` is its one word."""

    def __init__(self, pod: Pod) -> None:
        """Take the pod."""
        super().__init__(pod.message)
        self.reason = pod.reason


@define(eq=False)
class Program:
    """A program that the test started, and what it wrote."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace")

    @property
    def lives(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    def fill_disk(self) -> None:
        """Let each write of it beyond the first bytes of a file fail, as on a full disk."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        """Let it write again."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def processor_seconds(self) -> float:
        """Seconds for which it had a processor."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@define(eq=False)
class Plant:
    """A state folder, the programs on it, and the accounts of its pods."""

    folder: Path
    store: SqliteStore
    programs: list[Program] = field(factory=list[Program])

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "s"

    @property
    def accounts(self) -> Path:
        """Where pods and brokers write."""
        return self.folder / "a"

    def handlers(self, node: str = "a") -> Path:
        """Where handlers in processes of their own meet the agent of a node."""
        return StateFolder.at(self.state).node(NodeName(node)).handlers

    def of(self, name: str) -> Program:
        """The program that was started last under this name: of a node the node's name, of a handler `handler-NODE`."""
        return next(one for one in reversed(self.programs) if one.name == name)

    def start(self, name: str, words: Sequence[str]) -> Program:
        """Start a program."""
        output = self.folder / f"{len(self.programs)}-{name}.out"
        with output.open("wb") as file:
            program = Program(name, subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file), output)
        self.programs.append(program)
        return program

    async def up(self, node: str = "a", *, ready: bool = True) -> Program:
        """Start `akri up`, and wait until its node is ready."""
        program = self.start(node, [*_AKRI, "up", "--state", str(self.state), "--node", node, "-v"])
        return await self._begun(program, node) if ready else program

    async def node(self, name: str, *, ready: bool = True) -> Program:
        """Start `akri node`, and wait until it is ready."""
        program = self.start(name, [*_AKRI, "node", "--state", str(self.state), "--name", name, "-v"])
        return await self._begun(program, name) if ready else program

    async def _begun(self, program: Program, node: str) -> Program:
        socket = self.handlers(node) / "agent-registration.sock"
        ready = {NodeName(node)}
        await self.until(
            lambda: (
                (program.lives and socket.exists() and ready <= {one.name for one in self.store.nodes if one.ready}) or not program.lives
            ),
            f"node {node} is ready",
        )
        assert program.lives, program.said
        return program

    def handler(self, answer: Path, node: str = "a", *options: str) -> Program:
        """Start a discovery handler (handler_program.py) beside a node. It says what stands in the file, as often as that changes."""
        words = [sys.executable, "-m", "tests.integration.local.handler_program", str(self.handlers(node)), str(answer), *options]
        return self.start(f"handler-{node}", words)

    def answer(self, *devices: JsonObject | str, gone: Sequence[str] = (), name: str = "answer") -> Path:
        """Write what a handler is to say: devices, or ids alone, and ids of those that are certainly gone."""
        written = [{"id": one, "properties": {"DEBUG_ECHO_DESCRIPTION": one}} if isinstance(one, str) else one for one in devices]
        return self._write(f"{name}.json", json.dumps({"devices": written, "gone": list(gone)}))

    def serve_udev(self, node: str = "a") -> Program:
        """Start `akri-handler udev` beside a node."""
        words = [sys.executable, "-c", "from akri_handler.start import main; main()", "udev", "--folder", str(self.handlers(node))]
        return self.start(f"udev-{node}", words)

    def write(self, name: str, document: JsonObject) -> Path:
        """Write a document as a file for `akri`."""
        return self._write(name, json.dumps(document))

    def _write(self, name: str, text: str) -> Path:
        file, new = self.folder / name, self.folder / f"{name}.new"
        new.write_text(text)
        return new.replace(file)

    async def akri(self, *words: str | Path, code: int = 0) -> str:
        """Run a command of `akri` to its end, on this state; return what it wrote."""
        command = [*_AKRI, words[0], "--state", str(self.state), *words[1:]]
        done = await asyncio.to_thread(
            subprocess.run, list(map(str, command)), cwd=_ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == code, done.stderr
        return f"{done.stdout}{done.stderr}"

    async def apply(self, *documents: JsonObject) -> str:
        """Apply Configurations with `akri apply`."""
        files = [self.write(f"{index}.yaml", document) for index, document in enumerate(documents)]
        return await self.akri("apply", *(word for file in files for word in ("-f", file)))

    async def until(self, condition: Callable[[], bool], what: str = "it is so", limit: float = PATIENCE) -> float:
        """Wait for a condition; return how many seconds that took. Raises TimeoutError that says how things stand."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit:
                message = f"within {limit} s it did not happen that {what}:\n{self.told()}"
                raise TimeoutError(message)
            await asyncio.sleep(_LOOK)
        return time.monotonic() - began

    def told(self) -> str:
        """How things stand, for messages."""
        pods = [f"{pod.metadata.key} on {pod.node} {pod.phase.value} {pod.reason} {pod.message}" for pod in self.store.pods]
        instances = [f"{one.key} {one.nodes} {dict(one.device_usage)}" for one in self.store.instances]
        problems = [f"{one.node}: {one.problems} {[handler.error for handler in one.handlers]}" for one in self.store.reports]
        outputs = [f"-- {one.name} {one.process.poll()}\n{one.said[-_TOLD:]}" for one in self.programs]
        return "\n".join([*map(repr, self.store.nodes), *instances, *pods, *problems, *outputs])

    def broker(self, name: str = "$DEBUG_ECHO_DESCRIPTION", *, rest: str = "exec sleep 98760", **fields: Json) -> JsonObject:
        """Write a container that keeps account under a name, in which variables count, and then does the rest."""
        script = self._write("account.sh", _ACCOUNT.format(folder=self.accounts))
        return {"name": "main", "command": ["sh", "-c", f'set -- "{name}"; . {script}; {rest}'], **fields}

    def brokers_spec(self, *, rest: str = "exec sleep 98760", shares: bool = False, **fields: Json) -> JsonObject:
        """Write a `brokerSpec`: pods that keep account under the id of their device. shares: several may use one device."""
        environment: list[Json] = [{"name": "SHARES", "value": "1"}] if shares else []
        resources: JsonObject = {"limits": {"{{PLACEHOLDER}}": "1"}}
        return {"brokerPodSpec": {"containers": [self.broker(rest=rest, resources=resources, env=environment)], **fields}}

    def spec(self, name: str, *resources: str, count: int = 1, init: bool = False, rest: str = "exec sleep 98760") -> JsonObject:
        """Write a pod that asks for devices of these resources (without `akri.sh/`), in an init container as well if wanted."""
        asked: JsonObject = {"limits": {f"akri.sh/{one}": str(count) for one in resources}}
        first: JsonObject = {**self.broker(f"{name}-init", rest="exit 0", resources=asked), "name": "init"}
        more: JsonObject = {"initContainers": [first]} if init else {}
        return {"restartPolicy": "Never", "containers": [self.broker(name, rest=rest, resources=asked)], **more}

    async def create(self, name: str, *resources: str, node: str = "a", count: int = 1, init: bool = False, rest: str = "") -> Pod:
        """Create a user's pod on a node, whether it fits there or not."""
        spec = self.spec(name, *resources, count=count, init=init, **({"rest": rest} if rest else {}))
        return await self.store.create_pod(ObjectKey("default", name), spec, node=NodeName(node))

    async def run(self, name: str, *resources: str, node: str = "a", count: int = 1, init: bool = False, rest: str = "") -> Pod:
        """Create a user's pod once its node has what it asks for, and wait until it runs. Raises RejectedError if it fails."""
        await self.until(lambda: all(self.healthy(one, node) >= count for one in resources), f"{node} has {resources} for {name}")
        return await self.running(await self.create(name, *resources, node=node, count=count, init=init, rest=rest))

    async def running(self, pod: Pod) -> Pod:
        """Wait until a pod runs and has written its account. Raises RejectedError if it fails."""
        key, account = pod.metadata.key, self.accounts / f"{pod.metadata.key.name}.starts"
        phases = {Phase.RUNNING, *(phase for phase in Phase if phase.terminal)}
        await self.until(lambda: (found := self.store.pod(key)) is not None and found.phase in phases, f"{key} runs or fails")
        found = self.store.pod(key)
        assert found is not None
        if found.phase is Phase.FAILED:
            raise RejectedError(found)
        await self.until(lambda: account.exists() and pod.metadata.uid in account.read_text(), f"{key} keeps account")
        return found

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Delete a pod, and wait until it is gone."""
        key = ObjectKey("default", name)
        await self.store.delete_pod(key, force=force)
        await self.until(lambda: self.store.pod(key) is None, f"{key} is gone")

    def starts(self, name: str) -> list[tuple[int, float]]:
        """Process ids under which a pod of this name was started, and when, seconds since the epoch."""
        path = self.accounts / f"{name}.starts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(words[0]), float(words[1])) for words in map(str.split, lines)]

    def environment(self, name: str) -> Mapping[str, str]:
        """What a pod of this name was given when it last started."""
        lines = (self.accounts / f"{name}.env").read_text().splitlines()
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    def violations(self) -> list[str]:
        """Pods that found another one at work on their device."""
        path = self.accounts / "violations"
        return path.read_text().splitlines() if path.exists() else []

    def healthy(self, resource_name: str, node: str = "a") -> int:
        """How many devices of a resource the device manager of a node knows as healthy, in use or not."""
        path = StateFolder.at(self.state).node(NodeName(node)).plugins / CHECKPOINT_FILE
        if not path.exists():
            return 0
        return len(parse_checkpoint(path.read_text()).registered.get(ResourceName(f"akri.sh/{resource_name}"), ()))

    def pod(self, name: str) -> Pod | None:
        """A pod as it is stored."""
        return self.store.pod(ObjectKey("default", name))

    def brokers(self) -> dict[str, str]:
        """Uids of the brokers that run, by the names of their pods."""
        return {pod.metadata.key.name: pod.metadata.uid for pod in self.store.pods if pod.instance and pod.phase is Phase.RUNNING}

    def instance(self, name: str = "") -> Instance:
        """An Instance as it is stored; without a name the only one."""
        (found,) = [one for one in self.store.instances if name in {"", one.name}]
        return found

    def ids(self) -> list[str]:
        """Device ids of all Instances."""
        return sorted(one.device_id or "" for one in self.store.instances)

    def usages(self) -> dict[str, str]:
        """Every slot that is held, and by whom."""
        held = {slot: text for one in self.store.instances for slot, text in one.device_usage.items()}
        return {slot: text for slot, text in sorted(held.items()) if text}

    def condition(self, name: str, kind: str, namespace: str = "default") -> Condition | None:
        """A condition in a Configuration's status."""
        status = self.store.status(ObjectKey(namespace, name))
        return next((one for one in status.conditions if one.type == kind), None) if status else None

    def reports(self, name: str = "cam", node: str = "a") -> list[HandlerReport]:
        """What a node reports of the handlers of a Configuration."""
        found = [one for one in self.store.reports if (one.configuration.name, one.node) == (name, node)]
        return [handler for one in found for handler in one.handlers]

    def problems(self, name: str = "cam") -> str:
        """What nodes report to be wrong with a Configuration, its handlers' errors too."""
        found = [one for one in self.store.reports if one.configuration.name == name]
        return "\n".join([*(text for one in found for text in one.problems), *(one.error for all_ in found for one in all_.handlers)])

    def events(self, reason: Reason, kind: str = "") -> list[Event]:
        """Events so far, of one reason and of one kind of thing."""
        return [event for event in self.store.events if event.reason is reason and kind in {"", event.kind}]

    def stored(self, name: str, namespace: str = "default") -> Configuration:
        """A Configuration as it is stored."""
        found = self.store.configuration(ObjectKey(namespace, name))
        assert isinstance(found, Configuration)
        return found


def echo(*descriptions: str) -> JsonObject:
    """Ask debugEcho, which is in every agent, for these devices; several nodes reach each of them."""
    return {"name": "debugEcho", "discoveryDetails": json.dumps({"descriptions": descriptions})}


def configuration(
    name: str = "cam", handler: JsonObject | None = None, spec: JsonObject | None = None, *, grace: str = "", **fields: Json
) -> JsonObject:
    """Write a Configuration; without a handler, for the one device `foo0` of debugEcho. grace: the annotation, in seconds.

    spec, fields: what stands in its spec beside the handler.
    """
    metadata: JsonObject = {"name": name, "annotations": {"akri.sh/grace": grace} if grace else {}}
    more: JsonObject = {"discoveryHandler": handler or echo("foo0"), **(spec or {}), **fields}
    return {"apiVersion": "akri.sh/v0", "kind": "Configuration", "metadata": metadata, "spec": more}


@asynccontextmanager
async def plant() -> AsyncGenerator[Plant]:
    """Make a state folder with a short path. At the end nothing runs on it, and no device ever had two pods."""
    with tempfile.TemporaryDirectory(prefix="akri-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "a").mkdir()
        (Path(folder) / "s").mkdir(mode=0o700)
        async with SqliteStore(Path(folder) / "s", SystemClock()) as store:
            made = Plant(Path(folder), store)
            try:
                yield made
                assert made.violations() == [], made.told()
            finally:
                for program in made.programs:
                    with suppress(ProcessLookupError):
                        program.resume()
                    program.kill()
                await stop_all(made.state, 0)

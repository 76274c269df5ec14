"""One node of a local platform for tests: its store, its runner, and what the runner told; and small helpers about processes."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from attrs import define, field

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.errors import DeviceUnavailableError
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.metadata import Json, JsonObject
from akri.core.reports import Reason
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.node_runner import NodeRunner, PodToAdmit
from akri.platforms.local.objects import Pod
from akri.platforms.local.stopping import stop_all
from akri.scheduling.model import Phase

__all__ = [
    "KEY",
    "LIMIT",
    "NODE",
    "RESOURCE",
    "Station",
    "alive",
    "eventually",
    "gone",
    "marked",
    "new_station",
    "running",
    "shell",
    "spec",
    "station",
]

NODE = NodeName("node-a")
KEY = ObjectKey("default", "broker")
RESOURCE = ResourceName("akri.sh/cam-8120fe")
LIMIT = 30.0


@define
class Station:
    """A store, one node's runner, and what the runner told."""

    store: MemoryStore
    edits: dict[str, ContainerEdits] = field(factory=dict[str, ContainerEdits])
    rejection: str = ""
    held: asyncio.Event | None = None
    lines: list[str] = field(factory=list[str])
    admitted: list[PodToAdmit] = field(factory=list[PodToAdmit])
    ended: list[str] = field(factory=list[str])
    allocatable: dict[ResourceName, int] | None = None

    async def admit(self, pod: PodToAdmit) -> Mapping[str, ContainerEdits]:
        self.admitted.append(pod)
        if self.held is not None:
            await self.held.wait()
        if self.rejection:
            raise DeviceUnavailableError(self.rejection)
        return self.edits

    def hear(self, _pod: ObjectKey, container: str, line: str) -> None:
        self.lines.append(f"{container}: {line}")

    async def until(self, condition: Callable[[Pod | None], bool], key: ObjectKey = KEY) -> Pod | None:
        async with asyncio.timeout(LIMIT):
            if condition(self.store.pod(key)):
                return self.store.pod(key)
            async for _ in self.store.watch_pods():
                if condition(self.store.pod(key)):
                    return self.store.pod(key)
        raise AssertionError

    async def phase(self, *phases: Phase) -> Pod:
        pod = await self.until(lambda pod: pod is not None and pod.phase in phases)
        assert pod is not None
        return pod

    async def heard(self, line: str) -> None:
        await eventually(lambda: line in self.lines)

    async def process_ids(self) -> list[int]:
        """The ids that the container printed in its first line."""
        await eventually(lambda: bool(self.lines))
        return [int(text) for text in self.lines[0].removeprefix("main: ").split()]

    def said(self, reason: Reason) -> list[str]:
        return [event.message for event in self.store.events if event.reason is reason]


@asynccontextmanager
async def running(place: Station, folder: Path) -> AsyncGenerator[NodeRunner]:
    """One program that runs the node's pods, and that leaves them when it ends."""
    runner = NodeRunner(
        place.store,
        NODE,
        clock=SystemClock(),
        folder=folder / "brokers",
        admit=place.admit,
        ended=lambda pod: place.ended.append(pod.uid),
        allocatable=None if place.allocatable is None else lambda: place.allocatable or {},
        output=place.hear,
    )
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def new_station(**settings: object) -> Station:
    """A store that knows the node."""
    place = Station(MemoryStore(SystemClock()), **settings)  # type: ignore[arg-type]
    await place.store.register_node(NODE)
    return place


@asynccontextmanager
async def station(folder: Path | None = None, **settings: object) -> AsyncGenerator[Station]:
    """A node's runner with a store; at the end nothing of it is left."""
    place = await new_station(**settings)
    with tempfile.TemporaryDirectory(prefix="akri-") as own:
        state = folder or Path(own)
        try:
            async with running(place, state):
                yield place
        finally:
            await stop_all(state, 0)


def shell(script: str, name: str = "main", **fields: Json) -> JsonObject:
    return {"name": name, "command": ["/bin/sh", "-c", script], **fields}


def spec(*containers: JsonObject, **fields: Json) -> JsonObject:
    """A pod that ends when its containers do, unless it says otherwise."""
    return {"containers": containers, "restartPolicy": "Never", **fields}


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state != "Z"
    return False


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - another process has no event that one could wait for
            await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    await eventually(lambda: not alive(pid))


def marked(folder: Path) -> list[int]:
    """Ids of all processes that run for a state folder."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found

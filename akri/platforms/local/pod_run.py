"""The life of one pod on one node: admission, init containers in order, main containers side by side, and its end.

What a kubelet does with a container runtime is done here with child processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
from akri.platforms.local.logs import BoundedFile, Lines
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_spec import Container, containers, expanded, ignored_fields
from akri.platforms.local.processes import ChildProcess, Command
from akri.ports import Clock
from akri.scheduling.model import Phase

__all__ = ["Admit", "Output", "PodRun", "PodToAdmit", "Surroundings", "no_output"]

_T = TypeVar("_T")
_FORCED_GRACE: Final = 2.0


@frozen
class PodToAdmit:
    """A pod as far as its devices are concerned; containers in the order of the spec, init containers first."""

    key: ObjectKey
    uid: str
    containers: tuple[Container, ...]

    @classmethod
    def of(cls, pod: Pod) -> PodToAdmit:
        """Read a pod."""
        return cls(pod.metadata.key, pod.metadata.uid, containers(pod.spec))


Admit: TypeAlias = Callable[[PodToAdmit], Awaitable[Mapping[str, ContainerEdits]]]
"""Gives a pod its devices: by container name what each gets. Raises an AkriError to reject the pod."""
Output: TypeAlias = Callable[[ObjectKey, str, str], None]
"""Gets each line that a container writes: pod, container, line."""


def no_output(_pod: ObjectKey, _container: str, _line: str) -> None:
    """Nobody listens."""


@frozen
class Surroundings:
    """What the pods of a node share.

    ended: called once for each pod that was admitted, when it is terminal or was deleted by force. log_directory: where
    containers' outputs go, one bounded file each; None keeps none.
    """

    store: MemoryStore
    clock: Clock
    admit: Admit
    ended: Callable[[PodToAdmit], None]
    output: Output = no_output
    log_directory: Path | None = None
    path: str = field(factory=lambda: os.environ.get("PATH", os.defpath))


@frozen
class _End:
    phase: Phase
    reason: str = ""
    message: str = ""


class _Stopped(Exception):  # noqa: N818 - an end that was asked for is not an error
    """The pod was asked to end before it came to its main containers' end."""


class PodRun:
    """One pod from its binding to its end. `run` returns when nothing of it is left."""

    def __init__(self, pod: Pod, surroundings: Surroundings) -> None:
        """Nothing happens before `run`."""
        self._pod = pod
        self._around = surroundings
        self._stop = asyncio.Event()
        self._grace = pod.grace
        self._admitted = False
        self._forced = False

    def stop(self, grace: float) -> None:
        """Ask it to end: SIGTERM to its containers, SIGKILL after `grace` seconds."""
        self._grace = grace
        self._stop.set()

    def force(self) -> None:
        """Take note that the API has forgotten the pod: its devices are given up now, its processes end in a moment."""
        self._forced = True
        self._tell_ended()
        self.stop(min(self._grace, _FORCED_GRACE))

    async def run(self) -> None:
        """Live."""
        for name in ignored_fields(self._pod.spec):
            self._say(Reason.FIELD_IGNORED, f"spec.{name} is not honoured on this platform")
        end = await self._live()
        if self._forced:
            return
        await self._report(_finished(end, self._around.clock.wall()))
        self._tell_ended()
        if self._stop.is_set():
            await self._around.store.remove_pod(self._pod)
        elif end.phase is Phase.FAILED:
            self._say(Reason.BROKER_FAILED, f"{end.reason}: {end.message}" if end.reason else end.message)

    async def _live(self) -> _End:
        try:
            edits = await self._unless_stopped(self._admit())
        except _Stopped:
            return _End(Phase.FAILED, "Terminated", "the pod was deleted before it started")
        except AkriError as error:
            return _End(Phase.FAILED, "UnexpectedAdmissionError", f"Pod was rejected: {error}")
        try:
            async with _Children(self._around.clock) as children:
                return await self._containers(children, edits)
        except (AkriError, OSError) as error:
            return _End(Phase.FAILED, "StartError", str(error))

    async def _admit(self) -> Mapping[str, ContainerEdits]:
        self._admitted = True
        return await self._around.admit(PodToAdmit.of(self._pod))

    async def _containers(self, children: _Children, edits: Mapping[str, ContainerEdits]) -> _End:
        try:
            main: list[tuple[str, ChildProcess]] = []
            for container in containers(self._pod.spec):
                child = await children.start(self._command(container, edits), self._sink(container))
                if container.init and not container.sidecar:
                    code = await self._unless_stopped(child.wait())
                    if code != 0:
                        return _End(Phase.FAILED, "Error", f"init container {container.name} {_ending(code)}")
                elif not container.init:
                    main.append((container.name, child))
            await self._report(_started(self._around.clock.wall()))
            await self._unless_stopped(_all_ended(child for _, child in main))
            await children.end(self._grace)
        except _Stopped:
            await children.end(self._grace)
            return _End(Phase.FAILED, "Terminated", "the pod was deleted")
        failures = [f"container {name} {_ending(code)}" for name, child in main if (code := await child.wait()) != 0]
        return _End(Phase.FAILED, "Error", "; ".join(failures)) if failures else _End(Phase.SUCCEEDED, "Completed")

    def _command(self, container: Container, edits: Mapping[str, ContainerEdits]) -> Command:
        given = edits.get(container.name, ContainerEdits())
        for path in _moved(given):
            what = f"{path.host_path} cannot appear as {path.container_path} for container {container.name}"
            self._say(Reason.FIELD_IGNORED, f"{what}: a process sees the paths of the host")
        environment = {"PATH": self._around.path, **given.environment, **container.environment}
        arguments = tuple(expanded(text, environment) for text in container.command)
        return Command(f"spec.{container.place}.command", arguments, environment, container.working_directory)

    def _sink(self, container: Container) -> _Sink:
        key = self._pod.metadata.key
        directory = self._around.log_directory
        name = f"{key.namespace}_{key.name}_{container.name}.log".replace("/", "_")
        output = self._around.output
        return _Sink(Lines(lambda line: output(key, container.name, line)), BoundedFile(directory / name) if directory else None)

    async def _unless_stopped(self, work: Awaitable[_T]) -> _T:
        """Wait for the work. Raises _Stopped, with the work cancelled, if the pod is asked to end first."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Stopped
        finally:
            for waiting in (task, stop):
                waiting.cancel()
            await asyncio.wait({task, stop})

    def _tell_ended(self) -> None:
        if self._admitted:
            self._admitted = False
            self._around.ended(PodToAdmit.of(self._pod))

    async def _report(self, change: Callable[[Pod], Pod]) -> None:
        await self._around.store.change_pod(self._pod, change)

    def _say(self, reason: Reason, message: str) -> None:
        self._around.store.emit(Event("Pod", self._pod.metadata.key, reason, message, warning=True))


class _Sink:
    """Where one container's output goes."""

    def __init__(self, lines: Lines, file: BoundedFile | None) -> None:
        self._lines = lines
        self._file = file

    def write(self, data: bytes) -> None:
        self._lines.write(data)
        if self._file is not None:
            self._file.write(data)

    def close(self) -> None:
        self._lines.close()
        if self._file is not None:
            self._file.close()


class _Children:
    """The processes of one pod; none of them outlives the block, however it is left."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._children: list[ChildProcess] = []
        self._sinks: list[_Sink] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            await child.close()
        for sink in self._sinks:
            sink.close()

    async def start(self, command: Command, sink: _Sink) -> ChildProcess:
        self._sinks.append(sink)
        child = await ChildProcess.start(command, sink.write)
        self._children.append(child)
        return child

    async def end(self, grace: float) -> None:
        """SIGTERM to each, and SIGKILL to what is left after the grace."""
        for child in self._children:
            child.terminate()
        ended = asyncio.create_task(_all_ended(self._children))
        timer = asyncio.create_task(self._clock.sleep(grace))
        try:
            await asyncio.wait({ended, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, timer):
                task.cancel()
            await asyncio.wait({ended, timer})


async def _all_ended(children: Iterable[ChildProcess]) -> None:
    for child in children:
        await child.wait()


def _moved(edits: ContainerEdits) -> tuple[Mount | DeviceNode, ...]:
    """What should appear under another path than the host's."""
    paths: tuple[Mount | DeviceNode, ...] = (*edits.mounts, *edits.device_nodes)
    return tuple(path for path in paths if path.container_path != path.host_path)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"was killed by signal {-code}"


def _started(now: float) -> Callable[[Pod], Pod]:
    return lambda pod: evolve(pod, phase=Phase.RUNNING, started=now)


def _finished(end: _End, now: float) -> Callable[[Pod], Pod]:
    return lambda pod: evolve(pod, phase=end.phase, reason=end.reason, message=end.message, finished=now)

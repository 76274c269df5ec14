"""The life of one pod on one node: admission, init containers in order, main containers side by side, and its end.

What a kubelet does with a container runtime is done here with supervised processes. They outlive this program: a pod with a
record is taken up where a former program left it, and is not admitted again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from akri.core.edits import ContainerEdits
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
from akri.platforms.local.container_records import Alive
from akri.platforms.local.container_run import ContainerPlan, ContainerRun, Outcome, end_gracefully
from akri.platforms.local.container_start import container_start
from akri.platforms.local.host_processes import end_marked
from akri.platforms.local.logs import begin_log
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_check import FIELD_PATHS, ignored_fields, refused_fields
from akri.platforms.local.pod_records import has_record, read_record, record_of, write_record
from akri.platforms.local.pod_report import PodReport, insist
from akri.platforms.local.pod_spec import Container, containers, deadline_seconds, restart_policy
from akri.platforms.local.runtimes import ImageStart
from akri.platforms.local.store import LocalStore
from akri.platforms.local.user_logs import log_path
from akri.ports import Clock
from akri.scheduling.model import Phase

__all__ = ["Admit", "Output", "PodRun", "PodToAdmit", "Surroundings", "no_output"]

_T = TypeVar("_T")
_FORCED_GRACE: Final = 2.0
_LAST_WORDS: Final = 5.0
_BACK_OFF: Final = "CrashLoopBackOff"


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

    ended: called once for each pod that was admitted, when it is terminal or was deleted by force. folder: the state's `brokers`,
    with a record for each pod. logs: where containers' outputs go.
    """

    store: LocalStore
    clock: Clock
    admit: Admit
    ended: Callable[[PodToAdmit], None]
    folder: Path
    logs: Path
    output: Output = no_output
    path: str = field(factory=lambda: os.environ.get("PATH", os.defpath))


@frozen
class _End:
    phase: Phase
    reason: str = ""
    message: str = ""


class _Stopped(Exception):  # noqa: N818 - an end that was asked for is not an error
    """The pod was asked to end before it came to its main containers' end."""


class PodRun:
    """One pod from its binding, or from its record, to its end. `run` returns when nothing of it is left.

    When `run` is cancelled, the pod's processes go on, and the next one to be made for this pod takes them up.
    """

    def __init__(self, pod: Pod, surroundings: Surroundings) -> None:
        """Nothing happens before `run`."""
        self._pod = pod
        self._around = surroundings
        self._folder: Final = surroundings.folder / pod.metadata.uid
        self._stop = asyncio.Event()
        self._grace = pod.grace
        self._admitted = False
        self._forced = False
        self._deleted = False
        self._report: Final = PodReport(surroundings.store, surroundings.clock, pod)
        self._parts: Final = containers(pod.spec, _field_values(pod))
        self._waiting: dict[str, str] = {}

    def stop(self, grace: float) -> None:
        """Ask it to end: SIGTERM to its containers, SIGKILL after `grace` seconds."""
        self._grace = grace
        self._deleted = True
        self._stop.set()

    def force(self) -> None:
        """Take note that the API has forgotten the pod: its devices are given up now, its processes end in a moment."""
        self._forced = True
        self._tell_ended()
        self.stop(min(self._grace, _FORCED_GRACE))

    async def run(self) -> None:
        """Live."""
        tasks = [asyncio.create_task(self._report.run()), asyncio.create_task(self._expire())]
        try:
            await self._end_as(await self._live())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._deleted:
            await self._remove()
        await self.forget()

    async def _end_as(self, end: _End) -> None:
        if end.phase is Phase.FAILED and not self._deleted:
            self._say(Reason.BROKER_FAILED, f"{end.reason}: {end.message}" if end.reason else end.message)
        if not self._forced:
            self._report.show(_finished(end, self._around.clock.wall()))
            await self._report.stored()
        self._tell_ended()

    @property
    def recorded(self) -> bool:
        """Whether it was admitted before, by this program or by a former one."""
        return has_record(self._folder)

    async def end_finished(self) -> None:
        """Do what a former program did not come to after it had reported the pod's end."""
        self._admitted = self.recorded
        self._tell_ended()
        if self._pod.metadata.deleting:
            await self._remove()
        await self.forget()

    async def end_forgotten(self) -> None:
        """End what runs of a pod that the API has forgotten while no program was here."""
        self._admitted = True
        parts = self._parts
        self._grace = min(self._grace, _FORCED_GRACE)
        await self._end(parts, {one.name: ContainerRun(self._plan(one, {})) for one in parts})
        self._tell_ended()
        await self.forget()

    async def forget(self) -> None:
        """End what may be left of the pod, and remove its record."""
        await asyncio.to_thread(end_marked, self._folder)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _remove(self) -> None:
        await insist(self._around.clock, lambda: self._around.store.remove_pod(self._pod))

    async def _expire(self) -> None:
        """End the pod when it was active for too long."""
        seconds = deadline_seconds(self._pod.spec)
        if seconds is not None:
            now = self._around.clock.wall()
            await self._around.clock.sleep(min((self._pod.started or now) + seconds - now, seconds))
            self._stop.set()

    async def _live(self) -> _End:
        refused = refused_fields(self._pod.spec)
        if refused:
            return _End(Phase.FAILED, "SpecRefused", "; ".join(f"spec.{problem}" for problem in refused))
        record = read_record(self._folder)
        self._admitted = record is not None
        try:
            edits = await self._unless_stopped(self._admit()) if record is None else record.edits
        except _Stopped:
            return self._stopped()
        except AkriError as error:
            return _End(Phase.FAILED, "UnexpectedAdmissionError", f"Pod was rejected: {error}")
        try:
            if record is None:
                await asyncio.to_thread(self._begin, edits)
            return await self._containers(edits)
        except (AkriError, OSError) as error:
            return _End(Phase.FAILED, "StartError", str(error))

    def _stopped(self) -> _End:
        if self._deleted:
            return _End(Phase.FAILED, "Terminated", "the pod was deleted")
        return _End(Phase.FAILED, "DeadlineExceeded", f"it was active for more than {deadline_seconds(self._pod.spec):g} s")

    async def _admit(self) -> Mapping[str, ContainerEdits]:
        for name in ignored_fields(self._pod.spec):
            self._say(Reason.FIELD_IGNORED, f"spec.{name} is not honoured on this platform")
        self._admitted = True
        return await self._around.admit(PodToAdmit.of(self._pod))

    def _begin(self, edits: Mapping[str, ContainerEdits]) -> None:
        """Write down that the pod was admitted; from here on whoever comes later finds it."""
        for container in self._parts:
            begin_log(self._log(container))
        write_record(self._folder, record_of(evolve(self._pod, bound=True), edits, self._around.store))

    async def _containers(self, edits: Mapping[str, ContainerEdits]) -> _End:
        parts = self._parts
        runs = {container.name: ContainerRun(self._plan(container, edits)) for container in parts}
        tasks: dict[str, asyncio.Task[Outcome]] = {}
        try:
            try:
                end = await self._in_order(parts, runs, tasks)
            except _Stopped:
                end = self._stopped()
            except (AkriError, OSError) as error:
                end = _End(Phase.FAILED, "StartError", str(error))
            await self._end(parts, runs)
            if tasks:
                await asyncio.wait(tasks.values(), timeout=_LAST_WORDS)
            return end
        finally:
            # When this is cancelled, the processes go on.
            for task in tasks.values():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks.values())

    async def _in_order(
        self, parts: Sequence[Container], runs: Mapping[str, ContainerRun], tasks: dict[str, asyncio.Task[Outcome]]
    ) -> _End:
        begun = any(isinstance(runs[one.name].child.look(), Alive) for one in parts if not one.init)
        for container in parts:
            passing = container.init and not container.sidecar
            if passing and begun:
                continue
            run = runs[container.name]
            task = tasks[container.name] = asyncio.create_task(run.live())
            await self._unless_stopped(_all_over([task]) if passing else _up_or_over(run, task))
            if passing and task.result().code != 0:
                return _End(Phase.FAILED, "Error", f"init container {container.name} {task.result().words}")
        self._report.show(_started(self._around.clock.wall()))
        main = {one.name: tasks[one.name] for one in parts if not one.init}
        await self._unless_stopped(_all_over(main.values()))
        failures = [f"container {name} {outcome.words}" for name, task in main.items() if (outcome := task.result()).code != 0]
        return _End(Phase.FAILED, "Error", "; ".join(failures)) if failures else _End(Phase.SUCCEEDED, "Completed")

    async def _end(self, parts: Sequence[Container], runs: Mapping[str, ContainerRun]) -> None:
        """End the main containers, and then, with what is left of the grace, those that run beside them."""
        for run in runs.values():
            await run.retire()
        grace = await end_gracefully([runs[one.name] for one in parts if not one.sidecar], self._grace, self._around.clock)
        await end_gracefully([runs[one.name] for one in parts if one.sidecar], grace, self._around.clock)

    def _plan(self, container: Container, edits: Mapping[str, ContainerEdits]) -> ContainerPlan:
        key, output = self._pod.metadata.key, self._around.output
        return ContainerPlan(
            container.name,
            folder=self._folder / container.name,
            log=self._log(container),
            policy=restart_policy(self._pod.spec, container),
            clock=self._around.clock,
            start=lambda: self._start(container, edits),
            waiting=lambda outcome, seconds: self._wait(container.name, outcome, seconds),
            line=None if output is no_output else lambda line: None if self._forced else output(key, container.name, line),
            prepares=container.init and not container.sidecar,
        )

    def _start(self, container: Container, edits: Mapping[str, ContainerEdits]) -> ImageStart:
        return container_start(
            container,
            edits.get(container.name, ContainerEdits()),
            folder=self._folder / container.name,
            of_agent={"PATH": self._around.path, **os.environ},
            tell=lambda message: self._say(Reason.FIELD_IGNORED, message),
        )

    def _wait(self, name: str, outcome: Outcome | None, seconds: float) -> None:
        """Say that a container waits for its next start, or (without an outcome) that it has it."""
        before = dict(self._waiting)
        if outcome is None:
            self._waiting.pop(name, None)
        else:
            self._waiting[name] = f"container {name} {outcome.words}; it starts again {f'in {seconds:.0f} s' if seconds else 'at once'}"
            if outcome.code != 0:
                self._say(Reason.BROKER_BACK_OFF, self._waiting[name])
        if before != self._waiting:
            reason, message = (_BACK_OFF, "; ".join(self._waiting.values())) if self._waiting else ("", "")
            self._report.show(lambda pod: evolve(pod, reason=reason, message=message))

    def _log(self, container: Container) -> Path:
        return log_path(self._around.logs, self._pod.metadata.key, container.name)

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

    def _say(self, reason: Reason, message: str) -> None:
        self._around.store.emit(Event("Pod", self._pod.metadata.key, reason, message, warning=True))


async def _up_or_over(run: ContainerRun, task: asyncio.Task[Outcome]) -> None:
    """Wait until a container runs for the first time. Raises what its start raises."""
    up = asyncio.ensure_future(run.up.wait())
    try:
        await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.cancel()
    if task.done():
        task.result()


async def _all_over(tasks: Iterable[asyncio.Task[Outcome]]) -> None:
    """Wait for all, but not on when one raises. Unlike with `gather`, they go on when this is cancelled."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def _field_values(pod: Pod) -> dict[str, str]:
    """What the pod's own environment may refer to: pod_check.FIELD_PATHS."""
    metadata = pod.metadata
    return dict(zip(FIELD_PATHS, (metadata.key.name, metadata.key.namespace, metadata.uid, pod.node), strict=True))


def _started(now: float) -> Callable[[Pod], Pod]:
    """Say that it runs; one that did already keeps the time."""
    return lambda pod: pod if pod.phase is Phase.RUNNING else evolve(pod, phase=Phase.RUNNING, started=now)


def _finished(end: _End, now: float) -> Callable[[Pod], Pod]:
    return lambda pod: evolve(pod, phase=end.phase, reason=end.reason, message=end.message, finished=now)

"""Runs jobs in their simplest form: one pod at a time until one succeeds, or until too many failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias, assert_never

from attrs import evolve, frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject, OwnerReference
from akri.core.reports import Event, Reason
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.pod_spec import whole_number
from akri.platforms.local.restarts import RestartPolicy
from akri.platforms.local.store import LocalStore
from akri.ports import Clock
from akri.scheduling.model import Phase

__all__ = ["Finish", "JobRunner", "Rest", "StartPod", "Step", "next_step"]

_BACKOFF_LIMIT: Final = 6
_FIRST_DELAY: Final = 10.0
_LONGEST_DELAY: Final = 360.0
_NOT_ADMITTED: Final = frozenset({"UnexpectedAdmissionError"})
_HONOURED: Final = frozenset({"backoffLimit", "template"})
_AS_HONOURED: Final = {"completions": 1, "parallelism": 1, "suspend": False, "completionMode": "NonIndexed"}


@frozen
class StartPod:
    """Make the next pod; `number` makes its name."""

    number: int


@frozen
class Finish:
    """The job is over; `reason` is empty if it is complete."""

    reason: str = ""


@frozen
class Rest:
    """Nothing to do, for so many seconds or (None) until something changes."""

    seconds: float | None = None


Step: TypeAlias = StartPod | Finish | Rest
"""What a job needs next."""


def next_step(job: Job, pods: Iterable[Pod], now: float) -> Step:
    """Decide what a job needs, from its pods; now is in seconds since the epoch.

    The wait after the first failure is 10 s, then twice as long each time, at most 6 min, as with Kubernetes.
    """
    pods = tuple(pods)
    phases = [pod.phase for pod in pods]
    if job.complete or job.failed:
        return Rest()
    if Phase.SUCCEEDED in phases:
        return Finish()
    failures = phases.count(Phase.FAILED)
    if failures > whole_number(job.spec.get("backoffLimit"), _BACKOFF_LIMIT):
        return Finish(_why_failed(pods))
    if len(phases) > failures:
        return Rest()
    if failures == 0:
        return StartPod(0)
    delay = min(_FIRST_DELAY * 2.0 ** min(failures - 1, 10), _LONGEST_DELAY)
    due = max(pod.finished for pod in pods) + delay
    return Rest(due - now) if due > now else StartPod(failures)


def _why_failed(pods: Iterable[Pod]) -> str:
    """Tell a program that fails from pods that no node admitted: the controller makes only the latter's job anew."""
    reasons = {pod.reason for pod in pods}
    return reasons.pop() if len(reasons) == 1 and reasons <= _NOT_ADMITTED else "BackoffLimitExceeded"


class JobRunner:
    """The jobs of a store. One runner serves all nodes."""

    def __init__(self, store: LocalStore, *, clock: Clock) -> None:
        """Nothing happens before `run`."""
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()
        self._told: set[str] = set()
        self._alarms: set[str] = set()

    async def run(self) -> None:
        """Run jobs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._notice(self._store.watch_jobs()))
            group.create_task(self._notice(self._store.watch_pods()))
            while True:
                await self._changed.wait()
                self._changed.clear()
                jobs = self._store.jobs
                self._told &= {job.metadata.uid for job in jobs}
                for job in jobs:
                    await self._go_on(job, group)

    async def _notice(self, watch: AsyncIterator[object]) -> None:
        async for _ in watch:
            self._changed.set()

    async def _go_on(self, job: Job, group: asyncio.TaskGroup) -> None:
        step = next_step(job, self._pods_of(job), self._clock.wall())
        match step:
            case StartPod(number):
                self._tell_ignored(job)
                await self._start_pod(job, number)
            case Finish(reason):
                over = partial(evolve, complete=not reason, failed=bool(reason), reason=reason, finished=self._clock.wall())
                await self._store.change_job(job, over)
            case Rest(seconds):
                if seconds is not None and job.metadata.uid not in self._alarms:
                    self._alarms.add(job.metadata.uid)
                    group.create_task(self._wake(job.metadata.uid, seconds))
            case _:
                assert_never(step)

    async def _wake(self, uid: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._alarms.discard(uid)
        self._changed.set()

    async def _start_pod(self, job: Job, number: int) -> None:
        key = ObjectKey(job.metadata.key.namespace, f"{job.metadata.key.name}-{number}")
        template = _object(job.spec.get("template"))
        metadata = _object(template.get("metadata"))
        owner = OwnerReference("batch/v1", "Job", job.metadata.key.name, job.metadata.uid, controller=True)
        try:
            await self._store.create_pod(
                key,
                {"restartPolicy": RestartPolicy.NEVER.value, **_object(template.get("spec"))},
                labels=_texts(metadata.get("labels")),
                annotations=_texts(metadata.get("annotations")),
                owner=owner,
                instance=job.instance,
            )
        except InvalidValueError as error:
            # A pod of a former job under this name is still ending; its end is a change that brings us here again.
            self._store.emit(Event("Pod", key, Reason.BROKER_BACK_OFF, str(error), warning=True))

    def _pods_of(self, job: Job) -> list[Pod]:
        uid = job.metadata.uid
        return [pod for pod in self._store.pods if any(owner.uid == uid for owner in pod.metadata.owners)]

    def _tell_ignored(self, job: Job) -> None:
        if job.metadata.uid in self._told:
            return
        self._told.add(job.metadata.uid)
        for name, value in sorted(job.spec.items()):
            if name not in _HONOURED and _AS_HONOURED.get(name, ...) != value:
                message = f"spec.{name} of Job {job.metadata.key.name} is not honoured on this platform"
                self._store.emit(Event("Instance", job.instance, Reason.FIELD_IGNORED, message, warning=True))


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Json) -> dict[str, str]:
    return {name: str(text) for name, text in _object(value).items()}

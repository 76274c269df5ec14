"""Runs jobs: makes their pods, and says when they are complete or failed. What a job needs is decided in job_steps.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Final, assert_never

from attrs import evolve

from akri.core.errors import InvalidValueError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject, OwnerReference
from akri.core.reports import Event, Reason
from akri.platforms.local.job_steps import EndPods, Finish, Rest, StartPod, next_step
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.pod_check import ignored_job_fields
from akri.platforms.local.restarts import RestartPolicy
from akri.platforms.local.store import LocalStore
from akri.ports import Clock

__all__ = ["JobRunner"]

_AGAIN_AFTER: Final = 1.0


class JobRunner:
    """The jobs of a store. One runner serves all nodes."""

    def __init__(self, store: LocalStore, *, clock: Clock) -> None:
        """Nothing happens before `run`."""
        self._store = store
        self._clock = clock
        self._changed = asyncio.Event()
        self._told: set[str] = set()
        self._alarms: dict[str, float] = {}

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
        try:
            await self._step(job, group)
        except OutcomeUnknownError:
            # The state cannot be stored for now; whatever was done or not, the next look decides anew.
            self._wake_in(job.metadata.uid, _AGAIN_AFTER, group)

    async def _step(self, job: Job, group: asyncio.TaskGroup) -> None:
        step = next_step(job, self._pods_of(job), self._clock.wall())
        match step:
            case StartPod(number):
                self._tell_ignored(job)
                await self._start_pod(job, number)
            case EndPods(keys):
                for key in keys:
                    await self._store.delete_pod(key)
            case Finish(reason, message):
                if reason:
                    said = f"Job {job.metadata.key.name} failed: {reason}{f': {message}' if message else ''}"
                    self._store.emit(Event("Instance", job.instance, Reason.BROKER_FAILED, said, warning=True))
                over = partial(evolve, complete=not reason, failed=bool(reason), reason=reason, finished=self._clock.wall())
                await self._store.change_job(job, over)
            case Rest(seconds):
                if seconds is not None:
                    self._wake_in(job.metadata.uid, seconds, group)
            case _:
                assert_never(step)

    def _wake_in(self, uid: str, seconds: float, group: asyncio.TaskGroup) -> None:
        """Look again after so many seconds, unless that is to happen before anyway."""
        due = self._clock.now() + seconds
        if self._alarms.get(uid, due + 1) > due:
            self._alarms[uid] = due
            group.create_task(self._wake(uid, due))

    async def _wake(self, uid: str, due: float) -> None:
        await self._clock.sleep(due - self._clock.now())
        if self._alarms.get(uid) == due:
            del self._alarms[uid]
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
        for name in ignored_job_fields(job.spec):
            message = f"spec.{name} of Job {job.metadata.key.name} is not honoured on this platform"
            self._store.emit(Event("Instance", job.instance, Reason.FIELD_IGNORED, message, warning=True))


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Json) -> dict[str, str]:
    return {name: str(text) for name, text in _object(value).items()}

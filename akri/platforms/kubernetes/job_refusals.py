"""Why broker jobs failed that no program of theirs made fail.

A Job only says that it gave up; that nodes refused its pods stands in the pods. They are asked for when a job has failed, once
for each, and never hold up what the watch of jobs has to tell.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from attrs import evolve

from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.core.naming import LABEL_INSTANCE
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.observations import refusal
from akri.platforms.kubernetes.reading import items, members, text
from akri.platforms.kubernetes.resources import PODS
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from akri.scheduling.model import BrokerJob

__all__ = ["FailedPods", "explained", "failed_pods", "reasons"]

FailedPods: TypeAlias = Callable[[Sequence[BrokerJob]], Awaitable[Sequence[JsonObject]]]
"""Fetches the failed pods of at least these jobs. Raises AkriError."""
_JOB_NAME: Final = "batch.kubernetes.io/job-name"
_SECONDS: Final = 2.0


def failed_pods(client: ApiClient) -> FailedPods:
    """Fetch them from an API server: with one request, however many jobs there are."""

    async def fetch(jobs: Sequence[BrokerJob]) -> Sequence[JsonObject]:
        path, selector = PODS.collection(), LABEL_INSTANCE
        if len(jobs) == 1:
            path, selector = PODS.collection(jobs[0].key.namespace), f"{_JOB_NAME}={jobs[0].key.name}"
        parameters = {"labelSelector": selector, "fieldSelector": "status.phase=Failed"}
        answer = await client.request("GET", path, parameters=parameters, seconds=_SECONDS)
        return list(items(answer.get("items")))

    return fetch


def reasons(jobs: Iterable[BrokerJob], pods: Iterable[JsonObject]) -> Mapping[str, str]:
    """Tell for each job, by its uid, why nodes refused all of its pods; empty where that is not so, or not known any more."""
    of_jobs: dict[str, list[JsonObject]] = {}
    for pod in pods:
        for owner in items(members(pod.get("metadata")).get("ownerReferences")):
            of_jobs.setdefault(text(owner.get("uid")), []).append(pod)
    return {job.uid: refusal(of_jobs.get(job.uid, ())) for job in jobs}


async def explained(events: AsyncGenerator[WatchEvent[BrokerJob]], fetch: FailedPods) -> AsyncGenerator[WatchEvent[BrokerJob]]:
    """Go through a watch of jobs, and let each failed one that was refused follow once more, with that as its reason."""
    explanations = _Explanations()
    async with aclosing(events):
        async for event in events:
            yield explanations.take(event)
            jobs = explanations.wanted
            if not jobs:
                continue
            try:
                found = reasons(jobs, await fetch(jobs))
            except AkriError:
                continue  # with the next event, which is at most one sign of life away
            for job in explanations.learn(found):
                yield Put(job)


class _Explanations:
    """What is known of failed jobs, by uid, and of which nothing is."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._open: dict[ObjectKey, BrokerJob] = {}

    @property
    def wanted(self) -> tuple[BrokerJob, ...]:
        return tuple(self._open.values())

    def take(self, event: WatchEvent[BrokerJob]) -> WatchEvent[BrokerJob]:
        """Complete an event by what is known."""
        match event:
            case Reset(jobs):
                self._open.clear()
                failed = {job.uid for job in jobs}
                self._known = {uid: reason for uid, reason in self._known.items() if uid in failed}
                return evolve(event, objects=tuple(self._completed(job) for job in jobs))
            case Put(job):
                return Put(self._completed(job))
            case Gone(key, uid):
                self._open.pop(key, None)
                self._known.pop(uid, None)
                return event
            case Alive():
                return event

    def learn(self, found: Mapping[str, str]) -> tuple[BrokerJob, ...]:
        """Note the reasons that were found, and return the jobs of which they tell something new."""
        told = tuple(evolve(job, reason=found[job.uid]) for job in self._open.values() if found.get(job.uid))
        self._known |= found
        self._open = {key: job for key, job in self._open.items() if job.uid not in found}
        return told

    def _completed(self, job: BrokerJob) -> BrokerJob:
        self._open.pop(job.key, None)
        if not job.failed or job.deleting:
            return job
        if job.uid not in self._known:
            self._open[job.key] = job
            return job
        return evolve(job, reason=self._known[job.uid] or job.reason)

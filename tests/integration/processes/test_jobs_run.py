"""Jobs over real processes: as many pods as asked, no more at a time, and none left when the job is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from akri.clock import SystemClock
from akri.core.ids import ConfigurationName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, ObjectMeta, OwnerReference
from akri.platforms.local.jobs import JobRunner
from akri.platforms.local.objects import Job
from akri.scheduling.model import CreateJob, Phase
from tests.integration.processes.station import NODE, Station, eventually, marked, shell, station

INSTANCE = ObjectKey("default", "cam-8120fe")
KEY = ObjectKey("default", "cam-8120fe-1-job")


@asynccontextmanager
async def jobs(folder: Path) -> AsyncGenerator[Station]:
    async with station(folder) as place:
        task = asyncio.create_task(JobRunner(place.store, clock=SystemClock()).run())
        try:
            yield place
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _job(place: Station, script: str, **fields: Json) -> None:
    instance = await place.store.put_instance(Instance(ObjectMeta(INSTANCE), ConfigurationName("cam"), "", 1, nodes=(NODE,)))
    owner = OwnerReference("akri.sh/v0", "Instance", instance.name, instance.metadata.uid, controller=True)
    template: Json = {"spec": {"containers": [shell(script)]}}
    await place.store.cluster().execute(CreateJob(KEY, INSTANCE, owner, {}, {}, {"template": template, **fields}))


def _over(place: Station) -> Job | None:
    return next((job for job in place.store.jobs if job.complete or job.failed), None)


async def test_a_job_runs_its_completions_so_many_at_a_time(tmp_path: Path) -> None:
    async with jobs(tmp_path) as place:
        script = f"mkdir {tmp_path}/a || mkdir {tmp_path}/b || echo three; sleep 0.2; rmdir {tmp_path}/a || rmdir {tmp_path}/b"
        await _job(place, script, completions=5, parallelism=2)
        await eventually(lambda: _over(place) is not None)
        assert [job.complete for job in place.store.jobs] == [True]
        assert [pod.phase for pod in place.store.pods] == [Phase.SUCCEEDED] * 5
        assert "main: three" not in place.lines


async def test_a_job_that_takes_too_long_fails_and_its_pods_end(tmp_path: Path) -> None:
    async with jobs(tmp_path) as place:
        await _job(place, "echo up; exec sleep 1000", parallelism=2, activeDeadlineSeconds=1)
        await eventually(lambda: _over(place) is not None)
        assert [(job.failed, job.reason) for job in place.store.jobs] == [(True, "DeadlineExceeded")]
        await eventually(lambda: place.store.pods == ())
        await eventually(lambda: marked(tmp_path) == [])


async def test_a_job_that_cannot_be_honoured_says_why(tmp_path: Path) -> None:
    async with jobs(tmp_path) as place:
        await _job(place, "true", completionMode="Indexed", completions=2)
        await eventually(lambda: _over(place) is not None)
        assert [job.reason for job in place.store.jobs] == ["SpecRefused"]
        assert [event.message for event in place.store.events if "Indexed is refused" in event.message]

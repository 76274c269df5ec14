"""Broker jobs under the real job controller, as the controller's watch shows them. The test plays the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from attrs import define, field

from akri.clock import SystemClock
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey
from akri.core.metadata import JsonObject, OwnerReference
from akri.core.naming import LABEL_CONFIGURATION, LABEL_INSTANCE, job_labels
from akri.core.reports import Reason
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.ports import Done, Gone, Put, Reset
from akri.scheduling.jobs import rejected
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerJob, CreateJob, DeleteJob
from tests.cluster.admin import MERGE_PATCH, Admin
from tests.cluster.api_server import ALL_CONTROLLERS, ApiServer
from tests.cluster.processes import eventually
from tests.integration.kubernetes.controlling import POD, connected, installed_token, instance_in

NAMESPACE = "jobs"
REFUSED: JsonObject = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Pod was rejected: slot is held by node-b"}
_SECONDS = 30.0


def _ended(exit_code: int) -> JsonObject:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    terminated: JsonObject = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "startedAt": now, "finishedAt": now}
    container: JsonObject = {
        "name": "main",
        "image": "localhost/none:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": terminated},
    }
    return {"phase": "Failed" if exit_code else "Succeeded", "startTime": now, "containerStatuses": [container]}


@define(eq=False)
class _Jobs:
    """Jobs of one Instance, and each state in which the watch showed one; None after the last."""

    admin: Admin
    platform: KubernetesClusterPlatform
    owner: OwnerReference
    shown: dict[str, list[BrokerJob | None]] = field(factory=dict[str, list[BrokerJob | None]])

    async def follow(self) -> None:
        async for event in self.platform.watch_broker_jobs():
            match event:
                case Reset(jobs):
                    for job in jobs:
                        self.shown.setdefault(job.key.name, []).append(job)
                case Put(job):
                    self.shown.setdefault(job.key.name, []).append(job)
                case Gone(key):
                    self.shown[key.name].append(None)
                case _:
                    pass

    async def make(self, name: str) -> None:
        """A job that is not tried twice; returns when its pod is there."""
        labels = job_labels(ConfigurationName("cam"), InstanceName(self.owner.name), 1)
        both = {label: labels[label] for label in (LABEL_CONFIGURATION, LABEL_INSTANCE)}
        spec: JsonObject = {"backoffLimit": 0, "template": {"metadata": {"labels": both}, "spec": POD}}
        annotations = {ANNOTATION_ATTEMPT: "0", ANNOTATION_HASH: "a"}
        key, instance = ObjectKey(NAMESPACE, name), ObjectKey(NAMESPACE, self.owner.name)
        assert await self.platform.execute(CreateJob(key, instance, self.owner, labels, annotations, spec)) == Done(None)

        async def there() -> bool:
            return len(await self.pods(name)) == 1

        await eventually(there, seconds=_SECONDS, what=f"the pod of job {name}")

    async def pods(self, name: str) -> list[str]:
        selector = {"labelSelector": f"batch.kubernetes.io/job-name={name}"}
        pods = await self.admin.list(f"/api/v1/namespaces/{NAMESPACE}/pods", parameters=selector)
        return [str(pod["metadata"]["name"]) for pod in pods]

    async def end(self, name: str, status: JsonObject) -> None:
        """Let the job's pod end like this."""
        [pod] = await self.pods(name)
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/status"
        await self.admin.request("PATCH", path, {"status": status}, content_type=MERGE_PATCH)

    async def until(self, name: str, *, complete: bool, reason: str) -> BrokerJob:
        async def arrived() -> bool:
            last = self.shown[name][-1]
            return last is not None and (last.complete, last.failed, last.reason) == (complete, not complete, reason)

        await eventually(arrived, seconds=_SECONDS, what=f"job {name} to end so; shown: {self.shown.get(name)}")
        last = self.shown[name][-1]
        assert last is not None
        return last


@pytest_asyncio.fixture
async def jobs(fresh_api_server: ApiServer) -> AsyncGenerator[_Jobs]:
    token = await installed_token(fresh_api_server)
    await fresh_api_server.start_controller_manager(ALL_CONTROLLERS)
    async with fresh_api_server.admin() as admin, connected(fresh_api_server, token) as client:
        key, uid = await instance_in(admin, NAMESPACE)
        owner = OwnerReference("akri.sh/v0", "Instance", key.name, uid, controller=True)
        made = _Jobs(admin, KubernetesClusterPlatform(client, SystemClock()), owner)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(made.follow())
            yield made
            following.cancel()


@pytest.mark.timeout(120)
async def test_c1_a_job_tells_whether_a_node_refused_it_or_its_program_failed(jobs: _Jobs) -> None:
    for name in ("refused", "failed", "complete"):
        await jobs.make(name)
        running = jobs.shown[name][0]
        assert running is not None
        assert (running.instance.name, running.spec_hash, running.complete, running.failed) == ("cam-8120fe", "a", False, False)

    await jobs.end("refused", REFUSED)
    await jobs.end("failed", _ended(3))
    await jobs.end("complete", _ended(0))

    refused = await jobs.until("refused", complete=False, reason="UnexpectedAdmissionError")
    failed = await jobs.until("failed", complete=False, reason="BackoffLimitExceeded")
    complete = await jobs.until("complete", complete=True, reason="")
    assert all(job.finished >= job.created for job in (refused, failed, complete))
    assert [rejected(job) for job in (refused, failed, complete)] == [True, False, False]
    await asyncio.sleep(1)
    assert jobs.shown["failed"][-1] == failed

    assert await jobs.platform.execute(DeleteJob(refused.key, refused.uid, Reason.BROKER_FAILED, "")) == Done(None)

    async def gone() -> bool:
        return jobs.shown["refused"][-1] is None and not await jobs.pods("refused")

    await eventually(gone, seconds=_SECONDS, what="a deleted job and its pods to go")
    assert len(await jobs.pods("failed")) == 1

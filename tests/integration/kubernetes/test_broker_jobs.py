"""Broker jobs under the real job controller: what it makes of them, read as the controller reads it. The test plays the kubelet."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from akri.clock import SystemClock
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey
from akri.core.metadata import JsonObject, OwnerReference
from akri.core.naming import job_labels
from akri.core.reports import Reason
from akri.platforms.kubernetes.actions import Actions
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.job_refusals import failed_pods, reasons
from akri.platforms.kubernetes.observations import broker_job
from akri.ports import Done
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerJob, CreateJob, DeleteJob
from tests.cluster.admin import Admin
from tests.cluster.api_server import ALL_CONTROLLERS, ApiServer
from tests.cluster.processes import eventually

POD: JsonObject = {
    "containers": [{"name": "main", "image": "localhost/none:1"}],
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
}
REFUSED: JsonObject = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Pod was rejected: slot is held by node-b"}


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


@pytest_asyncio.fixture
async def admin(fresh_api_server: ApiServer) -> AsyncGenerator[Admin]:
    await fresh_api_server.start_controller_manager(ALL_CONTROLLERS)
    async with fresh_api_server.admin() as client:
        yield client


@pytest_asyncio.fixture
async def client(fresh_api_server: ApiServer) -> AsyncGenerator[ApiClient]:
    context = ssl.create_default_context(cafile=str(fresh_api_server.ca_file))
    async with ApiClient(Connection(fresh_api_server.url, context, lambda: fresh_api_server.admin_token), SystemClock()) as opened:
        yield opened


async def _made(admin: Admin, client: ApiClient, name: str) -> ObjectKey:
    """A broker job that is not tried twice, and whose pod is there."""
    await admin.ensure("ServiceAccount", "default", "default")
    owner = await admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
    labels = job_labels(ConfigurationName("cam"), InstanceName(name), 1)
    template: JsonObject = {"metadata": {"labels": {label: labels[label] for label in labels if "/" in label}}, "spec": POD}
    action = CreateJob(
        ObjectKey("default", f"{name}-1-job"),
        ObjectKey("default", name),
        OwnerReference("v1", "ConfigMap", name, owner["metadata"]["uid"], controller=True),
        labels,
        {ANNOTATION_ATTEMPT: "0", ANNOTATION_HASH: "a"},
        {"backoffLimit": 0, "template": template},
    )
    assert await Actions(client, SystemClock()).execute(action) == Done(None)

    async def there() -> bool:
        return len(await _pods(admin, action.key)) == 1

    await eventually(there, seconds=30, what=f"the pod of {action.key}")
    return action.key


async def _pods(admin: Admin, job: ObjectKey) -> list[str]:
    selector = {"labelSelector": f"batch.kubernetes.io/job-name={job.name}"}
    pods = await admin.list(f"/api/v1/namespaces/{job.namespace}/pods", parameters=selector)
    return [str(pod["metadata"]["name"]) for pod in pods]


async def _end(admin: Admin, job: ObjectKey, status: JsonObject) -> BrokerJob:
    """Let the job's pod end like this, and return the job when its controller has concluded."""
    [pod] = await _pods(admin, job)
    path = f"/api/v1/namespaces/{job.namespace}/pods/{pod}"
    await admin.request("PATCH", f"{path}/status", {"status": status}, content_type="application/merge-patch+json")

    async def ended() -> bool:
        found = await _read(admin, job)
        return found.complete or found.failed

    await eventually(ended, seconds=30, what=f"the end of {job}")
    return await _read(admin, job)


async def _read(admin: Admin, job: ObjectKey) -> BrokerJob:
    document = await admin.get(f"/apis/batch/v1/namespaces/{job.namespace}/jobs/{job.name}")
    # It stands for an Instance, which could not own anything here without the CRDs.
    document["metadata"]["ownerReferences"][0] |= {"apiVersion": "akri.sh/v0", "kind": "Instance"}
    found = broker_job(document)
    assert found is not None
    return found


@pytest.mark.timeout(120)
async def test_c1_a_job_tells_whether_a_node_refused_it_or_its_program_failed(admin: Admin, client: ApiClient) -> None:
    refused, failed, complete = [await _made(admin, client, f"cam-{letter}") for letter in "abc"]
    running = await _read(admin, refused)
    assert (running.complete, running.failed, running.instance.name, running.spec_hash) == (False, False, "cam-a", "a")

    jobs = [await _end(admin, refused, REFUSED), await _end(admin, failed, _ended(3)), await _end(admin, complete, _ended(0))]

    assert [(job.complete, job.failed, job.reason) for job in jobs] == [
        (False, True, "BackoffLimitExceeded"),
        (False, True, "BackoffLimitExceeded"),
        (True, False, ""),
    ]
    assert all(job.finished >= job.created for job in jobs)
    fetch = failed_pods(client)
    for asked in (jobs[:1], jobs[:2]):
        found = reasons(asked, await fetch(asked))
        assert found == {job.uid: "UnexpectedAdmissionError" if job.key == refused else "" for job in asked}

    assert await Actions(client, SystemClock()).execute(DeleteJob(refused, jobs[0].uid, Reason.BROKER_FAILED, "")) == Done(None)

    async def gone() -> bool:
        return not await _pods(admin, refused)

    await eventually(gone, seconds=30, what="the pods of a deleted job to go")
    assert len(await _pods(admin, failed)) == 1

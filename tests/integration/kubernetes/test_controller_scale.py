"""Many Instances at once on a real API server: what the controller asks of it, at its first start and at its next one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from akri.clock import SystemClock
from akri.controller.controller import Controller
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from tests.cluster.admin import MERGE_PATCH, Admin, Manifest
from tests.cluster.api_server import ApiServer
from tests.cluster.processes import eventually
from tests.cluster.proxy import FaultyProxy
from tests.integration.kubernetes.controlling import POD, connected, installed_token

_INSTANCES = 200
_AT_ONCE = 16
_KIND: Manifest = {"apiVersion": "akri.sh/v0", "kind": "Configuration"}


async def _ready_node(admin: Admin) -> None:
    await admin.ensure("Node", "node-a")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": now,
        "lastHeartbeatTime": now,
        "reason": "KubeletReady",
        "message": "",
    }
    await admin.request("PATCH", "/api/v1/nodes/node-a/status", {"status": {"conditions": [ready]}}, content_type=MERGE_PATCH)


async def _instances(admin: Admin) -> None:
    spec: Manifest = {"discoveryHandler": {"name": "debugEcho"}, "brokerSpec": {"brokerPodSpec": dict(POD)}}
    owner = await admin.create({**_KIND, "metadata": {"name": "cam", "namespace": "default"}, "spec": spec})
    reference = {**_KIND, "name": "cam", "uid": owner["metadata"]["uid"], "controller": True}
    few = asyncio.Semaphore(_AT_ONCE)

    async def make(digest: str) -> None:
        name = f"cam-{digest}"
        fields: Manifest = {"configurationName": "cam", "cdiName": f"akri.sh/cam={digest}", "capacity": 1, "shared": False}
        annotations = {"akri.sh/configuration-generation": "1", "akri.sh/device-id": digest}
        metadata = {"name": name, "namespace": "default", "ownerReferences": [reference], "annotations": annotations}
        contents = {"nodes": ["node-a"], "deviceUsage": {f"{name}-0": ""}, "brokerProperties": {}}
        async with few:
            await admin.create({"apiVersion": "akri.sh/v0", "kind": "Instance", "metadata": metadata, "spec": {**fields, **contents}})

    await asyncio.gather(*(make(f"{number:06x}") for number in range(_INSTANCES)))


@asynccontextmanager
async def _controller(client: ApiClient) -> AsyncGenerator[None]:
    platform = KubernetesClusterPlatform(client, SystemClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Controller(platform, SystemClock()).run())
        yield
        running.cancel()
    await platform.close()


@pytest.mark.timeout(180)
async def test_c3_many_instances_cost_one_request_each_and_none_when_all_is_there(fresh_api_server: ApiServer) -> None:
    server = fresh_api_server
    token = await installed_token(server)
    async with server.admin() as admin, FaultyProxy(server.url, server.ca_file) as proxy, connected(server, token, proxy.url) as client:
        await admin.ensure("ServiceAccount", "default", "default")
        await _ready_node(admin)
        await _instances(admin)

        async def asked() -> bool:
            return proxy.requests["create", "pods"] >= _INSTANCES

        async with _controller(client):
            await eventually(asked, seconds=120, what="a broker for each Instance")
            await asyncio.sleep(2)
        assert proxy.requests["create", "pods"] == _INSTANCES
        assert len(await admin.list("/api/v1/namespaces/default/pods")) == _INSTANCES
        # Events need the uid of what they are about, and are limited.
        assert proxy.requests["get", "instances"] <= proxy.requests["create", "events"] < _INSTANCES
        assert proxy.requests["get", "pods"] == 0

        proxy.requests.clear()
        async with _controller(client):
            await asyncio.sleep(6)
        written = Counter({asked: count for asked, count in proxy.requests.items() if asked[0] not in {"list", "watch"}})
        assert written.total() <= 1, written  # the status, which stays as it is
        assert proxy.requests.total() < 100

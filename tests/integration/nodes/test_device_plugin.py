"""An agent on this machine serves the real kubelet of a node, over the node's folders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.wire import DeviceIds
from akri.platforms.local.clock import SystemClock
from tests.cluster.admin import Admin
from tests.cluster.cluster import Cluster
from tests.cluster.node_pods import logs
from tests.cluster.nodes import Node
from tests.cluster.processes import eventually
from tests.integration.nodes.pods import pods_of, until_ready, until_reported

pytestmark = pytest.mark.timeout(180)

_CAMERA = ResourceName("akri.sh/camera")


async def _allocate(resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
    return ContainerEdits(environment={"CAMERA": f"{resource}: {','.join(sorted(ids))}"})


@asynccontextmanager
async def _agent(node: Node, *ids: str) -> AsyncGenerator[PluginHost]:
    host = PluginHost(node.plugins, _allocate, clock=SystemClock())
    host.offer(_CAMERA, {PluginDeviceId(name): True for name in ids})
    task = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until_allocatable(admin: Admin, node: Node, count: int) -> None:
    async def so() -> bool:
        found = await admin.get(f"/api/v1/nodes/{node.name}")
        return str(found["status"]["allocatable"].get(_CAMERA)) == str(count)

    await eventually(so, seconds=60, what=f"{node.name} to offer {count} of {_CAMERA}")


async def test_pod_gets_the_environment_of_its_device(cluster: Cluster) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, _agent(node, "cam-0", "cam-1"), pods_of(admin) as pods:
        await _until_allocatable(admin, node, 2)
        made = await pods.run(script="echo CAMERA is $CAMERA; sleep 1000", resources={_CAMERA: 2})
        assert made["spec"]["nodeName"] == "node-a", "the scheduler chose the only node that has the devices"

        async def written() -> bool:
            return await logs(admin, made) == "CAMERA is akri.sh/camera: cam-0,cam-1\n"

        await eventually(written, seconds=10, what="the environment to be printed")
        listing = await PodResourcesClient(node.pod_resources_socket, SystemClock()).list()
        users = {device: key.name for device, key in listing.users[_CAMERA].items()}
        assert users == dict.fromkeys(("cam-0", "cam-1"), made["metadata"]["name"])


@pytest.mark.parametrize("how", ["stop", "kill", "reboot"])
async def test_devices_return_after_the_kubelet(cluster: Cluster, how: str) -> None:
    node = cluster.node("node-b")
    async with cluster.admin() as admin, _agent(node, "cam-0") as agent, pods_of(admin) as pods:
        await _until_allocatable(admin, node, 1)
        if how == "reboot":
            await node.reboot()
        else:
            await (node.kubelet.stop() if how == "stop" else node.kubelet.kill())

            async def lost() -> bool:
                return not agent.streaming

            await eventually(lost, seconds=20, what="the stream to end")
            await node.start_kubelet()
        await until_ready(admin, node.name, ready=True)

        async def again() -> bool:
            return _CAMERA in agent.streaming

        await eventually(again, seconds=60, what="the kubelet to watch the devices again")
        await until_reported(admin, node.name)
        await _until_allocatable(admin, node, 1)
        # A pod in the first list that a started kubelet gets may be refused: only after that list does it forget what ended pods held.
        await pods.run(node.name)
        await pods.run(node.name, resources={_CAMERA: 1})

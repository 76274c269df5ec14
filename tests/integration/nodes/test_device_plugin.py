"""An agent on this machine serves the real kubelet of a node, over the node's folders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.wire import DeviceIds
from tests.cluster.admin import Admin
from tests.cluster.cluster import Cluster
from tests.cluster.node_pods import end_pod, logs, reached
from tests.cluster.nodes import Node
from tests.cluster.processes import eventually
from tests.integration.nodes.pods import pods_of, until_ready, until_reported

pytestmark = pytest.mark.timeout(180)

_CAMERA = ResourceName("akri.sh/camera")


async def _allocate(resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
    return ContainerEdits(environment={"CAMERA": f"{resource}: {','.join(sorted(ids))}"})


@asynccontextmanager
async def _agent(node: Node, *ids: str, resource: ResourceName = _CAMERA) -> AsyncGenerator[PluginHost]:
    host = PluginHost(node.plugins, _allocate, clock=SystemClock())
    host.offer(resource, {PluginDeviceId(name): True for name in ids})
    task = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until_allocatable(admin: Admin, node: Node, count: int, resource: ResourceName = _CAMERA) -> None:
    async def so() -> bool:
        found = await admin.get(f"/api/v1/nodes/{node.name}")
        return str(found["status"]["allocatable"].get(resource)) == str(count)

    await eventually(so, seconds=60, what=f"{node.name} to offer {count} of {resource}")


async def _users(node: Node) -> dict[str, str]:
    """Which pod has which camera."""
    listing = await PodResourcesClient(node.pod_resources_socket, SystemClock()).list()
    return {device: key.name for device, key in listing.users[_CAMERA].items()}


async def _until_watched(agent: PluginHost, resource: ResourceName) -> None:
    async def so() -> bool:
        return resource in agent.streaming

    await eventually(so, seconds=60, what=f"the kubelet to watch {resource}")


async def test_pod_gets_the_environment_of_its_device(cluster: Cluster) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, _agent(node, "cam-0", "cam-1"), pods_of(admin) as pods:
        await _until_allocatable(admin, node, 2)
        made = await pods.run(script="echo CAMERA is $CAMERA; sleep 1000", resources={_CAMERA: 2})
        assert made["spec"]["nodeName"] == "node-a", "the scheduler chose the only node that has the devices"

        async def written() -> bool:
            return await logs(admin, made) == "CAMERA is akri.sh/camera: cam-0,cam-1\n"

        await eventually(written, seconds=30, what="the environment to be printed")
        assert await _users(node) == dict.fromkeys(("cam-0", "cam-1"), made["metadata"]["name"])


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
        await _until_watched(agent, _CAMERA)
        await until_reported(admin, node.name)
        await _until_allocatable(admin, node, 1)
        # A pod in the first list that a started kubelet gets may be refused: only after that list does it forget what ended pods held.
        await pods.run(node.name)
        made = await pods.run(node.name, resources={_CAMERA: 1})
        assert await _users(node) == {"cam-0": made["metadata"]["name"]}


@pytest.mark.parametrize("held", [True, False])
async def test_started_kubelet_refuses_the_first_pods_what_ended_ones_held(cluster: Cluster, held: bool) -> None:
    """A kubelet forgets what ended pods held only once it knows all its pods, and admits its first list of them before that.

    So a device is refused to a pod that was bound while the kubelet was away, though nobody uses it. (kubelet.go: `syncLoopIteration`
    calls `AddSource` after the handler; devicemanager: `UpdateAllocatedDevices` does nothing until then.)
    """
    node, resource = cluster.node("node-a"), ResourceName(f"akri.sh/held-{held}".lower())
    async with cluster.admin() as admin, _agent(node, "cam-0", resource=resource) as agent, pods_of(admin) as pods:
        await _until_allocatable(admin, node, 1, resource)
        if held:
            await end_pod(admin, await pods.run(node.name, resources={resource: 1}))
        await node.stop_kubelet()
        waiting = await pods.add(node.name, resources={resource: 1})
        await node.cut()
        try:
            await node.start_kubelet()
            await _until_watched(agent, resource)
        finally:
            await node.mend()
        found = await reached(admin, waiting, "Running", "Failed")
        assert found["status"]["phase"] == ("Failed" if held else "Running"), found["status"]
        if held:
            assert f"devices unavailable for {resource}. Requested: 1, Available: 0" in found["status"]["message"]
            assert (await pods.run(node.name, resources={resource: 1}))["status"]["phase"] == "Running", "the next pod gets it"

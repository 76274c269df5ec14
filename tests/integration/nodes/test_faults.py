"""Parts of a node fail, alone and together; pods fare as on a real machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cluster.admin import Admin, Manifest
from tests.cluster.cluster import Cluster
from tests.cluster.containers import Container
from tests.cluster.nodes import Node
from tests.cluster.processes import eventually
from tests.integration.nodes.pods import condition, is_ready, pods_of, until_ready

pytestmark = pytest.mark.timeout(240)


def lives(container: Container) -> bool:
    """Whether the very process of a container is still there."""
    return container.pid is not None and Path(f"/proc/{container.pid}").exists()


def container_of(node: Node, made: Manifest) -> Container:
    return node.container("default", made["metadata"]["name"])


async def restarts(admin: Admin, made: Manifest) -> int:
    found = await admin.get(made)
    return sum(int(each["restartCount"]) for each in found["status"]["containerStatuses"])


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_pod_outlives_the_kubelet(cluster: Cluster, how: str) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        made = await pods.run(node.name)
        container = container_of(node, made)
        await (node.kubelet.stop() if how == "stop" else node.kubelet.kill())
        assert not node.kubelet.alive
        assert lives(container)
        await node.start_kubelet()
        await pods.run(node.name)
        assert lives(container)
        assert (await restarts(admin, made), container_of(node, made)) == (0, container)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_pod_outlives_containerd(cluster: Cluster, how: str) -> None:
    node = cluster.node("node-b")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        made = await pods.run(node.name)
        container = container_of(node, made)
        await (node.containerd.stop() if how == "stop" else node.containerd.kill())
        assert lives(container)
        assert container_of(node, made) == container, "asked of nobody, so known while containerd is away"
        await node.start_containerd()
        await until_ready(admin, node.name, ready=True)
        await pods.run(node.name)
        assert (await restarts(admin, made), container_of(node, made)) == (0, container)


async def test_paused_kubelet_starts_no_pod_until_it_goes_on(cluster: Cluster) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        node.kubelet.pause()
        start = asyncio.create_task(pods.run(node.name))
        await asyncio.sleep(3)
        assert not start.done()
        assert node.kubelet.alive
        node.kubelet.resume()
        await start


async def test_node_that_is_cut_off_is_missed_and_returns_with_its_pods(cluster: Cluster) -> None:
    node = cluster.node("node-b")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        made = await pods.run(node.name)
        container = container_of(node, made)
        await node.cut()
        try:
            await until_ready(admin, node.name, ready=False)
            assert await condition(admin, node.name) == "Unknown"
            assert await is_ready(admin, "node-a")
            assert lives(container)
        finally:
            await node.mend()
        await until_ready(admin, node.name, ready=True)
        assert (await restarts(admin, made), container_of(node, made)) == (0, container)


async def test_reboot_ends_all_at_once_and_brings_pods_back(cluster: Cluster) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        stays = await pods.run(node.name, restart="Always")
        ends = await pods.run(node.name)
        former = [container_of(node, stays), container_of(node, ends)]
        boot = (await admin.get(f"/api/v1/nodes/{node.name}"))["status"]["nodeInfo"]["bootID"]
        await node.run("sh", "-c", "echo kept >/var/kept; echo lost >/run/lost")
        await node.power_off()
        assert not any(lives(container) for container in former)
        assert not any(container.pid for container in node.containers())
        assert not any(process.alive for process in (node.machine, node.containerd, node.kubelet))
        await node.reboot()

        async def returned() -> bool:
            return await restarts(admin, stays) == 1 and (await admin.get(stays))["status"]["phase"] == "Running"

        await eventually(returned, seconds=60, what="the pod to run again")
        assert container_of(node, stays).id != former[0].id

        async def ended() -> bool:
            return (await admin.get(ends))["status"]["phase"] in {"Failed", "Succeeded"}

        await eventually(ended, seconds=60, what="the pod that is not restarted to have ended")
        assert (await admin.get(f"/api/v1/nodes/{node.name}"))["status"]["nodeInfo"]["bootID"] != boot
        assert await node.run("cat", "/var/kept") == "kept\n"
        assert not (node.folder / "run" / "lost").exists()


async def test_power_cut_is_noticed_by_the_others_only_by_silence(cluster: Cluster) -> None:
    node = cluster.node("node-b")
    async with cluster.admin() as admin:
        await node.power_off()
        try:
            assert await is_ready(admin, node.name), "nobody has told the API"
            await until_ready(admin, node.name, ready=False)
        finally:
            await node.reboot()
        await until_ready(admin, node.name, ready=True)

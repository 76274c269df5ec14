"""The whole cluster: its parts fail one at a time, and the rest goes on."""

from __future__ import annotations

from functools import partial

import pytest

from tests.cluster.admin import Admin, Manifest
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.processes import eventually


def pod(name: str, node: str | None = None) -> Manifest:
    """A pod that does nothing for long, on this node, or wherever the scheduler puts it."""
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "1000"]}
    specification = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification | ({"nodeName": node} if node else {})}


async def in_phase(admin: Admin, name: str, phase: str) -> bool:
    found = await admin.find(f"/api/v1/namespaces/default/pods/{name}")
    return found is not None and found["status"].get("phase") == phase


async def is_ready(admin: Admin, node: str) -> bool:
    conditions = (await admin.get(f"/api/v1/nodes/{node}"))["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def runs_a_pod(cluster: Cluster, name: str, node: str | None = None) -> str:
    """Wait until a pod of this name runs, and delete it; the node that it ran on."""
    async with cluster.admin() as admin:
        await admin.create(pod(name, node))
        await eventually(partial(in_phase, admin, name, "Running"), seconds=30, what=f"pod {name} to run")
        ran = await admin.get(f"/api/v1/namespaces/default/pods/{name}")
        await admin.delete(pod(name), grace=0)
        return str(ran["spec"]["nodeName"])


async def test_scheduler_places_a_pod(cluster: Cluster) -> None:
    assert await runs_a_pod(cluster, "placed") in {"node-a", "node-b"}


@pytest.mark.parametrize("node", ["node-a", "node-b"])
async def test_each_node_runs_a_pod(cluster: Cluster, node: str) -> None:
    assert await runs_a_pod(cluster, f"on-{node}", node) == node


@pytest.mark.parametrize("name", ["kube-scheduler", "kube-controller-manager"])
async def test_killed_part_of_the_control_plane_comes_back(cluster: Cluster, name: str) -> None:
    await cluster.part(name).kill()
    assert not cluster.part(name).alive
    await cluster.api_server.start_part(name)
    assert await runs_a_pod(cluster, f"after-{name}") in {"node-a", "node-b"}


@pytest.mark.parametrize("name", ["kubelet", "containerd"])
async def test_killed_part_of_a_node_comes_back(cluster: Cluster, name: str) -> None:
    async with cluster.admin() as admin:
        await admin.create(pod(f"through-{name}", "node-a"))
        await eventually(partial(in_phase, admin, f"through-{name}", "Running"), seconds=30, what="the pod to run")
        await cluster.part(f"node-a/{name}").kill()
        cluster.part(f"node-a/{name}").start()
        assert await runs_a_pod(cluster, f"after-{name}", "node-a") == "node-a"
        found = await admin.get(f"/api/v1/namespaces/default/pods/through-{name}")
        assert found["status"]["containerStatuses"][0]["restartCount"] == 0
        await admin.delete(pod(f"through-{name}"), grace=0)


@pytest.mark.timeout(200)
async def test_node_that_is_cut_off_is_missed_and_returns(fresh_cluster: Cluster) -> None:
    async with fresh_cluster.admin() as admin:
        await fresh_cluster.node("node-b").cut()

        async def missed() -> bool:
            return not await is_ready(admin, "node-b")

        await eventually(missed, seconds=90, what="node-b to be missed")
        assert await is_ready(admin, "node-a")
        await fresh_cluster.node("node-b").mend()
    await fresh_cluster.ready(["node-b"])


@pytest.mark.timeout(120)
async def test_rebooted_node_returns(fresh_cluster: Cluster) -> None:
    async with fresh_cluster.admin() as admin:
        before = (await admin.get("/api/v1/nodes/node-b"))["status"]["nodeInfo"]["bootID"]
        await fresh_cluster.node("node-b").reboot()

        async def booted_anew() -> bool:
            return bool((await admin.get("/api/v1/nodes/node-b"))["status"]["nodeInfo"]["bootID"] != before)

        await eventually(booted_anew, seconds=60, what="node-b to report another boot")
    await fresh_cluster.ready()
    assert await runs_a_pod(fresh_cluster, "after-reboot", "node-b") == "node-b"


@pytest.mark.timeout(120)
async def test_whole_control_plane_comes_back_after_a_kill(fresh_cluster: Cluster) -> None:
    for name in ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"):
        await fresh_cluster.part(name).kill()
    await fresh_cluster.start()
    assert await runs_a_pod(fresh_cluster, "after-all") in {"node-a", "node-b"}

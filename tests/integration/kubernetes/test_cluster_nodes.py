"""Nodes that fall silent and come back, as the controller sees them, and brokers that had ended before."""

from __future__ import annotations

import asyncio
import time

import pytest

from akri.clock import SystemClock
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import Json, JsonObject, OwnerReference
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.ports import Done, Put, Reset
from akri.scheduling.model import BrokerPod, CreatePod, NodeState, Phase
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.processes import eventually
from tests.integration.kubernetes.controlling import LABELS, connected, installed_token, instance_in

B = NodeName("node-b")
_SECONDS = 60.0


class _View:
    """The last that the watches told."""

    def __init__(self, platform: KubernetesClusterPlatform) -> None:
        self.nodes: dict[NodeName, NodeState] = {}
        self.pods: dict[ObjectKey, BrokerPod] = {}
        self._platform = platform

    async def follow_nodes(self) -> None:
        async for event in self._platform.watch_nodes():
            match event:
                case Reset(nodes):
                    self.nodes = {node.name: node for node in nodes}
                case Put(node):
                    self.nodes[node.name] = node
                case _:
                    pass

    async def follow_pods(self) -> None:
        async for event in self._platform.watch_broker_pods():
            match event:
                case Reset(pods):
                    self.pods = {pod.key: pod for pod in pods}
                case Put(pod):
                    self.pods[pod.key] = pod
                case _:
                    pass

    async def until_node(self, *, ready: bool) -> NodeState:
        async def arrived() -> bool:
            return B in self.nodes and self.nodes[B].ready is ready

        await eventually(arrived, seconds=_SECONDS, what=f"node {B} to be {'ready' if ready else 'missed'}")
        return self.nodes[B]

    async def until_failed(self, key: ObjectKey) -> BrokerPod:
        async def arrived() -> bool:
            return key in self.pods and self.pods[key].phase is Phase.FAILED

        await eventually(arrived, seconds=_SECONDS, what=f"pod {key} to fail")
        return self.pods[key]


def _spec(cpu: str) -> JsonObject:
    container: dict[str, Json] = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", "exit 3"]}
    container["resources"] = {"requests": {"cpu": cpu}}
    return {"containers": [container], "nodeName": B, "restartPolicy": "Never", "automountServiceAccountToken": False}


@pytest.mark.timeout(240)
async def test_a_kubelet_that_stops_is_missed_and_finds_what_had_ended_as_it_was(cluster: Cluster) -> None:
    token = await installed_token(cluster.api_server)
    kubelet = cluster.node(B).kubelet
    async with cluster.admin() as admin, connected(cluster.api_server, token) as client:
        key, uid = await instance_in(admin, f"test-{time.time_ns():x}")
        platform = KubernetesClusterPlatform(client, SystemClock())
        view = _View(platform)
        owner = OwnerReference("akri.sh/v0", "Instance", key.name, uid, controller=True)
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(view.follow_nodes()), tasks.create_task(view.follow_pods())]
            ready = await view.until_node(ready=True)
            assert ready.since <= time.time()
            ends: list[BrokerPod] = []
            for name, cpu in (("failed", "1m"), ("refused", "1000")):
                action = CreatePod(ObjectKey(key.namespace, name), key, B, owner, LABELS, {}, _spec(cpu))
                assert await platform.execute(action) == Done(None)
                ends.append(await view.until_failed(action.key))

            stopped = time.time()
            await kubelet.stop()
            missed = await view.until_node(ready=False)
            assert stopped - 1 <= missed.since <= time.time()

            kubelet.start()
            back = await view.until_node(ready=True)
            assert missed.since <= back.since <= time.time()
            await asyncio.sleep(3)
            assert [view.pods[pod.key] for pod in ends] == ends
            assert [(pod.reason, pod.started > 0) for pod in ends] == [("Error", True), ("OutOfcpu", False)]
            for task in following:
                task.cancel()
        await cluster.ready()
        await admin.delete(f"/api/v1/namespaces/{key.namespace}")

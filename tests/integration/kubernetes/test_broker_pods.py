"""Broker pods on real kubelets, as the controller's watch shows them: how each can wait, run, end and be refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from attrs import define, evolve, field

from akri.clock import SystemClock
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import Json, JsonObject, OwnerReference
from akri.core.reports import Reason
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.ports import Done, Gone, Put, Reset
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerPod, CreatePod, DeletePod, Phase
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.node_pods import STAY
from tests.cluster.processes import eventually
from tests.integration.kubernetes.controlling import LABELS, connected, installed_token, instance_in

A, B = NodeName("node-a"), NodeName("node-b")
_SECONDS = 60.0


def _container(script: str, cpu: str = "1m", name: str = "main") -> JsonObject:
    requests: JsonObject = {"cpu": cpu}
    return {
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", script],
        "resources": {"requests": requests},
    }


def _spec(script: str, node: NodeName = A, cpu: str = "1m", **fields: Json) -> JsonObject:
    own: JsonObject = {"key": "metadata.name", "operator": "In", "values": [node]}
    required: JsonObject = {"nodeSelectorTerms": [{"matchFields": [own]}]}
    made: dict[str, Json] = {
        "containers": [_container(script, cpu)],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
    }
    return made | fields


@define(eq=False)
class _Brokers:
    """The pods that were made, and every state in which the watch has shown each of them, None after the last."""

    platform: KubernetesClusterPlatform
    instance: ObjectKey
    owner_uid: str
    began: float = field(factory=time.time)
    shown: dict[str, list[BrokerPod | None]] = field(factory=dict[str, list[BrokerPod | None]])

    async def follow(self) -> None:
        async for event in self.platform.watch_broker_pods():
            match event:
                case Reset(pods):
                    for pod in pods:
                        self._show(pod)
                case Put(pod):
                    self._show(pod)
                case Gone(key) if key.namespace == self.instance.namespace:
                    self.shown[key.name].append(None)
                case _:
                    pass

    def _show(self, pod: BrokerPod) -> None:
        if pod.key.namespace == self.instance.namespace:
            self.shown.setdefault(pod.key.name, []).append(pod)

    async def make(self, name: str, spec: JsonObject) -> None:
        owner = OwnerReference("akri.sh/v0", "Instance", self.instance.name, self.owner_uid, controller=True)
        annotations = {ANNOTATION_ATTEMPT: "2", ANNOTATION_HASH: "abc"}
        key = ObjectKey(self.instance.namespace, name)
        assert await self.platform.execute(CreatePod(key, self.instance, A, owner, LABELS, annotations, spec)) == Done(None)

    def last(self, name: str) -> BrokerPod | None:
        """The last state of life."""
        return next((pod for pod in reversed(self.shown.get(name, ())) if pod is not None), None)

    async def until(self, name: str, phase: Phase) -> BrokerPod:
        async def arrived() -> bool:
            found = self.last(name)
            return found is not None and found.phase is phase

        await eventually(arrived, seconds=_SECONDS, what=f"pod {name} to be {phase.value}; shown: {self.shown.get(name)}")
        found = self.last(name)
        assert found is not None
        assert (found.instance, found.attempt, found.spec_hash) == (self.instance, 2, "abc")
        assert self.began - 2 < found.created <= time.time()
        return found


@pytest_asyncio.fixture
async def brokers(cluster: Cluster) -> AsyncGenerator[_Brokers]:
    token = await installed_token(cluster.api_server)
    async with cluster.admin() as admin, connected(cluster.api_server, token) as client:
        instance, uid = await instance_in(admin, f"test-{time.time_ns():x}")
        made = _Brokers(KubernetesClusterPlatform(client, SystemClock()), instance, uid)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(made.follow())
            yield made
            following.cancel()
        await admin.delete(f"/api/v1/namespaces/{instance.namespace}")


@pytest.mark.timeout(180)
async def test_brokers_on_real_kubelets(brokers: _Brokers) -> None:
    failing = {"name": "first", **{name: value for name, value in _container("exit 4").items() if name != "name"}}
    await brokers.make("stays", _spec(STAY))
    await brokers.make("succeeds", _spec("sleep 2"))
    await brokers.make("fails", _spec("sleep 2; exit 3", B))
    await brokers.make("never-begins", _spec("true", initContainers=[failing]))
    await brokers.make("restarts", _spec("sleep 1; exit 3", restartPolicy="Always"))
    await brokers.make("too-large", _spec("true", cpu="1000", nodeName=A))
    await brokers.make("elsewhere", _spec("true", A, nodeName=B))
    await brokers.make("waits", _spec("true", cpu="1000"))

    stays = await brokers.until("stays", Phase.RUNNING)
    assert (stays.node, stays.finished, stays.reason) == (A, 0.0, "")
    assert stays.created <= stays.started <= time.time()

    succeeds = await brokers.until("succeeds", Phase.SUCCEEDED)
    assert 2 <= succeeds.finished - succeeds.started <= 10
    assert (succeeds.node, succeeds.reason) == (A, "")

    fails = await brokers.until("fails", Phase.FAILED)
    assert 2 <= fails.finished - fails.started <= 10
    assert (fails.node, fails.reason) == (B, "Error")

    never = await brokers.until("never-begins", Phase.FAILED)
    assert (never.started, never.reason) == (0.0, "Error")
    assert never.created <= never.finished <= time.time()

    for name, reason in (("too-large", "OutOfcpu"), ("elsewhere", "NodeAffinity")):
        refused = await brokers.until(name, Phase.FAILED)
        assert (refused.node, refused.reason, refused.started) == (A, reason, 0.0)
        assert refused.created <= refused.finished <= time.time()

    waits = await brokers.until("waits", Phase.PENDING)
    assert (waits.node, waits.started, waits.finished) == (A, 0.0, 0.0)

    restarts = await brokers.until("restarts", Phase.RUNNING)
    assert restarts.reason == ""

    # What has ended stays as it was shown, so that nothing is decided anew.
    await asyncio.sleep(3)
    assert [brokers.last(pod.key.name) for pod in (succeeds, fails)] == [succeeds, fails]


@pytest.mark.timeout(180)
async def test_a_running_broker_is_deleting_until_its_container_has_ended(brokers: _Brokers) -> None:
    await brokers.make("stays", _spec("trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=3))
    pod = await brokers.until("stays", Phase.RUNNING)

    asked = time.monotonic()
    assert await brokers.platform.execute(DeletePod(pod.key, pod.uid, Reason.BROKER_REMOVED, "")) == Done(None)

    async def gone() -> bool:
        return brokers.shown["stays"][-1] is None

    await eventually(gone, seconds=_SECONDS, what="the pod to go")
    assert time.monotonic() - asked >= 3
    leaving = [each for each in brokers.shown["stays"] if each is not None and each.deleting]
    assert leaving
    assert leaving[0] == evolve(pod, deleting=True)

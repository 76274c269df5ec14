"""The controller itself on a real cluster: brokers and services come, follow what users change, come back after failures, and go.

It speaks through a proxy that counts its requests: where nothing happens, nothing may be written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import pytest
import pytest_asyncio
from attrs import define

from akri.clock import SystemClock
from akri.controller.controller import Controller
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.platforms.kubernetes.observations import broker_pod
from tests.cluster.admin import MERGE_PATCH, Admin, Manifest
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.node_pods import STAY
from tests.cluster.processes import eventually
from tests.cluster.proxy import FaultyProxy
from tests.integration.kubernetes.controlling import connected, installed_token, instance_in

_SECONDS = 60.0
_READING = {"get", "list", "watch"}
_SERVICE: JsonObject = {"ports": [{"name": "rtsp", "port": 554}]}


def _broker(script: str, cpu: str = "1m") -> dict[str, Json]:
    container: dict[str, Json] = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script]}
    container["resources"] = {"requests": {"cpu": cpu}}
    return {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}


@define(eq=False)
class _Scene:
    """A controller at work on a namespace with one Instance, which both nodes see."""

    admin: Admin
    proxy: FaultyProxy
    namespace: str

    @property
    def configuration(self) -> str:
        return f"/apis/akri.sh/v0/namespaces/{self.namespace}/configurations/cam"

    async def all(self, kind: str) -> Sequence[Manifest]:
        """All objects of a kind of the core, as far as Akri made them."""
        return await self.admin.list(f"/api/v1/namespaces/{self.namespace}/{kind}", parameters={"labelSelector": "controller=akri.sh"})

    async def edit(self, **spec: object) -> None:
        await self.admin.patch(self.configuration, {"spec": spec}, content_type=MERGE_PATCH)

    async def pods(self, what: str, check: Callable[[Mapping[str, Manifest]], bool]) -> Mapping[str, Manifest]:
        """Wait until the broker pods, by the node that they are for, are as wanted."""
        found: dict[str, Manifest] = {}

        async def arrived() -> bool:
            found.clear()
            found.update({pod["metadata"]["labels"]["akri.sh/target-node"]: pod for pod in await self.all("pods")})
            return check(found)

        try:
            await eventually(arrived, seconds=_SECONDS, what=what)
        except TimeoutError:
            pytest.fail(f"no {what}: { {node: pod['status'] for node, pod in found.items()} }")
        return dict(found)

    def writes(self) -> int:
        return sum(count for (verb, _), count in self.proxy.requests.items() if verb not in _READING)


@pytest_asyncio.fixture
async def scene(cluster: Cluster) -> AsyncGenerator[_Scene]:
    namespace, server = f"test-{time.time_ns():x}", cluster.api_server
    token = await installed_token(server)
    async with (
        cluster.admin() as admin,
        FaultyProxy(server.url, server.ca_file) as proxy,
        connected(server, token, proxy.url) as client,
    ):
        await instance_in(admin, namespace)
        platform = KubernetesClusterPlatform(client, SystemClock())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(Controller(platform, SystemClock()).run())
            yield _Scene(admin, proxy, namespace)
            running.cancel()
        await platform.close()
        await _remove(admin, f"/api/v1/namespaces/{namespace}")


async def _remove(admin: Admin, namespace: str) -> None:
    """The next controller would see what is left of it."""
    await admin.delete(namespace)

    async def gone() -> bool:
        return await admin.find(namespace) is None

    await eventually(gone, seconds=_SECONDS, what="the namespace to go")


def _running(pods: Mapping[str, Manifest]) -> bool:
    return sorted(pods) == ["node-a", "node-b"] and all(pod["status"]["phase"] == "Running" for pod in pods.values())


def _attempt(pod: Manifest) -> str:
    return str(pod["metadata"]["annotations"]["akri.sh/attempt"])


def _uids(pods: Mapping[str, Manifest]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods.values()}


@pytest.mark.timeout(300)
async def test_the_controller_brings_brokers_and_services_and_then_rests(scene: _Scene) -> None:
    await scene.edit(
        brokerSpec={"brokerPodSpec": _broker(STAY)}, instanceServiceSpec=_SERVICE, configurationServiceSpec={**_SERVICE, "type": "NodePort"}
    )
    former = await scene.pods("running brokers on both nodes", _running)

    async def told() -> bool:
        status = (await scene.admin.get(scene.configuration)).get("status", {})
        return len(await scene.all("services")) == 2 and status.get("brokersReady") == 2

    await eventually(told, seconds=_SECONDS, what="services, and a status that counts two brokers")

    async def rests() -> bool:
        before = scene.writes()
        await asyncio.sleep(6)
        return scene.writes() == before

    await eventually(rests, seconds=_SECONDS, what="six seconds without a write")

    await scene.edit(configurationServiceSpec={"type": "ClusterIP"})

    async def changed() -> bool:
        services = {service["metadata"]["name"]: service["spec"]["type"] for service in await scene.all("services")}
        return services == {"cam-svc": "ClusterIP", "cam-8120fe-svc": "ClusterIP"}

    await eventually(changed, seconds=_SECONDS, what="the service to be what the user wants now")
    assert _uids(await scene.pods("brokers that were left alone", _running)) == _uids(former)

    await scene.edit(brokerSpec={"brokerPodSpec": _broker(f": changed; {STAY}")})
    replaced = await scene.pods("brokers of the new spec", lambda pods: _running(pods) and not _uids(pods) & _uids(former))
    assert {_attempt(pod) for pod in replaced.values()} == {"0"}

    await scene.admin.delete(scene.configuration)

    async def gone() -> bool:
        return not (await scene.all("pods") or await scene.all("services"))

    await eventually(gone, seconds=_SECONDS, what="brokers and services to go with their Configuration")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("spec", "reason"),
    [(_broker("exit 3"), "Error"), (_broker(STAY, cpu="1000") | {"nodeName": "node-a"}, "OutOfcpu")],
    ids=["failed", "refused"],
)
async def test_c1_a_broker_that_ends_at_once_comes_again_after_the_back_off(scene: _Scene, spec: JsonObject, reason: str) -> None:
    await scene.edit(capacity=1, brokerSpec={"brokerPodSpec": spec})
    [first] = (await scene.pods("failed broker", lambda pods: [pod["status"]["phase"] for pod in pods.values()] == ["Failed"])).values()
    made = scene.proxy.requests["create", "pods"]

    [again] = (await scene.pods("second attempt", lambda pods: [_attempt(pod) for pod in pods.values()] == ["1"])).values()

    former, successor = broker_pod(first), broker_pod(again)
    assert former is not None
    assert successor is not None
    assert former.reason == reason
    assert successor.created - former.finished >= 9  # ten, between two times in whole seconds
    assert (made, scene.proxy.requests["create", "pods"]) == (1, 2)
    await scene.pods("failed successor", lambda pods: [pod["status"]["phase"] for pod in pods.values()] == ["Failed"])
    assert again["metadata"]["labels"]["akri.sh/target-node"] == "node-a"

    async def told() -> bool:
        events = await scene.admin.list(f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events")
        return any(event["reason"] == "BrokerFailed" and reason in event["note"] for event in events)

    await eventually(told, seconds=_SECONDS, what=f"an event BrokerFailed that names {reason}")

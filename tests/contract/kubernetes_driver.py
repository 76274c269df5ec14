"""A real API server as the contract suite drives it, once as it is and once behind a bad network.

Agents and controller speak with their own tokens, so RBAC and admission policies are in force; users, kubelets and the job
controller are played with all rights. Time is real.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

from attrs import evolve

from akri.clock import SystemClock
from akri.core.codec import print_configuration, print_instance
from akri.core.configuration import Configuration
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes import decoding
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from akri.ports import ClusterPlatform, ConfigurationObservation, NodePlatform
from tests.cluster.admin import Admin, Manifest
from tests.cluster.proxy import FaultyProxy
from tests.cluster.proxy_faults import Answer, AtRandom, Chance, CutWatch, Delay, DropAnswer, DropRequest, ExpireWatch, HoldWatch
from tests.contract import kubernetes_cleaning, kubernetes_kubelet
from tests.contract.asking_again import AskingCluster, AskingNode
from tests.contract.driver import A, B, C
from tests.contract.kubernetes_reading_rights import ReadingRights
from tests.contract.kubernetes_server import ContractServer

__all__ = ["KubernetesDriver", "faulty_kubernetes", "kubernetes"]

_OURS = "/apis/akri.sh/v0"
_SETTLING = 0.15


class KubernetesDriver:
    """The server, through a proxy that does nothing but cut where it is told to."""

    def __init__(self, admin: Admin, proxy: FaultyProxy, nodes: Mapping[NodeName, ApiClient], controller: ApiClient) -> None:
        self.clock = SystemClock()
        self.admin = admin
        self.proxy = proxy
        self._rights = ReadingRights(admin)
        self._nodes = {name: KubernetesNodePlatform(client, name, self.clock) for name, client in nodes.items()}
        self._cluster = KubernetesClusterPlatform(controller, self.clock)

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()
        await self._cluster.close()

    def node(self, name: NodeName) -> NodePlatform:
        return self._nodes[name]

    def cluster(self) -> ClusterPlatform:
        return self._cluster

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        await asyncio.sleep(_SETTLING)

    async def cut(self) -> None:
        self.proxy.cut_connections()
        await self.settle()

    async def apply(self, configuration: Configuration) -> ConfigurationObservation:
        path = f"{_OURS}/namespaces/{configuration.key.namespace}/configurations"
        return decoding.configuration(await self._store(path, print_configuration(configuration)))

    async def delete_configuration(self, key: ObjectKey) -> None:
        await self.admin.delete(f"{_OURS}/namespaces/{key.namespace}/configurations/{key.name}")

    async def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        found = await self.admin.find(f"{_OURS}/namespaces/{key.namespace}/configurations/{key.name}")
        return None if found is None else decoding.configuration(found)

    async def put_instance(self, instance: Instance) -> Instance:
        path = f"{_OURS}/namespaces/{instance.key.namespace}/instances"
        bare = evolve(instance, metadata=evolve(instance.metadata, uid="", revision=0, created=0.0))
        return decoding.instance(await self._store(path, print_instance(bare)))

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        await kubernetes_kubelet.set_ready(self.admin, name, ready=ready)

    async def remove_node(self, name: NodeName) -> None:
        await self.admin.delete(kubernetes_kubelet.node_path(name))

    async def create_user_pod(self, key: ObjectKey, node: NodeName, resource: ResourceName, count: int) -> None:
        await self.admin.create(kubernetes_kubelet.user_pod(key, node, resource, count))
        await self.run_pod(key)

    async def run_pod(self, key: ObjectKey) -> None:
        await kubernetes_kubelet.run_pod(self.admin, key)

    async def end_pod(self, key: ObjectKey, *, succeeded: bool, reason: str = "") -> None:
        await kubernetes_kubelet.end_pod(self.admin, key, succeeded=succeeded, reason=reason)

    async def delete_pod(self, key: ObjectKey, *, force: bool) -> None:
        await kubernetes_kubelet.delete_pod(self.admin, key, force=force)

    async def finish_pod(self, key: ObjectKey) -> None:
        await self.end_pod(key, succeeded=True)
        await self.delete_pod(key, force=True)

    async def complete_job(self, key: ObjectKey, *, succeeded: bool) -> None:
        await kubernetes_kubelet.complete_job(self.admin, key, succeeded=succeeded)

    async def put_secret(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        await self._put_data(key, "secrets", {"apiVersion": "v1", "kind": "Secret", "data": _encoded(data)})

    async def put_config_map(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        await self._put_data(key, "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": _encoded(data)})

    async def permit(self, key: ObjectKey) -> None:
        await self._rights.permit(key)

    async def forbid(self, key: ObjectKey) -> None:
        await self._rights.forbid(key)

    async def _put_data(self, key: ObjectKey, plural: str, content: Manifest) -> None:
        await self._store(f"/api/v1/namespaces/{key.namespace}/{plural}", {**content, "metadata": {"name": key.name}})
        await self._rights.permit(key)

    async def _store(self, collection: str, document: JsonObject) -> Manifest:
        """Create an object, or put it in the place of the one that is there."""
        wanted: dict[str, Any] = dict(document)
        path = f"{collection}/{wanted['metadata']['name']}"
        found = await self.admin.find(path)
        if found is None:
            return await self.admin.request("POST", collection, wanted)
        identity = {name: found["metadata"][name] for name in ("uid", "resourceVersion")}
        return await self.admin.request("PUT", path, {**wanted, "metadata": {**wanted["metadata"], **identity}})


class _FaultyKubernetesDriver(KubernetesDriver):
    """The same for users that ask again wherever the network leaves them without an answer, as agents and the controller do."""

    def node(self, name: NodeName) -> NodePlatform:
        return AskingNode(super().node(name), name)

    def cluster(self) -> ClusterPlatform:
        return AskingCluster(super().cluster())


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in data.items()}


def _delay(random: Random) -> Delay:
    return Delay(0.05 * random.random(), 0.05 * random.random())


_BAD_NETWORK = (
    Chance(0.15, lambda random: CutWatch(after=random.randrange(4), in_line=random.random() < 0.5), verb="watch"),
    Chance(0.1, lambda random: HoldWatch(after=random.randrange(4), seconds=0.4), verb="watch"),
    Chance(0.05, lambda random: ExpireWatch(after=random.randrange(4)), verb="watch"),
    Chance(0.2, _delay),
    Chance(0.02, DropRequest()),
    Chance(0.02, DropAnswer()),
    Chance(0.01, DropAnswer(half=True)),
    Chance(0.02, Answer(429, retry_after=0)),
    Chance(0.02, Answer(503, retry_after=0)),
    Chance(0.01, Answer(500)),
    Chance(0.01, Answer(500, took_effect=True)),
    Chance(0.01, Answer(504, took_effect=True)),
)


@asynccontextmanager
async def kubernetes(server: ContractServer, _seed: int = 0) -> AsyncGenerator[KubernetesDriver]:
    """The server as it is."""
    async with _driving(server, KubernetesDriver, None) as driver:
        yield driver


@asynccontextmanager
async def faulty_kubernetes(server: ContractServer, seed: int) -> AsyncGenerator[KubernetesDriver]:
    """The server behind a bad network."""
    async with _driving(server, _FaultyKubernetesDriver, AtRandom(seed, _BAD_NETWORK)) as driver:
        yield driver


@asynccontextmanager
async def _driving(
    server: ContractServer,
    make: Callable[[Admin, FaultyProxy, Mapping[NodeName, ApiClient], ApiClient], KubernetesDriver],
    faults: AtRandom | None,
) -> AsyncGenerator[KubernetesDriver]:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(server.server.admin())
        nodes = await kubernetes_cleaning.clean(admin, (A, B, C))
        proxy = await stack.enter_async_context(FaultyProxy(server.server.url, server.server.ca_file, faults))

        async def client(token: str) -> ApiClient:
            return await stack.enter_async_context(ApiClient(Connection(proxy.url, token=lambda: token), clock))

        clients = {name: await client(await server.agent_token(admin, node)) for name, node in nodes.items()}
        driver = make(admin, proxy, clients, await client(await server.controller_token(admin)))
        stack.push_async_callback(driver.close)
        yield driver

"""The local platform as the contract suite drives it, and the one in memory: once as it is and once behind a bad network."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from attrs import evolve

from akri.core.configuration import Configuration
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.platforms.local.store import LocalStore
from akri.ports import ClusterPlatform, ConfigurationObservation, NodePlatform
from akri.scheduling.model import Phase
from akri.testing.clock import VirtualClock
from akri.testing.faults import AtRandom, Fault, FaultyClusterPlatform, FaultyNodePlatform
from akri.testing.streams import Cut, Hold
from tests.contract.driver import A, B, C, Driver

__all__ = ["LocalDriver", "disturbed_memory", "memory"]

_BAD_NETWORK: Mapping[Fault, float] = {Hold(0.5): 0.2, Hold(0.1): 0.2, Cut(0.3): 0.1}


class LocalDriver:
    """A local store as it is."""

    def __init__(self, clock: VirtualClock, store: LocalStore) -> None:
        self.clock = clock
        self.store = store

    async def with_nodes(self) -> Self:
        for node in (A, B, C):
            await self.store.register_node(node)
        return self

    def node(self, name: NodeName) -> NodePlatform:
        return self.store.node(name)

    def cluster(self) -> ClusterPlatform:
        return self.store.cluster()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def settle(self) -> None:
        await self.clock.settle()

    async def cut(self) -> None:
        """Nothing in memory can be cut."""

    async def apply(self, configuration: Configuration) -> ConfigurationObservation:
        return await self.store.apply(configuration)

    async def delete_configuration(self, key: ObjectKey) -> None:
        await self.store.delete(key)

    async def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        await self.store.catch_up()
        return self.store.configuration(key)

    async def put_instance(self, instance: Instance) -> Instance:
        return await self.store.put_instance(instance)

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        await self.store.set_node_ready(name, ready=ready)

    async def remove_node(self, name: NodeName) -> None:
        await self.store.remove_node(name)

    async def create_user_pod(self, key: ObjectKey, node: NodeName, resource: ResourceName, count: int) -> None:
        await self.store.create_pod(key, {"containers": [{"name": "main", "resources": {"limits": {resource: count}}}]}, node=node)
        await self.run_pod(key)

    async def run_pod(self, key: ObjectKey) -> None:
        now = self.clock.wall()
        await self.store.change_pod(await self._pod(key), lambda pod: evolve(pod, bound=True, phase=Phase.RUNNING, started=now))

    async def end_pod(self, key: ObjectKey, *, succeeded: bool, reason: str = "") -> None:
        phase, now = Phase.SUCCEEDED if succeeded else Phase.FAILED, self.clock.wall()
        await self.store.change_pod(await self._pod(key), lambda pod: evolve(pod, phase=phase, reason=reason, finished=now))

    async def delete_pod(self, key: ObjectKey, *, force: bool) -> None:
        await self.store.delete_pod(key, force=force)

    async def finish_pod(self, key: ObjectKey) -> None:
        await self.end_pod(key, succeeded=True)
        await self.store.remove_pod(await self._pod(key))

    async def complete_job(self, key: ObjectKey, *, succeeded: bool) -> None:
        await self.store.catch_up()
        [job] = [job for job in self.store.jobs if job.metadata.key == key]
        now = self.clock.wall()
        await self.store.change_job(job, lambda job: evolve(job, complete=succeeded, failed=not succeeded, finished=now))

    async def put_secret(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        await self.store.put_secret(key, data)

    async def put_config_map(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        await self.store.put_config_map(key, data)

    async def permit(self, key: ObjectKey) -> None:
        """Whatever is not forbidden is permitted."""

    async def forbid(self, key: ObjectKey) -> None:
        await self.store.forbid(key)

    async def _pod(self, key: ObjectKey) -> Pod:
        await self.store.catch_up()
        pod = self.store.pod(key)
        assert pod is not None, key
        return pod


class _DisturbedDriver(LocalDriver):
    """A store behind watches that are cut and whose events overtake each other: the contract must hold all the same."""

    def __init__(self, clock: VirtualClock, store: LocalStore) -> None:
        super().__init__(clock, store)
        self._schedule = AtRandom(self.clock, _BAD_NETWORK, frozenset({"watch"}))
        self._nodes: list[FaultyNodePlatform] = []
        self._clusters: list[FaultyClusterPlatform] = []

    def node(self, name: NodeName) -> NodePlatform:
        platform = FaultyNodePlatform(self.store.node(name), self._schedule, self.clock)
        self._nodes.append(platform)
        return platform

    def cluster(self) -> ClusterPlatform:
        platform = FaultyClusterPlatform(self.store.cluster(), self._schedule, self.clock)
        self._clusters.append(platform)
        return platform

    async def settle(self) -> None:
        """What is held comes within two seconds; no watch has to say that it is alive by then."""
        await self.clock.advance(2.0)

    async def cut(self) -> None:
        for platform in (*self._nodes, *self._clusters):
            platform.cut_watches(0.1)
        await self.settle()


@asynccontextmanager
async def memory() -> AsyncGenerator[Driver]:
    """The store in memory as it is."""
    clock = VirtualClock()
    yield await LocalDriver(clock, MemoryStore(clock)).with_nodes()


@asynccontextmanager
async def disturbed_memory() -> AsyncGenerator[Driver]:
    """The store in memory behind a bad network."""
    clock = VirtualClock()
    yield await _DisturbedDriver(clock, MemoryStore(clock)).with_nodes()

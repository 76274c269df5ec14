"""The local platform as the agent of one node sees it: each method hands its question to a decision in `writes`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial

from akri.core.errors import NotPermittedError
from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport, Event
from akri.core.usage import Usage
from akri.platforms import writes
from akri.platforms.local.backend import Backend, outcome, watched
from akri.platforms.local.data import DataKind
from akri.platforms.local.objects import pod_observation
from akri.platforms.local.tables import Tables
from akri.ports import ConfigurationObservation, Outcome, WatchEvent

__all__ = ["LocalNode"]


class LocalNode:
    """The NodePlatform port over whatever stores the state."""

    def __init__(self, backend: Backend, name: NodeName) -> None:
        """Speak for this node."""
        self._backend = backend
        self._name = name

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        return watched(self._backend, self._backend.shown.configurations, lambda configuration: configuration)

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        return watched(self._backend, self._backend.shown.instances, lambda instance: instance)

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        """Watch the pods assigned to this node."""
        return watched(self._backend, self._backend.shown.pods, lambda pod: pod_observation(pod, self._name))

    async def read_instance(self, key: ObjectKey) -> Instance | None:
        """Read the present state."""
        await self._backend.catch_up()
        entry = self._backend.shown.instances.get(key)
        return None if entry is None else entry.value

    async def create(self, instance: Instance) -> Outcome:
        """Create the complete object."""
        return await self._write(instance.key, partial(writes.create, instance=instance, me=self._name))

    async def join(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Add the node at the end of `nodes`."""
        return await self._write(key, partial(writes.join, uid=uid, node=node, me=self._name))

    async def leave(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Remove the node from `nodes`; the Instance goes with the last one."""
        return await self._write(key, partial(writes.leave, uid=uid, node=node, me=self._name))

    async def update(self, instance: Instance) -> Outcome:
        """Write what the reporter writes."""
        return await self._write(instance.key, partial(writes.update, instance=instance, me=self._name))

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        """Atomically take a free slot."""
        return await self._write(key, partial(writes.claim, slot=slot, usage=usage, me=self._name))

    async def release(self, instance: Instance, slot: SlotId, usage: Usage) -> Outcome:
        """Free the slot if nothing changed since `instance` was read."""
        return await self._write(instance.key, partial(writes.release, instance=instance, slot=slot, usage=usage, me=self._name))

    async def fence(self, key: ObjectKey) -> Outcome:
        """Change the Instance's revision."""

        def step(tables: Tables) -> Outcome:
            value = f"{self._name}-{tables.identities.revision()}"
            return tables.change_instance(key, partial(writes.fence, value=value, me=self._name))

        return await outcome(self._backend, step)

    async def fetch_secret(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a Secret's data."""
        return await self._backend.data.fetch(DataKind.SECRET, key)

    async def fetch_config_map(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a ConfigMap's data."""
        return await self._backend.data.fetch(DataKind.CONFIG_MAP, key)

    def watch_secret(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a Secret's data."""
        return self._backend.data.follow(DataKind.SECRET, key)

    def watch_config_map(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a ConfigMap's data."""
        return self._backend.data.follow(DataKind.CONFIG_MAP, key)

    async def publish_report(self, report: DiscoveryReport) -> None:
        """Store this node's report. Raises NotPermittedError for that of another node."""
        if report.node != self._name:
            message = f"node {self._name} must not write the report of node {report.node} on {report.configuration}"
            raise NotPermittedError(message)
        await self._backend.change(lambda tables: tables.put_report(report))

    async def emit(self, event: Event) -> None:
        """Keep the event in the log."""
        self._backend.keep(event, self._name)

    async def _write(self, key: ObjectKey, decide: writes.Decide) -> Outcome:
        return await outcome(self._backend, lambda tables: tables.change_instance(key, decide))

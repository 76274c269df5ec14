"""The local platform with its state in memory: for one process and any number of nodes in it. It is gone with the process.

`node` and `cluster` give agents and the controller their ports; the rest is for users, for the runner of a node's
brokers, and for tests that want to look inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from akri.core.errors import InvalidValueError
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event
from akri.platforms.local.cluster import LocalCluster
from akri.platforms.local.node import LocalNode
from akri.platforms.local.objects import UNASSIGNED, Job, Node, Pod, Service
from akri.platforms.local.tables import Tables
from akri.ports import Clock, ClusterPlatform, ConfigurationObservation, NodePlatform, WatchEvent

__all__ = ["MemoryStore"]


class MemoryStore:
    """A local platform in memory. What changes something is asynchronous and lets other tasks run first, as a server would."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty; the clock gives times of creation and paces the watches."""
        self._tables = Tables(clock)

    def node(self, name: NodeName) -> NodePlatform:
        """Return the platform as the agent of this node sees it. `register_node` is a matter of its own."""
        return LocalNode(self._tables, name)

    def cluster(self) -> ClusterPlatform:
        """Return the platform as the controller sees it."""
        return LocalCluster(self._tables)

    async def apply(self, configuration: ConfigurationObservation) -> ConfigurationObservation:
        """Store a Configuration in place of one of its name, and return it as stored.

        Of its metadata only key, labels, annotations and finalizers count. The generation grows if the spec changed.
        """
        await asyncio.sleep(0)
        return self._tables.apply(configuration)

    async def delete(self, key: ObjectKey) -> bool:
        """Delete a Configuration with all that belongs to it; False if there is none.

        One with finalizers is only marked as deleting; it goes when the last of them is removed.
        """
        await asyncio.sleep(0)
        return self._tables.delete_configuration(key)

    async def put_instance(self, instance: Instance) -> Instance:
        """Store an Instance as it stands, under no rules: as a user with a text editor does, or an agent of upstream."""
        await asyncio.sleep(0)
        return self._tables.put_instance(instance)

    async def put_secret(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a Secret."""
        await asyncio.sleep(0)
        self._tables.secrets[key] = dict(data)
        self._tables.data_changed()

    async def delete_secret(self, key: ObjectKey) -> bool:
        """Delete a Secret; False if there is none."""
        await asyncio.sleep(0)
        self._tables.data_changed()
        return self._tables.secrets.pop(key, None) is not None

    async def put_config_map(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a ConfigMap."""
        await asyncio.sleep(0)
        self._tables.config_maps[key] = dict(data)
        self._tables.data_changed()

    async def delete_config_map(self, key: ObjectKey) -> bool:
        """Delete a ConfigMap; False if there is none."""
        await asyncio.sleep(0)
        self._tables.data_changed()
        return self._tables.config_maps.pop(key, None) is not None

    async def forbid(self, key: ObjectKey) -> None:
        """Let nobody read the Secret and the ConfigMap of this key."""
        await asyncio.sleep(0)
        self._tables.forbidden.add(key)
        self._tables.data_changed()

    async def register_node(self, name: NodeName) -> None:
        """Make a node known and ready; pods that waited for one are assigned."""
        await self.set_node_ready(name, ready=True)

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        """Say whether a node is ready. Raises InvalidValueError for an empty name."""
        await asyncio.sleep(0)
        if not name:
            place = "node name"
            raise InvalidValueError(place, name, "a name that is not empty")
        self._tables.set_node_ready(name, ready=ready)

    async def remove_node(self, name: NodeName) -> None:
        """Forget a node, and the pods that were assigned to it."""
        await asyncio.sleep(0)
        self._tables.remove_node(name)

    async def create_pod(
        self,
        key: ObjectKey,
        spec: JsonObject,
        *,
        node: NodeName = UNASSIGNED,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        owner: OwnerReference | None = None,
        instance: ObjectKey | None = None,
    ) -> Pod:
        """Create a pod from a Kubernetes PodSpec; for users, who leave out owner and instance, and for jobs.

        node, or `spec.nodeName`: it is bound to this node at once, whether it fits there or not, as on Kubernetes. Left
        out, it goes to the first ready node that sees the Instances it asks for, and is bound once it fits there.
        Raises InvalidValueError if there is a pod of this name.
        """
        await asyncio.sleep(0)
        metadata = ObjectMeta(key, labels=labels or {}, annotations=annotations or {}, owners=(owner,) if owner else ())
        named = spec.get("nodeName")
        bound_to = node or (NodeName(named) if isinstance(named, str) else UNASSIGNED)
        wanted = Pod(metadata, spec, node=bound_to, bound=bool(bound_to), instance=instance)
        pod = self._tables.workloads.create_pod(wanted)
        if pod is None:
            place = "metadata.name"
            raise InvalidValueError(place, str(key), "a name that no other pod has")
        self._tables.collect_if_orphan(key.namespace, metadata.owners)
        return pod

    async def delete_pod(self, key: ObjectKey, *, force: bool = False, grace: float | None = None) -> bool:
        """Ask for a pod's end; False if there is none.

        grace: seconds until it is killed, at most those of its spec. force: it is removed at once, while its processes
        may live on for a moment; so it is with Kubernetes.
        """
        await asyncio.sleep(0)
        pod = self.pod(key)
        if pod is not None:
            self._tables.workloads.delete_pod(key, pod.metadata.uid, 0 if force else grace)
        return pod is not None

    async def change_pod(self, pod: Pod, change: Callable[[Pod], Pod]) -> Pod | None:
        """Change what is reported about this very pod (phase, reason, times); None if it is gone. For the node's runner."""
        await asyncio.sleep(0)
        return self._tables.workloads.pods.change(pod.metadata.key, pod.metadata.uid, change)

    async def remove_pod(self, pod: Pod) -> None:
        """Remove this very pod, all of whose processes have ended. For the node's runner."""
        await asyncio.sleep(0)
        self._tables.workloads.pods.drop(pod.metadata.key, pod.metadata.uid)

    async def change_job(self, job: Job, change: Callable[[Job], Job]) -> Job | None:
        """Change what is reported about this very job; None if it is gone. For the runner of jobs."""
        await asyncio.sleep(0)
        return self._tables.workloads.jobs.change(job.metadata.key, job.metadata.uid, change)

    def watch_pods(self, node: NodeName | None = None) -> AsyncIterator[WatchEvent[Pod]]:
        """Watch the pods of one node, or of all."""
        return self._tables.workloads.pods.watch(lambda pod: pod if node in {None, pod.node} else None)

    def watch_jobs(self) -> AsyncIterator[WatchEvent[Job]]:
        """Watch the jobs."""
        return self._tables.workloads.jobs.watch(lambda job: job)

    def emit(self, event: Event) -> None:
        """Keep an event in the log."""
        self._tables.events.add(event)

    def follow_events(self) -> AsyncIterator[Event]:
        """Give the events that are kept, then each new one."""
        return self._tables.events.follow()

    @property
    def events(self) -> tuple[Event, ...]:
        """The last 1,000 events, oldest first."""
        return self._tables.events.events

    def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        """Read a Configuration."""
        return self._tables.configuration(key)

    def status(self, key: ObjectKey) -> ConfigurationStatus | None:
        """Read a Configuration's status; None while it has none."""
        stored = self._tables.configuration(key)
        return None if stored is None else self._tables.statuses.get(stored.metadata.uid)

    def instance(self, key: ObjectKey) -> Instance | None:
        """Read an Instance."""
        return self._tables.instance(key)

    def pod(self, key: ObjectKey) -> Pod | None:
        """Read a pod."""
        entry = self._tables.workloads.pods.get(key)
        return None if entry is None else entry.value

    @property
    def configurations(self) -> tuple[ConfigurationObservation, ...]:
        """All Configurations."""
        return tuple(entry.value for entry in self._tables.configurations.entries())

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All Instances."""
        return tuple(entry.value for entry in self._tables.instances.entries())

    @property
    def reports(self) -> tuple[DiscoveryReport, ...]:
        """All discovery reports."""
        return tuple(entry.value for entry in self._tables.reports.entries())

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that registered."""
        return tuple(entry.value for entry in self._tables.nodes.entries())

    @property
    def pods(self) -> tuple[Pod, ...]:
        """All pods."""
        return tuple(entry.value for entry in self._tables.workloads.pods.entries())

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs."""
        return tuple(entry.value for entry in self._tables.workloads.jobs.entries())

    @property
    def services(self) -> tuple[Service, ...]:
        """All services."""
        return tuple(entry.value for entry in self._tables.workloads.services.entries())

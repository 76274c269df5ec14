"""A local platform: what users, the runner of a node's brokers and tests do with it, whatever stores its state.

`node` and `cluster` give agents and the controller their ports. What reads at once (without `await`) shows what this process
knows: its own changes once their call returned, those of other processes within 50 ms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from akri.core.errors import InvalidValueError
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event, PastEvent
from akri.platforms.local.backend import NO_NODE, Backend, watched
from akri.platforms.local.cluster import LocalCluster
from akri.platforms.local.data import DataKind
from akri.platforms.local.node import LocalNode
from akri.platforms.local.objects import UNASSIGNED, Job, Node, Pod, Service
from akri.platforms.local.tables import Tables
from akri.ports import ClusterPlatform, ConfigurationObservation, NodePlatform, WatchEvent

__all__ = ["LocalStore"]


class LocalStore:
    """A local platform over a back end. Everything asynchronous raises OutcomeUnknownError where the state cannot be stored."""

    def __init__(self, backend: Backend) -> None:
        """Work with this back end."""
        self._backend = backend
        self._shown = backend.shown

    def node(self, name: NodeName) -> NodePlatform:
        """Return the platform as the agent of this node sees it. `register_node` is a matter of its own."""
        return LocalNode(self._backend, name)

    def cluster(self) -> ClusterPlatform:
        """Return the platform as the controller sees it."""
        return LocalCluster(self._backend)

    async def catch_up(self) -> None:
        """Let what reads at once show everything that any process had stored before this call."""
        await self._backend.catch_up()

    async def apply(self, configuration: ConfigurationObservation) -> ConfigurationObservation:
        """Store a Configuration in place of one of its name, and return it as stored.

        Of its metadata only key, labels, annotations and finalizers count. The generation grows if the spec changed.
        """
        return await self._backend.change(lambda tables: tables.apply(configuration), durable=True)

    async def delete(self, key: ObjectKey) -> bool:
        """Delete a Configuration with all that belongs to it; False if there is none.

        One with finalizers is only marked as deleting; it goes when the last of them is removed.
        """
        return await self._backend.change(lambda tables: tables.delete_configuration(key), durable=True)

    async def put_instance(self, instance: Instance) -> Instance:
        """Store an Instance as it stands, under no rules: as a user with a text editor does, or an agent of upstream."""
        return await self._backend.change(lambda tables: tables.put_instance(instance))

    async def put_secret(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a Secret."""
        await self._backend.data.put(DataKind.SECRET, key, data)

    async def delete_secret(self, key: ObjectKey) -> bool:
        """Delete a Secret; False if there is none."""
        return await self._backend.data.delete(DataKind.SECRET, key)

    async def put_config_map(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a ConfigMap."""
        await self._backend.data.put(DataKind.CONFIG_MAP, key, data)

    async def delete_config_map(self, key: ObjectKey) -> bool:
        """Delete a ConfigMap; False if there is none."""
        return await self._backend.data.delete(DataKind.CONFIG_MAP, key)

    async def forbid(self, key: ObjectKey) -> None:
        """Let nobody read the Secret and the ConfigMap of this key."""
        await self._backend.data.forbid(key)

    async def register_node(self, name: NodeName) -> None:
        """Make a node known and ready; pods that waited for one are assigned."""
        await self.set_node_ready(name, ready=True)

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        """Say whether a node is ready. Raises InvalidValueError for an empty name."""
        if not name:
            place = "node name"
            raise InvalidValueError(place, name, "a name that is not empty")
        await self._backend.change(lambda tables: tables.set_node_ready(name, ready=ready))

    async def remove_node(self, name: NodeName) -> None:
        """Forget a node, and the pods that were assigned to it."""
        await self._backend.change(lambda tables: tables.remove_node(name))

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
        metadata = ObjectMeta(key, labels=labels or {}, annotations=annotations or {}, owners=(owner,) if owner else ())
        named = spec.get("nodeName")
        bound_to = node or (NodeName(named) if isinstance(named, str) else UNASSIGNED)
        wanted = Pod(metadata, spec, node=bound_to, bound=bool(bound_to), instance=instance)

        def step(tables: Tables) -> Pod | None:
            made = tables.workloads.create_pod(wanted)
            tables.collect_if_orphan(key.namespace, metadata.owners)
            return made

        pod = await self._backend.change(step)
        if pod is None:
            place = "metadata.name"
            raise InvalidValueError(place, str(key), "a name that no other pod has")
        return pod

    async def delete_pod(self, key: ObjectKey, *, force: bool = False, grace: float | None = None) -> bool:
        """Ask for a pod's end; False if there is none.

        grace: seconds until it is killed, at most those of its spec. force: it is removed at once, while its processes
        may live on for a moment; so it is with Kubernetes.
        """

        def step(tables: Tables) -> bool:
            entry = tables.workloads.pods.get(key)
            if entry is not None:
                tables.workloads.delete_pod(key, entry.uid, 0 if force else grace)
            return entry is not None

        return await self._backend.change(step)

    async def change_pod(self, pod: Pod, change: Callable[[Pod], Pod]) -> Pod | None:
        """Change what is reported about this very pod (phase, reason, times); None if it is gone. For the node's runner.

        `change` may run in another thread, so it makes one value of another and does nothing else.
        """
        return await self._backend.change(lambda tables: tables.workloads.pods.change(pod.metadata.key, pod.metadata.uid, change))

    async def remove_pod(self, pod: Pod) -> None:
        """Remove this very pod, all of whose processes have ended. For the node's runner."""
        await self._backend.change(lambda tables: tables.workloads.pods.drop(pod.metadata.key, pod.metadata.uid))

    async def change_job(self, job: Job, change: Callable[[Job], Job]) -> Job | None:
        """Change what is reported about this very job; None if it is gone. For the runner of jobs. As `change_pod`."""
        return await self._backend.change(lambda tables: tables.workloads.jobs.change(job.metadata.key, job.metadata.uid, change))

    def watch_pods(self, node: NodeName | None = None) -> AsyncIterator[WatchEvent[Pod]]:
        """Watch the pods of one node, or of all."""
        return watched(self._backend, self._backend.shown.pods, lambda pod: pod if node in {None, pod.node} else None)

    def watch_jobs(self) -> AsyncIterator[WatchEvent[Job]]:
        """Watch the jobs."""
        return watched(self._backend, self._backend.shown.jobs, lambda job: job)

    def emit(self, event: Event, node: NodeName = NO_NODE) -> None:
        """Keep an event in the log; `node`: whose agent tells it."""
        self._backend.keep(event, node)

    async def follow_events(self) -> AsyncIterator[Event]:
        """Give the events that are kept, then each new one."""
        async for past in self._shown.events.follow():
            yield past.event

    def follow_past_events(self) -> AsyncIterator[PastEvent]:
        """Give the events that are kept with their times, then each new one."""
        return self._shown.events.follow()

    @property
    def events(self) -> tuple[Event, ...]:
        """The last 1,000 events, oldest first."""
        return tuple(past.event for past in self._shown.events.events)

    @property
    def past_events(self) -> tuple[PastEvent, ...]:
        """The last 1,000 events with their times, oldest first."""
        return self._shown.events.events

    def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        """Read a Configuration."""
        entry = self._shown.configurations.get(key)
        return None if entry is None else entry.value

    def status(self, key: ObjectKey) -> ConfigurationStatus | None:
        """Read a Configuration's status; None while it has none."""
        entry = self._shown.statuses.get(key)
        return None if entry is None else entry.value

    def instance(self, key: ObjectKey) -> Instance | None:
        """Read an Instance."""
        entry = self._shown.instances.get(key)
        return None if entry is None else entry.value

    def pod(self, key: ObjectKey) -> Pod | None:
        """Read a pod."""
        entry = self._shown.pods.get(key)
        return None if entry is None else entry.value

    @property
    def configurations(self) -> tuple[ConfigurationObservation, ...]:
        """All Configurations."""
        return tuple(entry.value for entry in self._shown.configurations.entries())

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All Instances."""
        return tuple(entry.value for entry in self._shown.instances.entries())

    @property
    def reports(self) -> tuple[DiscoveryReport, ...]:
        """All discovery reports."""
        return tuple(entry.value for entry in self._shown.reports.entries())

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that registered."""
        return tuple(entry.value for entry in self._shown.nodes.entries())

    @property
    def pods(self) -> tuple[Pod, ...]:
        """All pods."""
        return tuple(entry.value for entry in self._shown.pods.entries())

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs."""
        return tuple(entry.value for entry in self._shown.jobs.entries())

    @property
    def services(self) -> tuple[Service, ...]:
        """All services."""
        return tuple(entry.value for entry in self._shown.services.entries())

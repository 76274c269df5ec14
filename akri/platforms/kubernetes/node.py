"""A Kubernetes cluster as the agent of one node sees it. It speaks with that node's token, so the admission policies hold it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Final

from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport
from akri.core.usage import Usage
from akri.platforms import writes
from akri.platforms.kubernetes import patches, reports, secrets
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.instances import AGENT, InstanceWrites
from akri.platforms.kubernetes.patches import Request
from akri.platforms.kubernetes.platform import KubernetesPlatform
from akri.platforms.kubernetes.pod_observations import pod_observation
from akri.platforms.kubernetes.resources import PODS
from akri.platforms.kubernetes.watching import watch_objects
from akri.ports import Clock, Done, Outcome, WatchEvent

__all__ = ["KubernetesNodePlatform"]

_REPORTER: Final = "akri.sh/agent"
_RANDOM: Final = 2**32


class KubernetesNodePlatform(KubernetesPlatform):
    """The NodePlatform port over an API server."""

    def __init__(self, client: ApiClient, node: NodeName, clock: Clock) -> None:
        """Speak for this node, through a client that is open and logged in as its agent."""
        super().__init__(client, clock, _REPORTER, node)
        self._node = node
        self._instances = InstanceWrites(client, clock)

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        """Watch the pods that a scheduler, or a user, bound to this node."""
        return watch_objects(self._client, PODS, pod_observation, self._clock, field_selector=f"spec.nodeName={self._node}")

    async def read_instance(self, key: ObjectKey) -> Instance | None:
        """Read the present state. Raises OutcomeUnknownError."""
        return await self._instances.read(key)

    async def create(self, instance: Instance) -> Outcome:
        """Create the complete object; under our admission policies with this node alone."""
        request = patches.create(instance)
        decide = partial(writes.create, instance=instance, me=self._node)
        return await self._instances.carry_out(instance.key, decide, lambda _stored, _wanted: request, request)

    async def join(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Add the node at the end of `nodes`."""
        request = patches.join(uid, node)
        decide = partial(writes.join, uid=uid, node=node, me=self._node)
        return await self._instances.carry_out(key, decide, lambda _stored, _wanted: request, request)

    async def leave(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Remove the node from `nodes`, and the Instance where the answer shows that it was the last one."""
        decide = partial(writes.leave, uid=uid, node=node, me=self._node)
        while True:
            outcome = await self._instances.carry_out(key, decide, lambda stored, _wanted: patches.leave(stored, node))
            match outcome:
                case Done(Instance(nodes=()) as left) if not left.metadata.deleting:
                    continue
                case _:
                    return outcome

    async def update(self, instance: Instance) -> Outcome:
        """Write what the reporter writes, by one patch of what differs."""
        decide = partial(writes.update, instance=instance, me=self._node)
        return await self._instances.carry_out(instance.key, decide, lambda stored, wanted: patches.update(stored, wanted, self._node))

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        """Atomically take a free slot: nothing is read before the one patch, which nearly always does it."""

        def plan(stored: Instance, _wanted: Instance) -> Request:
            return patches.claim(slot, usage) if str(slot) in stored.device_usage else patches.claim_missing_key(stored, slot, usage)

        decide = partial(writes.claim, slot=slot, usage=usage, me=self._node)
        return await self._instances.carry_out(key, decide, plan, patches.claim(slot, usage))

    async def release(self, instance: Instance, slot: SlotId, usage: Usage) -> Outcome:
        """Free the slot if nothing changed since `instance` was read."""
        request = patches.release(instance, slot, usage)
        decide = partial(writes.release, instance=instance, slot=slot, usage=usage, me=self._node)
        return await self._instances.carry_out(instance.key, decide, lambda _stored, _wanted: request, request)

    async def fence(self, key: ObjectKey) -> Outcome:
        """Change the Instance's revision."""
        value = f"{self._node}-{self._clock.wall():.6f}-{int(self._clock.random() * _RANDOM):08x}"
        request = patches.fence(value)
        decide = partial(writes.fence, value=value, me=self._node)
        return await self._instances.carry_out(key, decide, lambda _stored, _wanted: request, request)

    async def fetch_secret(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a Secret's data. Raises NotPermittedError, OutcomeUnknownError."""
        return await secrets.fetch_secret(self._client, key)

    async def fetch_config_map(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a ConfigMap's data. Raises NotPermittedError, OutcomeUnknownError."""
        return await secrets.fetch_config_map(self._client, key)

    def watch_secret(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a Secret's data: at once where the operator granted `watch` of it, else every 10 s."""
        return secrets.watch_secret(self._client, key, self._clock)

    def watch_config_map(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a ConfigMap's data: at once where the operator granted `watch` of it, else every 10 s."""
        return secrets.watch_config_map(self._client, key, self._clock)

    async def publish_report(self, report: DiscoveryReport) -> None:
        """Store this node's report. Raises NotPermittedError for that of another node, OutcomeUnknownError."""
        await reports.publish_report(self._client, report, AGENT)

"""How the kubelet chooses and keeps devices, as values and pure functions: kubelet 1.36, device manager, without NUMA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import DeviceUnavailableError
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin.wire import DeviceIds, ListedContainer, ListedPod, PreferredQuery

__all__ = [
    "STOP_GRACE",
    "Allocation",
    "Choice",
    "ContainerRequest",
    "Ledger",
    "PodRequest",
    "ResourceState",
    "TokenBucket",
    "choose",
    "complete",
    "list_pods",
    "merge_edits",
    "reusable_after",
]

STOP_GRACE: Final = 300.0
"""Seconds after the end of a plugin's stream until its resource counts as capacity 0."""


def _counts(value: Mapping[ResourceName, int]) -> Mapping[ResourceName, int]:
    return MappingProxyType(dict(value))


def _health(value: Mapping[PluginDeviceId, bool]) -> Mapping[PluginDeviceId, bool]:
    return MappingProxyType(dict(value))


@frozen
class ContainerRequest:
    """A container and how many devices of each resource it asks for; `sidecar` marks a restartable init container."""

    name: str
    resources: Mapping[ResourceName, int] = field(factory=dict[ResourceName, int], converter=_counts, hash=False)
    sidecar: bool = False


@frozen
class PodRequest:
    """A pod, as far as its devices are concerned."""

    key: ObjectKey
    uid: str
    containers: tuple[ContainerRequest, ...] = ()
    init_containers: tuple[ContainerRequest, ...] = ()

    @property
    def in_order(self) -> tuple[ContainerRequest, ...]:
        """All containers in the order in which devices are allocated."""
        return self.init_containers + self.containers


@frozen
class ResourceState:
    """What a plugin last said: the whole device list, true for healthy. stopped_at: when its stream ended, None while it is open."""

    devices: Mapping[PluginDeviceId, bool] = field(factory=dict[PluginDeviceId, bool], converter=_health, hash=False)
    stopped_at: float | None = None

    @cached_property
    def allocatable(self) -> int:
        """How many devices are healthy, in use or not; counted once, for it is looked at whenever any resource changes."""
        return sum(self.devices.values())

    @property
    def healthy(self) -> frozenset[PluginDeviceId]:
        """The devices that can be allocated."""
        return frozenset(device for device, healthy in self.devices.items() if healthy)

    def stopped(self, now: float) -> ResourceState:
        """The plugin's stream ended: every device is unhealthy."""
        return ResourceState(dict.fromkeys(self.devices, False), now)

    def capacity(self, now: float) -> int:
        """How many devices there are; 0 once the plugin is away for longer than the grace."""
        expired = self.stopped_at is not None and now - self.stopped_at > STOP_GRACE
        return 0 if expired else len(self.devices)


@frozen
class Allocation:
    """Devices of one resource that a container has, and what the plugin answered for them."""

    uid: str
    container: str
    resource: ResourceName
    ids: DeviceIds
    edits: ContainerEdits


@frozen
class Ledger:
    """All allocations of a node, in the order in which they were made."""

    allocations: tuple[Allocation, ...] = ()

    def add(self, allocation: Allocation) -> Ledger:
        """Keep one more allocation."""
        return evolve(self, allocations=(*self.allocations, allocation))

    def keep(self, uids: AbstractSet[str]) -> Ledger:
        """Drop what belongs to other pods than these; the same ledger if nothing does."""
        kept = tuple(allocation for allocation in self.allocations if allocation.uid in uids)
        return self if len(kept) == len(self.allocations) else Ledger(kept)

    def of(self, uid: str, container: str) -> tuple[Allocation, ...]:
        """List the allocations of one container."""
        return tuple(a for a in self.allocations if a.uid == uid and a.container == container)

    def in_use(self, resource: ResourceName) -> frozenset[PluginDeviceId]:
        """List the devices of a resource that some container has."""
        return frozenset(device for a in self.allocations if a.resource == resource for device in a.ids)


@frozen
class Choice:
    """Devices taken already, and what to ask the plugin about the rest; no query when nothing is missing."""

    taken: DeviceIds
    query: PreferredQuery | None = None


def choose(
    resource: ResourceName,
    state: ResourceState,
    *,
    count: int,
    present: AbstractSet[PluginDeviceId],
    reusable: AbstractSet[PluginDeviceId],
    in_use: AbstractSet[PluginDeviceId],
) -> Choice:
    """Begin to choose `count` devices for a container that has `present` already.

    Devices that an earlier init container of the pod had (`reusable`) come first. Raises DeviceUnavailableError with the
    kubelet's text.
    """
    healthy = state.healthy
    if not healthy:
        raise DeviceUnavailableError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
    if not healthy >= present:
        raise DeviceUnavailableError(f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {resource}")
    if present:
        if len(present) != count:
            raise DeviceUnavailableError(f"the request for resource {resource!r} changed from {len(present)} to {count}")
        return Choice(())
    taken = tuple(sorted(reusable)[:count])
    missing = count - len(taken)
    if not missing:
        return Choice(taken)
    available = healthy - in_use
    if len(available) < missing:
        raise DeviceUnavailableError(
            f"requested number of devices unavailable for {resource}. Requested: {missing}, Available: {len(available)}"
        )
    return Choice(taken, PreferredQuery(tuple(sorted(available | set(taken))), taken, count))


def complete(choice: Choice, preferred: Iterable[PluginDeviceId], draw: Sequence[float]) -> DeviceIds:
    """Fill a choice up: what the plugin prefers, as far as it may be had, then any. `draw`: a random number per available device."""
    if choice.query is None:
        return choice.taken
    available = [device for device in choice.query.available if device not in choice.taken]
    wanted = [device for device in dict.fromkeys(preferred) if device in available]
    rest = [device for _, device in sorted(zip(draw, available, strict=False)) if device not in wanted]
    return (choice.taken + tuple(wanted) + tuple(rest))[: choice.query.size]


def reusable_after(reusable: frozenset[PluginDeviceId], ids: Iterable[PluginDeviceId], *, passed_on: bool) -> frozenset[PluginDeviceId]:
    """Say which devices later containers of the pod may take again: an init container passes its devices on, others keep them."""
    return reusable | frozenset(ids) if passed_on else reusable - frozenset(ids)


def merge_edits(parts: Iterable[ContainerEdits]) -> ContainerEdits:
    """Put several resources' edits together: of equal names or container paths the first one counts."""
    environment: dict[str, str] = {}
    mounts: dict[str, Mount] = {}
    nodes: dict[str, DeviceNode] = {}
    for part in parts:
        environment = {**part.environment, **environment}
        mounts = {**{mount.container_path: mount for mount in part.mounts}, **mounts}
        nodes = {**{node.container_path: node for node in part.device_nodes}, **nodes}
    return ContainerEdits(environment, tuple(mounts.values()), tuple(nodes.values()))


def list_pods(pods: Iterable[PodRequest], ledger: Ledger) -> tuple[ListedPod, ...]:
    """Answer a PodResources List: active pods, with their sidecars and main containers; init containers are never listed."""
    devices: dict[tuple[str, str], list[tuple[ResourceName, PluginDeviceId]]] = {}
    for allocation in ledger.allocations:
        found = devices.setdefault((allocation.uid, allocation.container), [])
        found.extend((allocation.resource, device) for device in allocation.ids)
    return tuple(
        ListedPod(
            pod.key,
            tuple(
                ListedContainer(container.name, tuple(devices.get((pod.uid, container.name), ())))
                for container in (*(init for init in pod.init_containers if init.sidecar), *pod.containers)
            ),
        )
        for pod in pods
    )


@frozen
class TokenBucket:
    """A rate limit: `burst` calls at once, `rate` calls per second after that. Times are seconds of one clock."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> tuple[TokenBucket, bool]:
        """Ask for one call: the bucket after it, and whether the call may be made."""
        tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        allowed = tokens >= 1
        return evolve(self, tokens=tokens - 1 if allowed else tokens, at=now), allowed

"""Whether everything has come to rest as it should: every device with its broker, every held slot with a pod that lives. Pure.

A broker may wait for a slot: while it was away, its device is the least used one, and pods that ask for any device of the Configuration
may take all of its slots and keep them, though other devices have some left. A scheduler of Kubernetes lets it wait just so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from attrs import field, frozen

from akri.core.ids import ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.naming import environment_suffix, resource_name
from akri.core.usage import Free, HeldByConfiguration, HeldByNode, parse_usage
from akri.platforms.local.objects import Node, Pod
from akri.platforms.pod_requests import device_requests
from akri.scheduling.model import Phase
from tests.integration.chaos.history import Device, Life
from tests.integration.chaos.world import NODES, wanted_brokers

__all__ = ["Scene", "device_of", "unsettled", "waiting"]

_Claim: TypeAlias = tuple[str, str, str]
"""Instance, node, and the level of the resource."""


@frozen
class Scene:
    """Everything at one moment. users: pods of users that should run. lives: the last start of each pod. living: processes of brokers."""

    devices: tuple[Device, ...]
    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    pods: tuple[Pod, ...]
    users: frozenset[ObjectKey] = frozenset()
    lives: Mapping[str, Life] = field(factory=dict[str, Life], hash=False)
    living: frozenset[int] = frozenset()


def unsettled(scene: Scene) -> tuple[str, ...]:
    """Say what is not as it should be, in sentences."""
    return (*_nodes(scene), *_devices(scene), *_brokers(scene), *_pods(scene), *_slots(scene))


def waiting(scene: Scene) -> tuple[Pod, ...]:
    """Give the brokers that no node took yet because no slot of their Instances is free. Who holds the slots has to use them, as ever."""
    full = {one.key for one in scene.instances if not any(isinstance(parse_usage(text), Free) for text in one.device_usage.values())}
    return tuple(pod for pod in scene.pods if not pod.bound and pod.phase is Phase.PENDING and pod.instance in full)


def device_of(instance: Instance) -> tuple[str, str, str]:
    """Tell which device an Instance stands for: configuration, id, node."""
    return instance.configuration, instance.device_id or "", instance.device_node or ""


def _nodes(scene: Scene) -> Iterator[str]:
    ready = {node.name for node in scene.nodes if node.ready}
    yield from (f"node {name} is not ready" for name in NODES if name not in ready)


def _devices(scene: Scene) -> Iterator[str]:
    found = Counter(device_of(one) for one in scene.instances)
    wanted = {(one.configuration, one.id, one.node) for one in scene.devices}
    yield from (
        f"device {device} has {found[device]} Instances" for device in sorted(wanted | found.keys()) if found[device] != (device in wanted)
    )
    for one in scene.instances:
        nodes = {one.device_node} if one.device_node else set(NODES)
        if set(one.nodes) != nodes:
            yield f"Instance {one.name} is on nodes {list(one.nodes)}, not on {sorted(nodes)}"


def _brokers(scene: Scene) -> Iterator[str]:
    count = Counter(pod.instance for pod in scene.pods if pod.instance is not None)
    for one in scene.instances:
        if count[one.key] != wanted_brokers(one.configuration):
            yield f"Instance {one.name} has {count[one.key]} brokers, not {wanted_brokers(one.configuration)}"
    present = {pod.metadata.key for pod in scene.pods if pod.instance is None}
    yield from (f"pod {key} is not there" for key in sorted(scene.users - present))


def _pods(scene: Scene) -> Iterator[str]:
    resting = {pod.metadata.uid for pod in waiting(scene)}
    for pod in scene.pods:
        life = scene.lives.get(pod.metadata.uid)
        if pod.metadata.uid in resting:
            continue
        if pod.phase is not Phase.RUNNING or pod.reason or pod.metadata.deleting:
            yield f"pod {pod.metadata.key} on {pod.node} is {pod.phase.value} {pod.reason} {pod.message}".rstrip()
        elif life is None or life.pid not in scene.living:
            yield f"pod {pod.metadata.key} on {pod.node} is said to run, and no process of it does"
    pods = {pod.metadata.uid for pod in scene.pods}
    for uid, life in scene.lives.items():
        if life.pid in scene.living and uid not in pods:
            yield f"process {life.pid} runs for pod {life.name} ({uid}), which is not there"


def _slots(scene: Scene) -> Iterator[str]:
    held, used = Counter(_held(scene.instances)), Counter(_used(scene))
    for claim in sorted(held.keys() | used.keys()):
        if held[claim] != used[claim]:
            name, node, level = claim
            yield f"Instance {name}: node {node} holds {held[claim]} slots through its {level}, and {used[claim]} are in use"


def _held(instances: Iterable[Instance]) -> Iterator[_Claim]:
    for one in instances:
        for text in one.device_usage.values():
            match parse_usage(text):
                case HeldByNode(node):
                    yield one.name, node, "Instance"
                case HeldByConfiguration(_, node):
                    yield one.name, node, "Configuration"
                case Free():
                    pass


def _used(scene: Scene) -> Iterator[_Claim]:
    by_resource = {resource_name(one.name): one for one in scene.instances}
    by_suffix = {(str(one.configuration), environment_suffix(one.name)): one for one in scene.instances}
    for pod in (one for one in scene.pods if one.bound):
        life = scene.lives.get(pod.metadata.uid)
        for resource in device_requests(pod.spec):
            instance = by_resource.get(resource)
            if instance is not None:
                yield instance.name, pod.node, "Instance"
            elif life is not None:
                yield from (
                    (one.name, pod.node, "Configuration")
                    for digest in life.digests
                    for one in [by_suffix.get((_configuration(resource), digest))]
                    if one
                )


def _configuration(resource: ResourceName) -> str:
    return resource.partition("/")[2]

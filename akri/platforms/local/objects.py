"""Pods, jobs, services and nodes as this platform stores them, and what the ports' watches show of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, frozen_json
from akri.core.naming import LABEL_CONTROLLER, LABEL_VALUE_CONTROLLER, resource_name
from akri.platforms.pod_requests import device_requests
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerJob, BrokerPod, BrokerService, NodeState, Phase

__all__ = [
    "UNASSIGNED",
    "Job",
    "Node",
    "Pod",
    "Service",
    "Stored",
    "assigned_node",
    "broker_job",
    "broker_pod",
    "broker_service",
    "node_state",
    "pod_observation",
]

UNASSIGNED: Final = NodeName("")
"""Node of a pod for which no node was found yet."""


@frozen
class Stored:
    """Anything that is stored with metadata."""

    metadata: ObjectMeta


@frozen
class Pod(Stored):
    """A pod; `instance` is the Instance that it serves as a broker, None for a user's.

    node: where it is to run. bound: that node took it, as a scheduler binds a pod once the node has what it asks for;
    until then its agent does not see it. started, finished: seconds since the epoch, 0 where it has not happened. grace:
    seconds between the request to end and the kill.
    """

    spec: JsonObject = field(converter=frozen_json, hash=False)
    node: NodeName = UNASSIGNED
    bound: bool = False
    instance: ObjectKey | None = None
    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    started: float = 0.0
    finished: float = 0.0
    grace: float = 30.0


@frozen
class Job(Stored):
    """A job; `spec` is a Kubernetes JobSpec."""

    spec: JsonObject = field(converter=frozen_json, hash=False)
    instance: ObjectKey
    complete: bool = False
    failed: bool = False
    reason: str = ""
    finished: float = 0.0


@frozen
class Service(Stored):
    """A service; this platform records it and routes nothing. `about`: the Instance or Configuration it belongs to."""

    spec: JsonObject = field(converter=frozen_json, hash=False)
    about: ObjectKey


@frozen
class Node:
    """A node that registered; `since` is when `ready` last changed, seconds since the epoch."""

    name: NodeName
    ready: bool
    since: float


def broker_pod(pod: Pod) -> BrokerPod | None:
    """Show a pod as the controller sees it; None for one that Akri did not make."""
    if pod.instance is None or pod.metadata.labels.get(LABEL_CONTROLLER) != LABEL_VALUE_CONTROLLER:
        return None
    return BrokerPod(
        key=pod.metadata.key,
        uid=pod.metadata.uid,
        instance=pod.instance,
        node=pod.node,
        phase=pod.phase,
        attempt=_attempt(pod.metadata),
        spec_hash=pod.metadata.annotations.get(ANNOTATION_HASH, ""),
        created=pod.metadata.created,
        started=pod.started,
        finished=pod.finished,
        reason=pod.reason,
        deleting=pod.metadata.deleting,
    )


def broker_job(job: Job) -> BrokerJob:
    """Show a job as the controller sees it."""
    return BrokerJob(
        key=job.metadata.key,
        uid=job.metadata.uid,
        instance=job.instance,
        spec_hash=job.metadata.annotations.get(ANNOTATION_HASH, ""),
        attempt=_attempt(job.metadata),
        created=job.metadata.created,
        finished=job.finished,
        complete=job.complete,
        failed=job.failed,
        reason=job.reason,
        deleting=job.metadata.deleting,
    )


def broker_service(service: Service) -> BrokerService:
    """Show a service as the controller sees it."""
    spec_hash = service.metadata.annotations.get(ANNOTATION_HASH, "")
    return BrokerService(service.metadata.key, service.metadata.uid, service.about, spec_hash)


def node_state(node: Node) -> NodeState:
    """Show a node as the controller sees it."""
    return NodeState(node.name, node.ready, node.since)


def pod_observation(pod: Pod, node: NodeName) -> PodObservation | None:
    """Show a pod as the agent of its node sees it; None for a pod that is not bound to it."""
    if pod.node != node or not pod.bound:
        return None
    return PodObservation(pod.metadata.key, pod.metadata.uid, pod.phase.terminal, device_requests(pod.spec))


def assigned_node(namespace: str, spec: JsonObject, nodes: Iterable[Node], instances: Mapping[ObjectKey, Instance]) -> NodeName:
    """Choose a node for a pod that names none: the first ready one that sees every Instance whose resource the pod asks for."""
    asked: set[ResourceName] = set(device_requests(spec))
    wanted = [instance for key, instance in instances.items() if key.namespace == namespace and resource_name(instance.name) in asked]
    names = sorted(node.name for node in nodes if node.ready)
    return next((name for name in names if all(name in instance.nodes for instance in wanted)), UNASSIGNED)


def _attempt(metadata: ObjectMeta) -> int:
    text = metadata.annotations.get(ANNOTATION_ATTEMPT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

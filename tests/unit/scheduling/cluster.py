"""A model of a cluster: it does what actions say and shows what came of it, one change at a time."""

from __future__ import annotations

from attrs import evolve

from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import ANNOTATION_GENERATION, Instance
from akri.core.metadata import ObjectMeta
from akri.core.slots import SlotTable
from akri.core.usage import holder_node
from akri.scheduling.model import (
    ANNOTATION_HASH,
    Action,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    Phase,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)
from akri.scheduling.snapshot import Snapshot
from tests.unit.scheduling.building import job_of, pod_of, service_of

__all__ = ["apply", "settle"]


def apply(cluster: Snapshot, action: Action, now: float, serial: int) -> Snapshot:
    """Do what an action says; `serial` makes uids unique."""
    match action:
        case CreatePod() | DeletePod():
            return _pod(cluster, action, now, serial)
        case CreateJob() | DeleteJob():
            return _job(cluster, action, now, serial)
        case CreateService():
            return cluster.with_services([evolve(service_of(action), uid=f"uid-{serial}")])
        case UpdateService() | DeleteService():
            return _service(cluster, action)
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return _write(cluster, action)
        case DropFinalizers():
            return _drop(cluster, action)


def _pod(cluster: Snapshot, action: CreatePod | DeletePod, now: float, serial: int) -> Snapshot:
    pods = [pod for group in cluster.pods.values() for pod in group]
    if isinstance(action, DeletePod):
        return cluster.with_pods([evolve(pod, deleting=True) for pod in pods if pod.uid == action.uid])
    assert action.key not in {pod.key for pod in pods}, "a name is used twice"
    return cluster.with_pods([evolve(pod_of(action, Phase.PENDING, started=0.0), uid=f"uid-{serial}", created=now)])


def _job(cluster: Snapshot, action: CreateJob | DeleteJob, now: float, serial: int) -> Snapshot:
    jobs = [job for group in cluster.jobs.values() for job in group]
    if isinstance(action, DeleteJob):
        return cluster.with_jobs([evolve(job, deleting=True) for job in jobs if job.uid == action.uid])
    assert action.key not in {job.key for job in jobs}, "a name is used twice"
    return cluster.with_jobs([evolve(job_of(action), uid=f"uid-{serial}", created=now)])


def settle(cluster: Snapshot, now: float) -> Snapshot:
    """Let nodes do their part: what is deleted goes, what waits starts."""
    pods = [pod for group in cluster.pods.values() for pod in group]
    jobs = [job for group in cluster.jobs.values() for job in group]
    started = [evolve(pod, phase=Phase.RUNNING, started=now) for pod in pods if pod.phase is Phase.PENDING and not pod.deleting]
    cluster = cluster.with_pods(started, [pod for pod in pods if pod.deleting])
    return cluster.with_jobs(gone=[job for job in jobs if job.deleting])


def _service(cluster: Snapshot, action: UpdateService | DeleteService) -> Snapshot:
    found = [service for group in cluster.services.values() for service in group if service.uid == action.uid]
    if isinstance(action, DeleteService):
        return cluster.with_services(gone=found)
    return cluster.with_services([evolve(service, spec_hash=action.annotations[ANNOTATION_HASH]) for service in found])


def _write(cluster: Snapshot, action: RemoveNode | RepairUsage | WriteCapacity | DeleteInstance) -> Snapshot:
    stored = cluster.instances[action.instance.key]
    assert stored == action.instance, "a write carries what was observed"
    if isinstance(action, DeleteInstance):
        return cluster.with_instances(gone=[stored.key])
    return cluster.with_instances([_written(stored, action)])


def _written(stored: Instance, action: RemoveNode | RepairUsage | WriteCapacity) -> Instance:
    metadata = evolve(stored.metadata, revision=stored.metadata.revision + 1)
    match action:
        case RemoveNode():
            table = SlotTable.read(stored, NodeName(""))
            held = {f"{stored.name}-{index}" for index, usage in table.usages.items() if holder_node(usage) == action.node}
            usage = {slot: "" if slot in held else text for slot, text in stored.device_usage.items()}
            nodes = tuple(node for node in stored.nodes if node != action.node)
            return evolve(stored, metadata=metadata, nodes=nodes, device_usage=usage)
        case RepairUsage():
            usage = {slot: text for slot, text in stored.device_usage.items() if slot not in action.keys}
            return evolve(stored, metadata=metadata, device_usage=usage)
        case WriteCapacity():
            metadata = evolve(metadata, annotations={ANNOTATION_GENERATION: str(action.generation)})
            return evolve(stored, metadata=metadata, capacity=action.capacity)


def _drop(cluster: Snapshot, action: DropFinalizers) -> Snapshot:
    def without(metadata: ObjectMeta) -> ObjectMeta:
        return evolve(metadata, finalizers=tuple(name for name in metadata.finalizers if name not in action.finalizers))

    key: ObjectKey = action.key
    if action.kind == "Instance":
        return cluster.with_instances([evolve(cluster.instances[key], metadata=without(cluster.instances[key].metadata))])
    return cluster.with_configurations([evolve(cluster.configurations[key], metadata=without(cluster.configurations[key].metadata))])

"""The local platform as the controller sees it: watches of everything, and each Action carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import assert_never

from attrs import evolve

from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event
from akri.platforms import writes
from akri.platforms.local.backend import Backend, outcome, watched
from akri.platforms.local.objects import Job, Pod, Service, broker_job, broker_pod, broker_service, node_state
from akri.platforms.local.tables import Tables
from akri.ports import ConfigurationObservation, Done, Outcome, Refusal, Refused, WatchEvent
from akri.scheduling.model import (
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    NodeState,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)

__all__ = ["LocalCluster"]


class LocalCluster:
    """The ClusterPlatform port over whatever stores the state."""

    def __init__(self, backend: Backend) -> None:
        """Speak for the controller."""
        self._backend = backend

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        return watched(self._backend, self._backend.shown.configurations, lambda configuration: configuration)

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        return watched(self._backend, self._backend.shown.instances, lambda instance: instance)

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        """Watch the pods that Akri made."""
        return watched(self._backend, self._backend.shown.pods, broker_pod)

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        """Watch the jobs that Akri made."""
        return watched(self._backend, self._backend.shown.jobs, broker_job)

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        """Watch the services that Akri made."""
        return watched(self._backend, self._backend.shown.services, broker_service)

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        """Watch the nodes."""
        return watched(self._backend, self._backend.shown.nodes, node_state)

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        """Watch the reports of all nodes."""
        return watched(self._backend, self._backend.shown.reports, lambda report: report)

    async def execute(self, action: Action) -> Outcome:
        """Do what the controller decided."""
        return await outcome(self._backend, partial(_execute, action=action))

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Write a Configuration's status."""
        await self._backend.change(lambda tables: tables.put_status(key, uid, status))

    async def delete_report(self, report: DiscoveryReport) -> None:
        """Delete the report of a lost node."""
        await self._backend.change(lambda tables: tables.delete_report(report))

    async def emit(self, event: Event) -> None:
        """Keep the event in the log."""
        self._backend.keep(event)


def _execute(tables: Tables, action: Action) -> Outcome:
    match action:
        case CreatePod() | DeletePod() | CreateJob() | DeleteJob():
            return _broker(tables, action)
        case CreateService() | UpdateService() | DeleteService():
            return _service(tables, action)
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return _instance(tables, action)
        case DropFinalizers(kind="Instance"):
            return tables.change_instance(action.key, partial(writes.drop_finalizers, finalizers=action.finalizers))
        case DropFinalizers():
            tables.drop_configuration_finalizers(action.key, action.finalizers)
            return Done(None)
    assert_never(action)


def _broker(tables: Tables, action: CreatePod | DeletePod | CreateJob | DeleteJob) -> Outcome:
    workloads = tables.workloads
    match action:
        case CreatePod():
            workloads.create_pod(Pod(_metadata(action), action.spec, node=action.node, instance=action.instance))
            _collect(tables, action)
        case DeletePod():
            workloads.delete_pod(action.key, action.uid)
        case CreateJob():
            workloads.jobs.add(Job(_metadata(action), action.spec, action.instance))
            _collect(tables, action)
        case DeleteJob():
            workloads.delete_job(action.key, action.uid)
    return Done(None)


def _service(tables: Tables, action: CreateService | UpdateService | DeleteService) -> Outcome:
    services = tables.workloads.services
    match action:
        case CreateService():
            services.add(Service(_metadata(action), action.spec, action.about))
            _collect(tables, action)
        case UpdateService():
            if services.change(action.key, action.uid, partial(_updated, action=action)) is None:
                return Refused(Refusal.MISSING, f"there is no Service {action.key} with uid {action.uid!r}")
        case DeleteService():
            services.drop(action.key, action.uid)
    return Done(None)


def _instance(tables: Tables, action: RemoveNode | RepairUsage | WriteCapacity | DeleteInstance) -> Outcome:
    carried = action.instance
    decide: writes.Decide
    match action:
        case RemoveNode():
            decide = partial(writes.remove_node, carried=carried, node=action.node)
        case RepairUsage():
            decide = partial(writes.repair_usage, carried=carried, keys=action.keys)
        case WriteCapacity():
            decide = partial(writes.write_capacity, carried=carried, capacity=action.capacity, generation=action.generation)
        case DeleteInstance():
            decide = partial(writes.delete_instance, carried=carried)
    return tables.change_instance(carried.key, decide)


def _collect(tables: Tables, action: CreatePod | CreateJob | CreateService) -> None:
    tables.collect_if_orphan(action.key.namespace, (action.owner,))


def _metadata(action: CreatePod | CreateJob | CreateService) -> ObjectMeta:
    return ObjectMeta(action.key, labels=action.labels, annotations=action.annotations, owners=(action.owner,))


def _updated(service: Service, action: UpdateService) -> Service:
    metadata = evolve(service.metadata, labels=action.labels, annotations=action.annotations)
    return evolve(service, metadata=metadata, spec=action.spec)

"""The controller's actions on an API server: for each one the request, planned on what is there.

Pods, jobs and services are created under deterministic names, so of two controllers one creates and the other finds it done.
Deletions name the uid, so nothing but what was seen is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, assert_never

from akri.core.errors import InvalidDocumentError
from akri.core.metadata import JsonObject
from akri.platforms import writes
from akri.platforms.kubernetes import decoding, patches, rendering
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.instances import InstanceWrites
from akri.platforms.kubernetes.objects import ObjectWrites
from akri.platforms.kubernetes.patches import Request
from akri.platforms.kubernetes.reading import members
from akri.platforms.kubernetes.resources import CONFIGURATIONS, INSTANCES, JOBS, PODS, SERVICES, Resource
from akri.ports import Clock, Done, Outcome, Refusal, Refused, Unknown
from akri.scheduling.model import (
    Action,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    InstanceWrite,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)

__all__ = ["CONTROLLER", "Actions"]

CONTROLLER: Final = "akri-controller"
"""The field manager of all controllers, so that none owns a field against another."""
_WORKLOADS: Final[Mapping[type[Action], Resource]] = {
    CreatePod: PODS,
    DeletePod: PODS,
    CreateJob: JOBS,
    DeleteJob: JOBS,
    CreateService: SERVICES,
    DeleteService: SERVICES,
}
_KINDS: Final[Mapping[str, Resource]] = {resource.kind: resource for resource in (CONFIGURATIONS, INSTANCES)}


class Actions:
    """Carries out actions as the controller."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        """Take the client that speaks for the controller, and the time."""
        self._objects = ObjectWrites(client, CONTROLLER)
        self._instances = InstanceWrites(client, clock, CONTROLLER)

    async def execute(self, action: Action) -> Outcome:
        """Do what the controller decided, as `ClusterPlatform.execute` promises."""
        match action:
            case CreatePod() | CreateJob() | CreateService():
                return await self._objects.create(_WORKLOADS[type(action)], action.key.namespace, rendering.creation(action))
            case DeletePod() | DeleteJob() | DeleteService():
                return await self._objects.delete(_WORKLOADS[type(action)], action.key, action.uid)
            case UpdateService():
                return _concluded(await self._objects.change(SERVICES, action.key, partial(_updated, action=action)), SERVICES)
            case DropFinalizers():
                resource = _KINDS[action.kind]
                return _concluded(await self._objects.change(resource, action.key, partial(_released, action=action)), resource)
            case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
                return await self._instances.carry_out(action.instance.key, _decision(action), rendering.change, _first(action))
        assert_never(action)


def _decision(action: InstanceWrite) -> writes.Decide:
    carried = action.instance
    match action:
        case RemoveNode():
            return partial(writes.remove_node, carried=carried, node=action.node)
        case RepairUsage():
            return partial(writes.repair_usage, carried=carried, keys=action.keys)
        case WriteCapacity():
            return partial(writes.write_capacity, carried=carried, capacity=action.capacity, generation=action.generation)
        case DeleteInstance():
            return partial(writes.delete_instance, carried=carried)
    assert_never(action)


def _first(action: InstanceWrite) -> Request | None:
    """The request planned on the Instance as the action carries it: it succeeds only if the server has it like that."""
    carried = action.instance
    match _decision(action)(carried):
        case writes.Write(target) if target != carried:
            return rendering.change(carried, target)
        case writes.Delete():
            return patches.delete(carried)
        case _:
            return None


def _updated(found: JsonObject | None, action: UpdateService) -> Request | Outcome:
    if found is None or members(found.get("metadata")).get("uid") != action.uid:
        return Refused(Refusal.MISSING, f"there is no Service {action.key} with uid {action.uid!r}")
    return rendering.service_update(found, action)


def _released(found: JsonObject | None, action: DropFinalizers) -> Request | Outcome:
    if found is None:
        return Done(None)
    return rendering.finalizers_dropped(found, action.finalizers) or _concluded(found, _KINDS[action.kind])


def _concluded(result: JsonObject | Outcome, resource: Resource) -> Outcome:
    """Say that a change is done, and what an Instance is after it: None if it went with its last finalizer."""
    if isinstance(result, Done | Refused | Unknown):
        return result
    metadata = members(result.get("metadata"))
    if resource is not INSTANCES or ("deletionTimestamp" in metadata and not metadata.get("finalizers")):
        return Done(None)
    try:
        return Done(decoding.instance(result))
    except InvalidDocumentError:
        return Done(None)

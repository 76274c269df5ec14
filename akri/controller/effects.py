"""Whether the watches show what an action did, or that it can do nothing any more."""

from __future__ import annotations

from typing import assert_never

from akri.controller.world import World
from akri.core.metadata import ObjectMeta
from akri.scheduling.model import (
    ANNOTATION_HASH,
    Action,
    BrokerJob,
    BrokerPod,
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

__all__ = ["effect_seen"]


def effect_seen(action: Action, world: World) -> bool:
    """Tell whether nothing more can be expected of an action that was carried out."""
    match action:
        case CreatePod():
            return action.key in world.pods.mirror.objects
        case DeletePod():
            return _left(world.pods.mirror.objects.get(action.key), action.uid)
        case CreateJob():
            return action.key in world.jobs.mirror.objects
        case DeleteJob():
            return _left(world.jobs.mirror.objects.get(action.key), action.uid)
        case CreateService() | UpdateService() | DeleteService():
            return _service_seen(action, world)
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return _written(action, world)
        case DropFinalizers():
            return _dropped(action, world)
    assert_never(action)


def _left(broker: BrokerPod | BrokerJob | None, uid: str) -> bool:
    return broker is None or broker.uid != uid or broker.deleting


def _service_seen(action: CreateService | UpdateService | DeleteService, world: World) -> bool:
    service = world.services.mirror.objects.get(action.key)
    match action:
        case CreateService():
            return service is not None
        case UpdateService():
            return service is None or service.uid != action.uid or service.spec_hash == action.annotations[ANNOTATION_HASH]
        case DeleteService():
            return service is None or service.uid != action.uid
    assert_never(action)


def _written(action: InstanceWrite, world: World) -> bool:
    # The write tests uid and revision: whatever the next revision is, nothing of it can come after that.
    instance, sent = world.instances.mirror.objects.get(action.instance.key), action.instance.metadata
    return instance is None or (instance.metadata.uid, instance.metadata.revision) != (sent.uid, sent.revision)


def _dropped(action: DropFinalizers, world: World) -> bool:
    metadata: ObjectMeta | None = None
    if action.kind == "Instance":
        instance = world.instances.mirror.objects.get(action.key)
        metadata = None if instance is None else instance.metadata
    else:
        configuration = world.configurations.mirror.objects.get(action.key)
        metadata = None if configuration is None else configuration.metadata
    return metadata is None or not set(action.finalizers) & set(metadata.finalizers)

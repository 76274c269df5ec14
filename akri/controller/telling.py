"""What people are told about an action that was carried out or refused: one event, with the action's own reason."""

from __future__ import annotations

from typing import assert_never

from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
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

__all__ = ["describe", "done", "refused", "subject_of"]

_WARNINGS = frozenset({Reason.BROKER_FAILED, Reason.NODE_LOST, Reason.SLOT_UNREADABLE, Reason.REPORTER_BEHIND})


def done(action: Action) -> Event:
    """Tell that an action was carried out."""
    kind, about = subject_of(action)
    return Event(kind, about, action.reason, describe(action), warning=action.reason in _WARNINGS)


def refused(action: Action, message: str) -> Event:
    """Tell that the platform refused an action, and what it said."""
    kind, about = subject_of(action)
    return Event(kind, about, action.reason, f"not done, the platform refused it: {describe(action)}: {message}", warning=True)


def subject_of(action: Action) -> tuple[str, ObjectKey]:
    """Tell which object people look at to learn about an action: its kind and key."""
    match action:
        case CreatePod() | CreateJob():
            return "Instance", action.instance
        case DeletePod():
            return "Pod", action.key
        case DeleteJob():
            return "Job", action.key
        case CreateService():
            return action.owner.kind, action.about
        case UpdateService() | DeleteService():
            return "Service", action.key
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return "Instance", action.instance.key
        case DropFinalizers():
            return action.kind, action.key
    assert_never(action)


def describe(action: Action) -> str:
    """Say in one sentence what an action does."""
    match action:
        case CreatePod() | DeletePod() | CreateJob() | DeleteJob():
            return _describe_broker(action)
        case CreateService() | UpdateService() | DeleteService():
            return _describe_service(action)
        case RemoveNode() | RepairUsage() | WriteCapacity() | DeleteInstance():
            return _describe_write(action)
        case DropFinalizers():
            return f"finalizers of an earlier Akri are removed: {', '.join(action.finalizers)}"
    assert_never(action)


def _describe_broker(action: CreatePod | DeletePod | CreateJob | DeleteJob) -> str:
    match action:
        case CreatePod():
            return f"broker pod {action.key} is created for node {action.node}"
        case CreateJob():
            return f"broker job {action.key} is created"
        case DeletePod() | DeleteJob():
            return action.message
    assert_never(action)


def _describe_service(action: CreateService | UpdateService | DeleteService) -> str:
    match action:
        case CreateService():
            return f"service {action.key} is created, for a broker runs"
        case UpdateService():
            return f"service {action.key} is brought up to date"
        case DeleteService():
            return f"service {action.key} is removed, for no broker is left or it is wanted no more"
    assert_never(action)


def _describe_write(action: InstanceWrite) -> str:
    match action:
        case RemoveNode():
            return f"node {action.node} is lost: it leaves the Instance and its slots are freed"
        case RepairUsage():
            return f"keys of deviceUsage that nobody can read are removed: {', '.join(repr(key) for key in action.keys)}"
        case WriteCapacity():
            return f"node {action.instance.nodes[0]} did not bring the Instance up to date: capacity {action.capacity} is written for it"
        case DeleteInstance():
            gone = action.reason is Reason.CONFIGURATION_GONE
            return f"the Instance is deleted: {'its Configuration is gone' if gone else 'no node sees the device any more'}"
    assert_never(action)

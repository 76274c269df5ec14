"""The cluster as the controller sees it, and what it can do about it. Values only.

The platform turns pods, jobs, services and nodes into these and executes the actions; `plan` decides between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.core.device import frozen_mapping
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, OwnerReference, frozen_json
from akri.core.reports import Reason

__all__ = [
    "ANNOTATION_ATTEMPT",
    "ANNOTATION_HASH",
    "Action",
    "BrokerJob",
    "BrokerPod",
    "BrokerService",
    "CreateJob",
    "CreatePod",
    "CreateService",
    "DeleteInstance",
    "DeleteJob",
    "DeletePod",
    "DeleteService",
    "DropFinalizers",
    "InstanceWrite",
    "NodeState",
    "Phase",
    "RemoveNode",
    "RepairUsage",
    "UpdateService",
    "WriteCapacity",
]

ANNOTATION_ATTEMPT: Final = "akri.sh/attempt"
"""Annotation on a broker pod or job: how many times in a row its predecessors failed."""
ANNOTATION_HASH: Final = "akri.sh/broker-hash"
"""Annotation on a broker pod, job or service: hash of what it was made from."""


class Phase(Enum):
    """Phase of a pod, as Kubernetes names them."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def terminal(self) -> bool:
        """Whether the pod's containers have ended for good."""
        return self in {Phase.SUCCEEDED, Phase.FAILED}


@frozen
class BrokerPod:
    """A broker pod that exists.

    instance: key of the Instance it serves. attempt: how many times in a row its predecessors failed (annotation
    `akri.sh/attempt`). spec_hash: hash of what it was made from (annotation `akri.sh/broker-hash`). created, started,
    finished: seconds since the epoch, 0 where it has not happened. reason: the platform's word for a failure
    (`UnexpectedAdmissionError`). deleting: its deletion was asked for. A pod without uid was asked for and not seen yet.
    """

    key: ObjectKey
    uid: str
    instance: ObjectKey
    node: NodeName
    phase: Phase
    attempt: int = 0
    spec_hash: str = ""
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    reason: str = ""
    deleting: bool = False


@frozen
class BrokerJob:
    """A broker job that exists; `failed` is true once it will not be tried again by the platform. Times as in BrokerPod."""

    key: ObjectKey
    uid: str
    instance: ObjectKey
    spec_hash: str = ""
    attempt: int = 0
    created: float = 0.0
    finished: float = 0.0
    complete: bool = False
    failed: bool = False
    reason: str = ""
    deleting: bool = False


@frozen
class BrokerService:
    """A service that Akri made; `owner` is the key of the Instance or Configuration it belongs to. Without uid: asked for, not seen yet."""

    key: ObjectKey
    uid: str
    owner: ObjectKey
    spec_hash: str = ""


@frozen
class NodeState:
    """A node of the cluster; `since` is when `ready` last changed, seconds since the epoch."""

    name: NodeName
    ready: bool = True
    since: float = 0.0


@frozen
class CreatePod:
    """Create a broker pod on a node. Plain creation under a deterministic name: of two controllers one succeeds (C4)."""

    key: ObjectKey
    instance: ObjectKey
    node: NodeName
    owner: OwnerReference
    labels: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    annotations: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    spec: JsonObject = field(converter=frozen_json, hash=False)
    reason: Reason = Reason.BROKER_CREATED


@frozen
class DeletePod:
    """Delete a broker pod, this very one (uid); `message` is one sentence."""

    key: ObjectKey
    uid: str
    reason: Reason
    message: str


@frozen
class CreateJob:
    """Create a broker job."""

    key: ObjectKey
    instance: ObjectKey
    owner: OwnerReference
    labels: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    annotations: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    spec: JsonObject = field(converter=frozen_json, hash=False)
    reason: Reason = Reason.BROKER_CREATED


@frozen
class DeleteJob:
    """Delete a broker job and its pods."""

    key: ObjectKey
    uid: str
    reason: Reason
    message: str


@frozen
class CreateService:
    """Create a service; `about` is the key of the Instance or Configuration it belongs to."""

    key: ObjectKey
    about: ObjectKey
    owner: OwnerReference
    labels: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    annotations: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    spec: JsonObject = field(converter=frozen_json, hash=False)
    reason: Reason = Reason.SERVICE_CREATED


@frozen
class UpdateService:
    """Bring a service to another spec without making a new one."""

    key: ObjectKey
    uid: str
    labels: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    annotations: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    spec: JsonObject = field(converter=frozen_json, hash=False)
    reason: Reason = Reason.SERVICE_CHANGED


@frozen
class DeleteService:
    """Delete a service for which no broker is left, or that is wanted no more."""

    key: ObjectKey
    uid: str
    reason: Reason = Reason.SERVICE_REMOVED


@frozen
class RemoveNode:
    """Take a lost node out of an Instance: its place in `nodes` and its slots, in one write."""

    instance: Instance
    node: NodeName
    reason: Reason = Reason.NODE_LOST


@frozen
class RepairUsage:
    """Remove keys of an Instance's deviceUsage that nobody can read."""

    instance: Instance
    keys: tuple[str, ...]
    reason: Reason = Reason.SLOT_UNREADABLE


@frozen
class WriteCapacity:
    """Write capacity and slot keys in place of a reporter that has been behind for too long."""

    instance: Instance
    capacity: int
    generation: int
    reason: Reason = Reason.REPORTER_BEHIND


@frozen
class DeleteInstance:
    """Delete an Instance that no node sees any more, or whose Configuration is gone."""

    instance: Instance
    reason: Reason


@frozen
class DropFinalizers:
    """Remove finalizers that upstream left; kind is `Instance` or `Configuration`."""

    kind: str
    key: ObjectKey
    finalizers: tuple[str, ...]
    reason: Reason = Reason.FINALIZER_LEFT


InstanceWrite: TypeAlias = RemoveNode | RepairUsage | WriteCapacity | DeleteInstance
"""An action that writes an Instance and tests its revision, so that of several at once only one can succeed."""
Action: TypeAlias = (
    CreatePod
    | DeletePod
    | CreateJob
    | DeleteJob
    | CreateService
    | UpdateService
    | DeleteService
    | RemoveNode
    | RepairUsage
    | WriteCapacity
    | DeleteInstance
    | DropFinalizers
)
"""Something the controller asks the platform to do. `reason` is its one cause, the same word in events, conditions and logs."""

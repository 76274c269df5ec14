"""The cluster as the controller sees it, and what it can do about it. Values only.

The platform turns pods, jobs, services and nodes into these and executes the actions; `plan` decides between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from attrs import field, frozen

from akri.core.configuration import Configuration
from akri.core.device import frozen_mapping
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, OwnerReference, frozen_json

__all__ = [
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
    "NodeState",
    "Phase",
    "RemoveNode",
    "RepairUsage",
    "Snapshot",
    "UpdateService",
    "WriteCapacity",
]

_K = TypeVar("_K")
_V = TypeVar("_V")


def _frozen(value: Mapping[_K, _V]) -> Mapping[_K, _V]:
    return value if isinstance(value, MappingProxyType) else MappingProxyType(dict(value))


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
    (`UnexpectedAdmissionError`). deleting: its deletion was asked for.
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
    """A service that Akri made; `owner` is the key of the Instance or Configuration it belongs to."""

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
class Snapshot:
    """Everything that `plan` looks at. Brokers are grouped by the Instance they serve, so that one change touches one group.

    nodes: every node the platform knows; a node that is not in it is deleted. nodes_known: false until the platform has
    listed them, for then nothing can be called lost. addresses: for an Instance (key) and a node, a hash of the device
    nodes and address that its device has there now, so that a moved device is noticed; missing where unknown.
    """

    configurations: Mapping[ObjectKey, Configuration] = field(factory=dict, converter=_frozen, hash=False)
    instances: Mapping[ObjectKey, Instance] = field(factory=dict, converter=_frozen, hash=False)
    pods: Mapping[ObjectKey, tuple[BrokerPod, ...]] = field(factory=dict, converter=_frozen, hash=False)
    jobs: Mapping[ObjectKey, tuple[BrokerJob, ...]] = field(factory=dict, converter=_frozen, hash=False)
    services: Mapping[ObjectKey, BrokerService] = field(factory=dict, converter=_frozen, hash=False)
    nodes: Mapping[NodeName, NodeState] = field(factory=dict, converter=_frozen, hash=False)
    nodes_known: bool = True


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


@frozen
class DeletePod:
    """Delete a broker pod, this very one (uid); `reason` is one word for events, `message` one sentence."""

    key: ObjectKey
    uid: str
    reason: str
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


@frozen
class DeleteJob:
    """Delete a broker job and its pods."""

    key: ObjectKey
    uid: str
    reason: str
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


@frozen
class UpdateService:
    """Bring a service to another spec without making a new one."""

    key: ObjectKey
    uid: str
    labels: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    annotations: Mapping[str, str] = field(converter=frozen_mapping, hash=False)
    spec: JsonObject = field(converter=frozen_json, hash=False)


@frozen
class DeleteService:
    """Delete a service for which no broker runs any more."""

    key: ObjectKey
    uid: str


@frozen
class RemoveNode:
    """Take a lost node out of an Instance: its place in `nodes` and its slots, in one write."""

    instance: Instance
    node: NodeName
    reason: str


@frozen
class RepairUsage:
    """Remove keys of an Instance's deviceUsage that nobody can read."""

    instance: Instance
    keys: tuple[str, ...]


@frozen
class WriteCapacity:
    """Write capacity and slot keys in place of a reporter that has been behind for too long."""

    instance: Instance
    capacity: int
    generation: int


@frozen
class DeleteInstance:
    """Delete an Instance that no node sees any more."""

    instance: Instance
    reason: str


@frozen
class DropFinalizers:
    """Remove finalizers that upstream left; kind is `Instance` or `Configuration`."""

    kind: str
    key: ObjectKey
    finalizers: tuple[str, ...]


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
"""Something the controller asks the platform to do."""

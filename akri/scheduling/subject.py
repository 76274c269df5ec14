"""One device and all that bears on it: the input of every decision about a single Instance."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import frozen

from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState
from akri.scheduling.snapshot import Snapshot, StoredConfiguration
from akri.scheduling.timing import Timing

__all__ = ["NEVER", "Standing", "Subject", "configuration_key", "lost_at", "standing", "subject"]

NEVER = float("inf")
"""A time that does not come."""


class Standing(Enum):
    """How an Instance stands to its Configuration."""

    GOVERNED = "its Configuration says what runs"
    UNDECIDED = "its Configuration is unreadable or refused: what runs is kept, nothing new is started"
    ORPHANED = "its Configuration is gone, or was deleted and made again"


@frozen(eq=False)
class Subject:
    """What is known of one Instance at one time.

    now: seconds since the epoch. configuration: None unless it governs the Instance. nodes, missing: as in Snapshot, of the whole cluster.
    """

    instance: Instance
    now: float
    timing: Timing
    standing: Standing
    configuration: Configuration | None
    edited: float
    pods: tuple[BrokerPod, ...]
    jobs: tuple[BrokerJob, ...]
    services: tuple[BrokerService, ...]
    former_pods: tuple[BrokerPod, ...]
    former_jobs: tuple[BrokerJob, ...]
    nodes: Mapping[NodeName, NodeState]
    missing: Mapping[NodeName, float]

    def lost_at(self, name: NodeName) -> float:
        """Tell when a node counts as lost unless something changes: NEVER for one that is well, 0 for one that was deleted."""
        return lost_at(name, self.nodes, self.missing, self.timing)

    def ready(self, name: NodeName) -> bool:
        """Tell whether a node can take a broker."""
        node = self.nodes.get(name)
        return node is not None and node.ready


def configuration_key(instance: Instance) -> ObjectKey:
    """Name the Configuration that an Instance says it belongs to."""
    return ObjectKey(instance.key.namespace, instance.configuration)


def standing(instance: Instance, configuration: StoredConfiguration | None, *, refused: bool) -> Standing:
    """Tell how an Instance stands to the stored Configuration of its name (None: there is none)."""
    if configuration is None or configuration.metadata.deleting:
        return Standing.ORPHANED
    if instance.owner_uid not in {None, configuration.metadata.uid}:
        return Standing.ORPHANED
    if refused or isinstance(configuration, UnreadableConfiguration):
        return Standing.UNDECIDED
    return Standing.GOVERNED


def subject(snapshot: Snapshot, instance: Instance, now: float, timing: Timing, *, refused: bool) -> Subject:
    """Gather what is known of an Instance."""
    key, owner = instance.key, configuration_key(instance)
    configuration = snapshot.configurations.get(owner)
    stands = standing(instance, configuration, refused=refused)
    governing = configuration if stands is Standing.GOVERNED and isinstance(configuration, Configuration) else None
    return Subject(
        instance=instance,
        now=now,
        timing=timing,
        standing=stands,
        configuration=governing,
        edited=snapshot.edited.get(owner, 0.0),
        pods=snapshot.pods.get(key, ()),
        jobs=snapshot.jobs.get(key, ()),
        services=snapshot.services.get(key, ()),
        former_pods=snapshot.former_pods.get(key, ()),
        former_jobs=snapshot.former_jobs.get(key, ()),
        nodes=snapshot.nodes,
        missing=snapshot.missing,
    )


def lost_at(name: NodeName, nodes: Mapping[NodeName, NodeState], missing: Mapping[NodeName, float], timing: Timing) -> float:
    """Tell when a node counts as lost unless something changes: NEVER for one that is well, 0 for one that was deleted."""
    node = nodes.get(name)
    if node is None:
        return missing[name] + timing.stranger_grace if name in missing else 0.0
    return NEVER if node.ready else node.since + timing.node_grace

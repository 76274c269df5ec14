"""The kinds of objects that the local platform stores, once as what a change works on, once as what can be watched."""

from __future__ import annotations

from typing import Protocol

from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.platforms.local.collection import Collection
from akri.platforms.local.events import EventLog
from akri.platforms.local.objects import Job, Node, Pod, Service, Stored
from akri.platforms.local.shelf import Rows
from akri.ports import Clock, ConfigurationObservation

__all__ = ["AllRows", "Collections", "configuration_uid", "instance_owners", "object_owners"]


def instance_owners(instance: Instance) -> frozenset[str]:
    """Uids of those that an Instance goes with."""
    return frozenset(owner.uid for owner in instance.metadata.owners)


def object_owners(value: Stored) -> frozenset[str]:
    """Uids of those that a pod, a job or a service goes with."""
    return frozenset(owner.uid for owner in value.metadata.owners)


def configuration_uid(report: DiscoveryReport) -> tuple[str]:
    """Uid of the Configuration that a report goes with."""
    return (report.configuration_uid,)


class AllRows(Protocol):
    """The objects of all kinds, as a change reads and writes them."""

    @property
    def configurations(self) -> Rows[ConfigurationObservation]:
        """Configurations."""
        ...

    @property
    def statuses(self) -> Rows[ConfigurationStatus]:
        """Statuses, under the key and the uid of their Configuration."""
        ...

    @property
    def instances(self) -> Rows[Instance]:
        """Instances."""
        ...

    @property
    def reports(self) -> Rows[DiscoveryReport]:
        """Discovery reports."""
        ...

    @property
    def nodes(self) -> Rows[Node]:
        """Nodes, their names in keys with an empty namespace."""
        ...

    @property
    def pods(self) -> Rows[Pod]:
        """Pods."""
        ...

    @property
    def jobs(self) -> Rows[Job]:
        """Jobs."""
        ...

    @property
    def services(self) -> Rows[Service]:
        """Services."""
        ...


class Collections:
    """The objects of all kinds, with watches, and the log of events. For the loop's thread alone."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self.configurations: Collection[ConfigurationObservation] = Collection(clock)
        self.statuses: Collection[ConfigurationStatus] = Collection(clock)
        self.instances: Collection[Instance] = Collection(clock, instance_owners)
        self.reports: Collection[DiscoveryReport] = Collection(clock, configuration_uid)
        self.nodes: Collection[Node] = Collection(clock)
        self.pods: Collection[Pod] = Collection(clock, object_owners)
        self.jobs: Collection[Job] = Collection(clock, object_owners)
        self.services: Collection[Service] = Collection(clock, object_owners)
        self.events = EventLog()

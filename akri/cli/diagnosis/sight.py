"""What a diagnosis looks at: everything that a platform shows, and the part of it that a name stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeVar

from attrs import field, frozen

from akri.cli.overview import Overview
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.naming import resource_name
from akri.core.reports import DiscoveryReport, PastEvent
from akri.core.slots import SlotTable
from akri.platforms.pod_requests import device_requests
from akri.ports import ConfigurationObservation, PodDetails
from akri.scheduling.model import BrokerJob, BrokerPod, NodeState
from akri.scheduling.subject import configuration_key
from akri.scheduling.timing import Timing

__all__ = ["TIMING", "Scope", "Sight", "Where", "all_held"]

_K = TypeVar("_K")
_V = TypeVar("_V")

TIMING: Final = Timing()
"""The times that the controller goes by unless it was told otherwise."""


def _frozen(value: Mapping[ObjectKey, tuple[str, ...]]) -> Mapping[ObjectKey, tuple[str, ...]]:
    return MappingProxyType(dict(value))


@frozen
class Where:
    """Where the platform is, for what a user can type.

    state: the state folder, "" on Kubernetes. options: for each command. stopped: nothing runs on the state folder.
    """

    state: str = ""
    options: str = ""
    stopped: bool = False

    def command(self, name: str, about: str, key: ObjectKey) -> str:
        """Give a command about an object: `akri logs cam-8120fe-pod`."""
        namespace = "" if key.namespace in {"", "default"} else f" -n {key.namespace}"
        return f"akri {name} {about}{namespace}{self.options}"


@frozen
class Sight:
    """All there is to see at one time.

    now: seconds since the epoch. pods: of brokers, jobs and users, as far as they ask for devices. logs: the last lines that
    brokers wrote, by pod.
    """

    overview: Overview
    now: float
    pods: tuple[PodDetails, ...] = ()
    logs: Mapping[ObjectKey, tuple[str, ...]] = field(factory=dict[ObjectKey, tuple[str, ...]], converter=_frozen, hash=False)
    where: Where = Where()

    def pod(self, key: ObjectKey, uid: str) -> PodDetails | None:
        """Look a pod up, this very one."""
        return self._details.get((key, uid))

    def askers(self, resource: ResourceName) -> tuple[PodDetails, ...]:
        """Give the pods that ask for a resource."""
        return tuple(self._askers.get(resource, ()))

    def brokers(self, instance: ObjectKey) -> tuple[BrokerPod, ...]:
        """Give the broker pods of an Instance."""
        return tuple(self._brokers.get(instance, ()))

    def events(self, kind: str, about: ObjectKey) -> tuple[PastEvent, ...]:
        """Give the events about something, oldest first."""
        return tuple(self._events.get((kind, about), ()))

    def full(self, configuration: ObjectKey) -> bool:
        """Tell whether no Instance of a Configuration has a free slot."""
        return configuration not in self._free

    def instance(self, key: ObjectKey) -> Instance | None:
        """Look an Instance up."""
        return self._instances.get(key)

    def behind(self, resource: ResourceName) -> tuple[Instance, ...]:
        """Give the Instances that a pod waits for which asks for a resource: of a whole Configuration none, while one has a free slot."""
        return tuple(self._behind.get(resource, ()))

    # A platform may hold ten thousand of each: everything is looked up, nothing is searched through for each of them.

    @cached_property
    def _details(self) -> Mapping[tuple[ObjectKey, str], PodDetails]:
        return {(pod.metadata.key, pod.metadata.uid): pod for pod in self.pods}

    @cached_property
    def _askers(self) -> Mapping[ResourceName, list[PodDetails]]:
        return _grouped((resource, pod) for pod in self.pods for resource, number in device_requests(pod.spec).items() if number > 0)

    @cached_property
    def _brokers(self) -> Mapping[ObjectKey, list[BrokerPod]]:
        return _grouped((pod.instance, pod) for pod in self.overview.broker_pods)

    @cached_property
    def _events(self) -> Mapping[tuple[str, ObjectKey], list[PastEvent]]:
        return _grouped(((past.event.kind, past.event.about), past) for past in self.overview.events)

    @cached_property
    def _instances(self) -> Mapping[ObjectKey, Instance]:
        return {one.key: one for one in self.overview.instances}

    @cached_property
    def _behind(self) -> Mapping[ResourceName, list[Instance]]:
        full = (one for one in self.overview.instances if self.full(configuration_key(one)))
        single = ((resource_name(one.name), one) for one in self.overview.instances)
        return _grouped((*single, *((resource_name(one.configuration), one) for one in full)))

    @cached_property
    def _free(self) -> frozenset[ObjectKey]:
        return frozenset(configuration_key(one) for one in self.overview.instances if not all_held(one))

    def node(self, name: NodeName) -> NodeState | None:
        """Look a node up."""
        return next((node for node in self.overview.nodes if node.name == name), None)


def all_held(instance: Instance) -> bool:
    """Tell whether no slot of an Instance is free."""
    return SlotTable.read(instance, NodeName("")).used() >= instance.capacity > 0


def _grouped(pairs: Iterable[tuple[_K, _V]]) -> Mapping[_K, list[_V]]:
    groups: dict[_K, list[_V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


@frozen
class Scope:
    """What a name stands for, and all that bears on it.

    kind: Configuration, Instance, Pod or Job. configuration: the one that governs it; None if there is none. nodes: those that
    bear on it, None for all. exists: False for something that is gone and still stands in events.
    """

    kind: str
    key: ObjectKey
    configuration: ConfigurationObservation | None = None
    instances: tuple[Instance, ...] = ()
    pods: tuple[BrokerPod, ...] = ()
    jobs: tuple[BrokerJob, ...] = ()
    reports: tuple[DiscoveryReport, ...] = ()
    nodes: frozenset[NodeName] | None = None
    exists: bool = True

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        names = {"Pod": "Broker", "Job": "Broker job"}
        return f"{names.get(self.kind, self.kind)} {self.key}"

    @property
    def whole(self) -> bool:
        """Whether it is about a whole Configuration."""
        return self.kind == "Configuration"

"""What a diagnosis looks at: everything that a platform shows, and the part of it that a name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from akri.cli.overview import Overview
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport
from akri.ports import ConfigurationObservation, PodDetails
from akri.scheduling.model import BrokerJob, BrokerPod, NodeState
from akri.scheduling.timing import Timing

__all__ = ["TIMING", "Scope", "Sight", "Where"]

TIMING: Final = Timing()
"""The times that the controller goes by unless it was told otherwise."""


def _frozen(value: Mapping[ObjectKey, tuple[str, ...]]) -> Mapping[ObjectKey, tuple[str, ...]]:
    return MappingProxyType(dict(value))


@frozen
class Where:
    """Where the platform is, for what a user can type. state: the state folder, "" on Kubernetes. options: for each command."""

    state: str = ""
    options: str = ""

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
        return next((pod for pod in self.pods if (pod.metadata.key, pod.metadata.uid) == (key, uid)), None)

    def node(self, name: NodeName) -> NodeState | None:
        """Look a node up."""
        return next((node for node in self.overview.nodes if node.name == name), None)


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

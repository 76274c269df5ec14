"""Everything that `plan` looks at, as one value, and how it goes on from one observation to the next.

Each method gives a new Snapshot and shares with the old one all that did not change, so that `plan` sees by identity what did.
Some facts are only visible in the change itself and are kept here: when a Configuration was edited, which broker went before.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState

__all__ = ["EMPTY", "Snapshot", "StoredConfiguration"]

StoredConfiguration: TypeAlias = Configuration | UnreadableConfiguration
"""A Configuration, usable or not."""

_K = TypeVar("_K")
_V = TypeVar("_V")


_B = TypeVar("_B", BrokerPod, BrokerJob)
_M = TypeVar("_M", BrokerPod, BrokerJob, BrokerService)


def _copy(value: Mapping[_K, _V]) -> dict[_K, _V]:
    # The proxy's own copy is 50 times as fast as dict(): this is what makes one change cheap.
    return value.copy() if isinstance(value, MappingProxyType) else dict(value)


def _proxy(value: dict[_K, _V]) -> Mapping[_K, _V]:
    return MappingProxyType(value)


class _Groups(Generic[_M]):
    """Groups of which those that a change touches are opened for writing."""

    def __init__(self, groups: Mapping[ObjectKey, tuple[_M, ...]]) -> None:
        self._groups: Mapping[ObjectKey, tuple[_M, ...]] = groups
        self._open: dict[ObjectKey, dict[ObjectKey, _M]] = {}

    def __getitem__(self, owner: ObjectKey) -> dict[ObjectKey, _M]:
        members = self._open.get(owner)
        if members is None:
            members = self._open[owner] = {member.key: member for member in self._groups.get(owner, ())}
        return members

    def drop(self, unwanted: Callable[[ObjectKey], bool]) -> None:
        for owner in filter(unwanted, self._open):
            self._open[owner].clear()

    def closed(self) -> Mapping[ObjectKey, tuple[_M, ...]]:
        result = _copy(self._groups)
        for owner, members in self._open.items():
            if members:
                result[owner] = tuple(sorted(members.values(), key=_name))
            else:
                result.pop(owner, None)
        return _proxy(result)


def _name(thing: BrokerPod | BrokerJob | BrokerService) -> str:
    return thing.key.name


@frozen
class Snapshot:
    """Everything that `plan` looks at.

    pods, jobs: grouped by the Instance they serve; services: by the Instance or Configuration they belong to.
    nodes: every node the platform knows; a node that is not in it is deleted. nodes_known: false until the platform has
    listed them, for then nothing can be called lost. edited: when the present generation of a Configuration was first seen.
    missing: since when a node that stands in some Instance is missing in `nodes`; one without entry was deleted for sure.
    The mappings are never changed; hand in none that somebody changes.
    former_pods, former_jobs: the broker that was there before, for each place where none is now, in its last state of life.
    """

    configurations: Mapping[ObjectKey, StoredConfiguration] = field(factory=dict[ObjectKey, StoredConfiguration], hash=False)
    instances: Mapping[ObjectKey, Instance] = field(factory=dict[ObjectKey, Instance], hash=False)
    pods: Mapping[ObjectKey, tuple[BrokerPod, ...]] = field(factory=dict[ObjectKey, tuple[BrokerPod, ...]], hash=False)
    jobs: Mapping[ObjectKey, tuple[BrokerJob, ...]] = field(factory=dict[ObjectKey, tuple[BrokerJob, ...]], hash=False)
    services: Mapping[ObjectKey, tuple[BrokerService, ...]] = field(factory=dict[ObjectKey, tuple[BrokerService, ...]], hash=False)
    nodes: Mapping[NodeName, NodeState] = field(factory=dict[NodeName, NodeState], hash=False)
    nodes_known: bool = True
    edited: Mapping[ObjectKey, float] = field(factory=dict[ObjectKey, float], hash=False)
    missing: Mapping[NodeName, float] = field(factory=dict[NodeName, float], hash=False)
    former_pods: Mapping[ObjectKey, tuple[BrokerPod, ...]] = field(factory=dict[ObjectKey, tuple[BrokerPod, ...]], hash=False)
    former_jobs: Mapping[ObjectKey, tuple[BrokerJob, ...]] = field(factory=dict[ObjectKey, tuple[BrokerJob, ...]], hash=False)

    def with_configurations(self, put: Iterable[StoredConfiguration] = (), gone: Iterable[ObjectKey] = (), at: float = 0.0) -> Snapshot:
        """Take in Configurations that were made, changed or deleted; `at` is when that was seen, seconds since the epoch."""
        configurations, edited = _copy(self.configurations), _copy(self.edited)
        for key in gone:
            configurations.pop(key, None)
            edited.pop(key, None)
        for configuration in put:
            key, old = configuration.key, configurations.get(configuration.key)
            if old is None or _edition(old) != _edition(configuration):
                edited[key] = at
            configurations[key] = configuration
        return evolve(self, configurations=_proxy(configurations), edited=_proxy(edited))

    def with_instances(self, put: Iterable[Instance] = (), gone: Iterable[ObjectKey] = (), at: float = 0.0) -> Snapshot:
        """Take in Instances that were made, changed or deleted; `at` is when that was seen, seconds since the epoch."""
        instances, missing = _copy(self.instances), self.missing
        former_pods, former_jobs = self.former_pods, self.former_jobs
        for key in gone:
            instances.pop(key, None)
            former_pods, former_jobs = _without(former_pods, key), _without(former_jobs, key)
        strangers: dict[NodeName, float] = {}
        for instance in put:
            instances[instance.key] = instance
            strangers.update((node, at) for node in instance.nodes if node not in self.nodes)
        if strangers.keys() - missing.keys():
            missing = _proxy({**strangers, **missing})
        return evolve(self, instances=_proxy(instances), missing=missing, former_pods=former_pods, former_jobs=former_jobs)

    def with_nodes(self, put: Iterable[NodeState] = (), gone: Iterable[NodeName] = ()) -> Snapshot:
        """Take in nodes that came, changed or were deleted; from then on the nodes count as known."""
        nodes, missing = _copy(self.nodes), _copy(self.missing)
        for name in gone:
            nodes.pop(name, None)
        for node in put:
            nodes[node.name] = node
            missing.pop(node.name, None)
        return evolve(self, nodes=_proxy(nodes), missing=_proxy(missing), nodes_known=True)

    def with_pods(self, put: Iterable[BrokerPod] = (), gone: Iterable[BrokerPod] = ()) -> Snapshot:
        """Take in broker pods that were made, changed or deleted; of a deleted one any state will do."""
        lives = _Lives(self.pods, self.former_pods, lambda pod: pod.node)
        lives.follow(put, gone, self.instances)
        return evolve(self, pods=lives.present.closed(), former_pods=lives.former.closed())

    def with_jobs(self, put: Iterable[BrokerJob] = (), gone: Iterable[BrokerJob] = ()) -> Snapshot:
        """Take in broker jobs that were made, changed or deleted; of a deleted one any state will do."""
        lives = _Lives(self.jobs, self.former_jobs, lambda _job: None)
        lives.follow(put, gone, self.instances)
        return evolve(self, jobs=lives.present.closed(), former_jobs=lives.former.closed())

    def with_services(self, put: Iterable[BrokerService] = (), gone: Iterable[BrokerService] = ()) -> Snapshot:
        """Take in services that were made, changed or deleted."""
        groups = _Groups(self.services)
        for service in gone:
            groups[service.owner].pop(service.key, None)
        for service in put:
            groups[service.owner][service.key] = service
        return evolve(self, services=groups.closed())


EMPTY: Final = Snapshot(nodes_known=False)
"""What is known before anything was observed."""


def _edition(configuration: StoredConfiguration) -> tuple[str, int]:
    return configuration.metadata.uid, configuration.metadata.generation


def _without(groups: Mapping[ObjectKey, _V], key: ObjectKey) -> Mapping[ObjectKey, _V]:
    if key not in groups:
        return groups
    result = _copy(groups)
    del result[key]
    return _proxy(result)


class _Lives(Generic[_B]):
    """Brokers through their lives: the last state of life of one that goes is kept for its place until the next one is seen there."""

    def __init__(
        self,
        present: Mapping[ObjectKey, tuple[_B, ...]],
        former: Mapping[ObjectKey, tuple[_B, ...]],
        place: Callable[[_B], NodeName | None],
    ) -> None:
        self.present: _Groups[_B] = _Groups(present)
        self.former: _Groups[_B] = _Groups(former)
        self._place: Callable[[_B], NodeName | None] = place

    def follow(self, put: Iterable[_B], gone: Iterable[_B], instances: Container[ObjectKey]) -> None:
        for broker in gone:
            self._remove(broker)
        for broker in put:
            self._put(broker)
        self.former.drop(lambda instance: instance not in instances)

    def _put(self, broker: _B) -> None:
        members = self.present[broker.instance]
        old = members.get(broker.key)
        members[broker.key] = broker
        if old is not None and old.uid == broker.uid:
            if broker.deleting:
                self._remember(old)
        elif broker.uid:
            self._forget(broker)

    def _remove(self, broker: _B) -> None:
        old = self.present[broker.instance].pop(broker.key, None)
        if old is not None:
            self._remember(old)

    def _remember(self, old: _B) -> None:
        # One that was asked for and never seen tells nothing, and one that was being deleted is remembered as it was before.
        if old.uid and not old.deleting:
            self._forget(old)
            self.former[old.instance][old.key] = old

    def _forget(self, successor: _B) -> None:
        before = self.former[successor.instance]
        for known in [known for known in before.values() if self._place(known) == self._place(successor)]:
            del before[known.key]

"""What all watches have shown so far, as the Snapshot that `plan` reads. Changes memory only; knows nothing of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import evolve

from akri.controller.mirror import Change, Mirror
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport
from akri.ports import ConfigurationObservation, WatchEvent
from akri.scheduling.model import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_HASH,
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    CreateJob,
    CreatePod,
    NodeState,
    Phase,
)
from akri.scheduling.snapshot import EMPTY, Snapshot

__all__ = ["Feed", "World"]

_T = TypeVar("_T")
_Step = Callable[[Snapshot, Change[_T], float], Snapshot]


class Feed(Generic[_T]):
    """One watch on its way into the Snapshot. Changes are gathered, for many at once cost little more than one."""

    def __init__(self, mirror: Mirror[_T], step: _Step[_T]) -> None:
        """Take the mirror of the watch, and how a change goes into the Snapshot."""
        self.mirror = mirror
        self._step = step
        self._changes: list[tuple[list[_T], list[_T]]] = []

    def take(self, event: WatchEvent[_T]) -> bool:
        """Take in an event; tell whether it changed anything."""
        first = not self.mirror.known
        change = self.mirror.take(event)
        if not (change.gone or change.put):
            return first and self.mirror.known
        if not self._changes or (change.gone and self._changes[-1][1]):
            self._changes.append(([], []))
        gone, put = self._changes[-1]
        gone.extend(change.gone)
        put.extend(change.put)
        return True

    def advance(self, snapshot: Snapshot, at: float) -> Snapshot:
        """Carry what was gathered into the Snapshot, in the order in which it happened."""
        for gone, put in self._changes:
            snapshot = self._step(snapshot, Change(tuple(gone), tuple(put)), at)
        self._changes.clear()
        return snapshot


class World:
    """All feeds and the Snapshot. `snapshot` is as old as the last `advance`, the mirrors are up to date."""

    def __init__(self) -> None:
        """Know nothing."""
        self.snapshot = EMPTY
        self.configurations: Feed[ConfigurationObservation] = Feed(Mirror(lambda one: one.key, same=_same_but_revision), _configurations)
        self.instances: Feed[Instance] = Feed(Mirror(lambda one: one.key), _instances)
        self.pods: Feed[BrokerPod] = Feed(Mirror(lambda one: one.key, lambda one: one.instance), _pods)
        self.jobs: Feed[BrokerJob] = Feed(Mirror(lambda one: one.key, lambda one: one.instance), _jobs)
        self.services: Feed[BrokerService] = Feed(Mirror(lambda one: one.key, lambda one: one.owner), _services)
        self.nodes: Feed[NodeState] = Feed(Mirror(lambda one: ObjectKey("", one.name)), _nodes)
        self.reports: Feed[DiscoveryReport] = Feed(Mirror(lambda report: report.key), lambda snapshot, _change, _at: snapshot)

    @property
    def complete(self) -> bool:
        """Whether each watch has delivered its whole set once. Before that, nothing can be called missing."""
        feeds = (self.configurations, self.instances, self.pods, self.jobs, self.services, self.nodes, self.reports)
        return all(feed.mirror.known for feed in feeds)

    def advance(self, at: float) -> None:
        """Bring the Snapshot up to date; `at` is the time, seconds since the epoch."""
        snapshot = self.nodes.advance(self.snapshot, at)
        snapshot = self.configurations.advance(snapshot, at)
        snapshot = self.instances.advance(snapshot, at)
        snapshot = self.pods.advance(snapshot, at)
        snapshot = self.jobs.advance(snapshot, at)
        snapshot = self.services.advance(snapshot, at)
        self.snapshot = self.reports.advance(snapshot, at)

    def assume(self, action: Action) -> None:
        """Put a broker that was asked for into the Snapshot, without uid, so that nothing is decided as if it did not come."""
        if isinstance(action, CreatePod):
            self.snapshot = self.snapshot.with_pods([_asked_pod(action)])
        elif isinstance(action, CreateJob):
            self.snapshot = self.snapshot.with_jobs([_asked_job(action)])

    def unassume(self, action: Action) -> None:
        """Take it out again: it did not come."""
        if isinstance(action, CreatePod) and action.key not in self.pods.mirror.objects:
            self.snapshot = self.snapshot.with_pods(gone=[_asked_pod(action)])
        elif isinstance(action, CreateJob) and action.key not in self.jobs.mirror.objects:
            self.snapshot = self.snapshot.with_jobs(gone=[_asked_job(action)])


def _asked_pod(action: CreatePod) -> BrokerPod:
    made_from, attempt = action.annotations[ANNOTATION_HASH], int(action.annotations[ANNOTATION_ATTEMPT])
    return BrokerPod(action.key, "", action.instance, action.node, Phase.PENDING, attempt, made_from)


def _asked_job(action: CreateJob) -> BrokerJob:
    return BrokerJob(action.key, "", action.instance, action.annotations[ANNOTATION_HASH], int(action.annotations[ANNOTATION_ATTEMPT]))


def _same_but_revision(old: ConfigurationObservation, new: ConfigurationObservation) -> bool:
    # Our own writes to the status change the revision: they must not make every Instance be looked at again.
    return evolve(old, metadata=evolve(old.metadata, revision=new.metadata.revision)) == new


def _configurations(snapshot: Snapshot, change: Change[ConfigurationObservation], at: float) -> Snapshot:
    return snapshot.with_configurations(change.put, [one.key for one in change.gone], at)


def _instances(snapshot: Snapshot, change: Change[Instance], at: float) -> Snapshot:
    return snapshot.with_instances(change.put, [one.key for one in change.gone], at)


def _pods(snapshot: Snapshot, change: Change[BrokerPod], _at: float) -> Snapshot:
    return snapshot.with_pods(change.put, change.gone)


def _jobs(snapshot: Snapshot, change: Change[BrokerJob], _at: float) -> Snapshot:
    return snapshot.with_jobs(change.put, change.gone)


def _services(snapshot: Snapshot, change: Change[BrokerService], _at: float) -> Snapshot:
    return snapshot.with_services(change.put, change.gone)


def _nodes(snapshot: Snapshot, change: Change[NodeState], _at: float) -> Snapshot:
    return snapshot.with_nodes(change.put, [NodeName(one.name) for one in change.gone])

"""Pods, jobs and services of the local platform: what creation, change and deletion do to them, step by step and without waiting.

A pod that is assigned to a known node is ended by that node's runner, as by a kubelet: deletion only asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import evolve

from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import ObjectMeta
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import AllRows
from akri.platforms.local.objects import UNASSIGNED, Job, Pod, Service, Stored, assigned_node
from akri.platforms.local.pod_spec import grace_seconds
from akri.platforms.local.shelf import Entry, Rows

__all__ = ["Objects", "Workloads"]

_S = TypeVar("_S", bound=Stored)


class Objects(Generic[_S]):
    """Objects with metadata, which get their identity here. Changes name the object by key and uid."""

    def __init__(self, rows: Rows[_S], identities: Identities) -> None:
        """Work on these rows."""
        self._rows = rows
        self._identities = identities

    def get(self, key: ObjectKey) -> Entry[_S] | None:
        """Return the object under this key."""
        return self._rows.get(key)

    def entries(self) -> tuple[Entry[_S], ...]:
        """Return all objects."""
        return self._rows.entries()

    def owned(self, owner: str) -> tuple[Entry[_S], ...]:
        """Return the objects that go with the owner of this uid."""
        return self._rows.owned(owner)

    def find(self, key: ObjectKey, uid: str) -> _S | None:
        """Return this very object; None if it is gone."""
        entry = self.get(key)
        return entry.value if entry is not None and entry.uid == uid else None

    def add(self, value: _S) -> _S | None:
        """Store a new object; None if there is one of its name."""
        if self.get(value.metadata.key) is not None:
            return None
        return self._store(evolve(value, metadata=self._identities.new(value.metadata)))

    def change(self, key: ObjectKey, uid: str, change: Callable[[_S], _S]) -> _S | None:
        """Change this very object, and return it as it is then; None if it is gone."""
        former = self.find(key, uid)
        if former is None:
            return None
        changed = change(former)
        if changed == former:
            return former
        return self._store(evolve(changed, metadata=evolve(changed.metadata, revision=self._identities.revision())))

    def drop(self, key: ObjectKey, uid: str) -> bool:
        """Remove this very object; False if it is gone."""
        found = self.find(key, uid) is not None
        if found:
            self._rows.remove(key, self._identities.revision())
        return found

    def _store(self, value: _S) -> _S:
        self._rows.put(Entry(value.metadata.key, value.metadata.uid, value.metadata.revision, value))
        return value


class Workloads:
    """Pods, jobs and services, and what ties them to nodes, Instances and each other."""

    def __init__(self, rows: AllRows, identities: Identities) -> None:
        """Work on these rows."""
        self.pods: Objects[Pod] = Objects(rows.pods, identities)
        self.jobs: Objects[Job] = Objects(rows.jobs, identities)
        self.services: Objects[Service] = Objects(rows.services, identities)
        self._nodes = rows.nodes
        self._instances = rows.instances

    def create_pod(self, pod: Pod) -> Pod | None:
        """Store a new pod, assigned to a node if it names none; None if there is one of its name."""
        return self.pods.add(evolve(pod, node=pod.node or self._choose(pod), grace=grace_seconds(pod.spec)))

    def delete_pod(self, key: ObjectKey, uid: str, grace: float | None = None) -> None:
        """Ask for the end of this very pod; `grace` of 0 removes it at once, though its processes may live on for a while."""
        pod = self.pods.find(key, uid)
        if pod is None:
            return
        if grace == 0 or pod.phase.terminal or not pod.bound or not self._knows(pod.node):
            self.pods.drop(key, uid)
            return
        asked = pod.grace if grace is None else min(grace, pod.grace)
        self.pods.change(key, uid, lambda former: evolve(former, metadata=_deleting(former.metadata), grace=asked))

    def assign_pods(self) -> None:
        """Assign pods that waited for a node."""
        for entry in self.pods.entries():
            node = entry.value.node or self._choose(entry.value)
            if node != entry.value.node:
                self.pods.change(entry.key, entry.uid, lambda pod, node=node: evolve(pod, node=node))  # type: ignore[misc]

    def drop_pods_of(self, node: NodeName) -> None:
        """Remove the pods of a node that is gone."""
        for entry in self.pods.entries():
            if entry.value.node == node:
                self.pods.drop(entry.key, entry.uid)

    def delete_job(self, key: ObjectKey, uid: str) -> None:
        """Delete this very job, and ask for the end of its pods."""
        if self.jobs.drop(key, uid):
            self.collect(uid)

    def collect(self, owner: str) -> None:
        """Delete everything that belongs to the owner with this uid, which is gone."""
        for pod in self.pods.owned(owner):
            self.delete_pod(pod.key, pod.uid)
        for job in self.jobs.owned(owner):
            self.delete_job(job.key, job.uid)
        for service in self.services.owned(owner):
            self.services.drop(service.key, service.uid)

    def _knows(self, node: NodeName) -> bool:
        return node != UNASSIGNED and self._nodes.get(ObjectKey("", node)) is not None

    def _choose(self, pod: Pod) -> NodeName:
        nodes = (entry.value for entry in self._nodes.entries())
        instances = {entry.key: entry.value for entry in self._instances.entries()}
        return assigned_node(pod.metadata.key.namespace, pod.spec, nodes, instances)


def _deleting(metadata: ObjectMeta) -> ObjectMeta:
    return evolve(metadata, deleting=True)

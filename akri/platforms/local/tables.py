"""Each change of what the local platform stores, as one step that does not wait, over the rows of whatever stores them.

What a write does to an Instance is decided in `writes`; here the decision is carried out: identity, finalizers, and
the deletion of what belonged to a deleted object.
"""

from __future__ import annotations

from typing import assert_never

from attrs import evolve

from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.platforms.local.events import EventRows
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import AllRows
from akri.platforms.local.objects import Node
from akri.platforms.local.shelf import Entry
from akri.platforms.local.workloads import Workloads
from akri.platforms.writes import Decide, Delete, Keep, Write
from akri.ports import ConfigurationObservation, Done, Outcome, Refused

__all__ = ["Tables"]


class Tables:
    """The stored state as a change sees it. Not public: people use a `LocalStore`, agents and controllers the ports."""

    def __init__(self, rows: AllRows, events: EventRows, identities: Identities) -> None:
        """Work on these rows."""
        self.rows = rows
        self.identities = identities
        self.configurations = rows.configurations
        self.statuses = rows.statuses
        self.instances = rows.instances
        self.reports = rows.reports
        self.nodes = rows.nodes
        self.workloads = Workloads(rows, identities)
        self.events = events

    def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        """Read a Configuration."""
        entry = self.configurations.get(key)
        return None if entry is None else entry.value

    def instance(self, key: ObjectKey) -> Instance | None:
        """Read an Instance."""
        entry = self.instances.get(key)
        return None if entry is None else entry.value

    def apply(self, configuration: ConfigurationObservation) -> ConfigurationObservation:
        """Store a Configuration in place of one of its name; nothing changes if it says nothing new."""
        stored = self.configuration(configuration.key)
        if stored is None:
            return self._put_configuration(configuration, self.identities.new(configuration.metadata))
        former = stored.metadata
        finalizers = configuration.metadata.finalizers or former.finalizers
        wanted = evolve(former, labels=configuration.metadata.labels, annotations=configuration.metadata.annotations, finalizers=finalizers)
        same_spec = _with_metadata(configuration, former) == stored
        if same_spec and wanted == former:
            return stored
        return self._put_configuration(configuration, self.identities.changed(wanted, former, same_spec=same_spec))

    def delete_configuration(self, key: ObjectKey) -> bool:
        """Delete a Configuration and what belongs to it, or mark it while finalizers keep it; False if there is none."""
        stored = self.configuration(key)
        if stored is None:
            return False
        if stored.metadata.finalizers:
            self._change_metadata(stored, evolve(stored.metadata, deleting=True))
        else:
            self._remove_configuration(stored)
        return True

    def drop_configuration_finalizers(self, key: ObjectKey, finalizers: tuple[str, ...]) -> None:
        """Remove finalizers of a Configuration; one that only waited for them goes."""
        stored = self.configuration(key)
        if stored is None:
            return
        left = tuple(name for name in stored.metadata.finalizers if name not in finalizers)
        if stored.metadata.deleting and not left:
            self._remove_configuration(stored)
        else:
            self._change_metadata(stored, evolve(stored.metadata, finalizers=left))

    def put_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Store the status of this very Configuration; its revision grows with it, as on a server."""
        stored = self.configuration(key)
        if stored is None or stored.metadata.uid != uid:
            return
        former = self.statuses.get(key)
        if former is not None and former.uid == uid and former.value == status:
            return
        self.statuses.put(Entry(key, uid, self.identities.revision(), status))
        self._put_configuration(stored, evolve(stored.metadata, revision=self.identities.revision()))

    def put_report(self, report: DiscoveryReport) -> None:
        """Store a node's report; one on a Configuration that is gone is collected at once."""
        stored = self.configuration(report.configuration)
        if stored is None or stored.metadata.uid != report.configuration_uid:
            return
        former = self.reports.get(report.key)
        uid = self.identities.uid() if former is None else former.uid
        self.reports.put(Entry(report.key, uid, self.identities.revision(), report))

    def delete_report(self, report: DiscoveryReport) -> None:
        """Delete a node's report; one that is gone already is deleted."""
        self.reports.remove(report.key, self.identities.revision())

    def put_instance(self, instance: Instance) -> Instance:
        """Store an Instance as it stands, under no rules."""
        former = self.instance(instance.key)
        if former is None:
            return self._store_instance(instance, self.identities.new(instance.metadata))
        return self._replace_instance(instance, former)

    def change_instance(self, key: ObjectKey, decide: Decide) -> Outcome:
        """Carry out a write: decide on the stored Instance and store the answer, in one step."""
        stored = self.instance(key)
        decision = decide(stored)
        match decision:
            case Refused():
                return decision
            case Keep(instance):
                return Done(instance)
            case Delete(instance):
                return Done(self._delete_instance(instance))
            case Write(instance):
                if stored is None:
                    return Done(self._create_instance(instance))
                return Done(stored if instance == stored else self._replace_instance(instance, stored))
        assert_never(decision)

    def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        """Make a node known, or change whether it is ready."""
        key = ObjectKey("", name)
        former = self.nodes.get(key)
        if former is None or former.value.ready != ready:
            uid = self.identities.uid() if former is None else former.uid
            self.nodes.put(Entry(key, uid, self.identities.revision(), Node(name, ready, self.identities.now())))
        self.workloads.assign_pods()

    def remove_node(self, name: NodeName) -> None:
        """Forget a node, and the pods that were assigned to it."""
        self.nodes.remove(ObjectKey("", name), self.identities.revision())
        self.workloads.drop_pods_of(name)

    def collect_if_orphan(self, namespace: str, owners: tuple[OwnerReference, ...]) -> None:
        """Delete what was made for owners that are gone, as a cluster's garbage collector does."""
        if owners and not any(self._stored(namespace, owner) for owner in owners):
            for owner in owners:
                self._collect(owner.uid)

    def _stored(self, namespace: str, owner: OwnerReference) -> bool:
        key = ObjectKey(namespace, owner.name)
        entries = (self.configurations.get(key), self.instances.get(key), self.workloads.jobs.get(key))
        return any(entry is not None and entry.uid == owner.uid for entry in entries)

    def _collect(self, owner: str) -> None:
        for report in self.reports.owned(owner):
            self.reports.remove(report.key, self.identities.revision())
        for instance in self.instances.owned(owner):
            self._delete_instance(instance.value)
        self.workloads.collect(owner)

    def _put_configuration(self, configuration: ConfigurationObservation, metadata: ObjectMeta) -> ConfigurationObservation:
        stored = _with_metadata(configuration, metadata)
        self.configurations.put(Entry(configuration.key, metadata.uid, metadata.revision, stored))
        return stored

    def _change_metadata(self, stored: ConfigurationObservation, metadata: ObjectMeta) -> None:
        if metadata != stored.metadata:
            self._put_configuration(stored, self.identities.changed(metadata, stored.metadata, same_spec=True))

    def _remove_configuration(self, stored: ConfigurationObservation) -> None:
        self.configurations.remove(stored.key, self.identities.revision())
        self.statuses.remove(stored.key, self.identities.revision())
        self._collect(stored.metadata.uid)

    def _create_instance(self, instance: Instance) -> Instance:
        stored = self._store_instance(instance, self.identities.new(evolve(instance.metadata, finalizers=())))
        self.collect_if_orphan(stored.key.namespace, stored.metadata.owners)
        return stored

    def _replace_instance(self, instance: Instance, former: Instance) -> Instance:
        same_spec = evolve(instance, metadata=former.metadata) == former
        return self._store_instance(instance, self.identities.changed(instance.metadata, former.metadata, same_spec=same_spec))

    def _store_instance(self, instance: Instance, metadata: ObjectMeta) -> Instance:
        stored = evolve(instance, metadata=metadata)
        self.instances.put(Entry(stored.key, metadata.uid, metadata.revision, stored))
        return stored

    def _delete_instance(self, instance: Instance) -> Instance | None:
        """Delete it with all that it owns, or mark it while finalizers keep it; return what is left."""
        stored = self.instance(instance.key)
        if stored is not None and instance.metadata.finalizers:
            marked = evolve(instance, metadata=evolve(instance.metadata, deleting=True))
            return stored if marked == stored else self._replace_instance(marked, stored)
        self.instances.remove(instance.key, self.identities.revision())
        self._collect(instance.metadata.uid)
        return None


def _with_metadata(configuration: ConfigurationObservation, metadata: ObjectMeta) -> ConfigurationObservation:
    match configuration:
        case Configuration():
            return evolve(configuration, metadata=metadata)
        case UnreadableConfiguration():
            return evolve(configuration, metadata=metadata)
    assert_never(configuration)

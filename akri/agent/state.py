"""What the agent of one node knows. One thread changes it, only through the methods here, and no method awaits.

Observations and the answers to writes go through the same `observe`, so that it does not matter which comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from attrs import define, field, frozen

from akri.core.allocation import ByConfiguration, ByInstance, Level, held_ids
from akri.core.configuration import Configuration
from akri.core.device import Device
from akri.core.evidence import ABSENCE, Evidence, Id
from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, PluginDeviceId, ResourceName, SlotId
from akri.core.instance import Instance
from akri.core.inventory_instances import only_claimed
from akri.core.naming import resource_name
from akri.core.slots import Held, SlotTable

__all__ = ["NodeState", "Resource", "configuration_of"]

_NO_TABLES: Final[Mapping[InstanceName, SlotTable]] = MappingProxyType({})


@frozen
class Resource:
    """A resource of the kubelet: the Configuration it comes from, and whether it is that one's or an Instance's."""

    configuration: ObjectKey
    level: Level

    @property
    def name(self) -> ResourceName:
        """The kubelet's name for it."""
        match self.level:
            case ByInstance(instance):
                return resource_name(instance)
            case ByConfiguration(configuration):
                return resource_name(configuration)
        assert_never(self.level)


def configuration_of(instance: Instance) -> ObjectKey:
    """Key of the Configuration that an Instance belongs to."""
    return ObjectKey(instance.key.namespace, instance.configuration)


@define(eq=False)
class NodeState:
    """Configurations, Instances, slots, devices and evidence, as this node knows them.

    devices: for each Configuration, the device to hand out for each Instance that this node serves.
    resources: what was last offered to the kubelet. answered: the slot that an id stood for in the last Allocate answer
    of this process. heard_at: when the watch of Instances last delivered anything. changed: Configurations to look at again.
    offers_due: Instances of which the kubelet may have to be told something, though there is nothing to decide: slots were taken.
    members: counts Configurations and Instances that came or went.
    orphaned: by Instance that went, the slots that ids of its Configuration's resource stood for; nobody else knows that any more, and
    pods may use them still when the device is back.
    """

    node: NodeName
    evidence: Evidence
    heard_at: float = 0.0
    configurations: dict[ObjectKey, Configuration] = field(factory=dict[ObjectKey, Configuration])
    instances: dict[ObjectKey, dict[ObjectKey, Instance]] = field(factory=dict[ObjectKey, dict[ObjectKey, Instance]])
    devices: dict[ObjectKey, Mapping[InstanceName, Device]] = field(factory=dict[ObjectKey, Mapping[InstanceName, Device]])
    resources: dict[ResourceName, Resource] = field(factory=dict[ResourceName, Resource])
    members: int = 0
    answered: dict[ResourceName, dict[PluginDeviceId, SlotId]] = field(factory=dict[ResourceName, dict[PluginDeviceId, SlotId]])
    changed: set[ObjectKey] = field(factory=set[ObjectKey])
    offers_due: dict[ObjectKey, set[InstanceName]] = field(factory=dict[ObjectKey, set[InstanceName]])
    orphaned: dict[ObjectKey, Mapping[PluginDeviceId, SlotId]] = field(factory=dict[ObjectKey, Mapping[PluginDeviceId, SlotId]])
    _unused_from: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    _tables: dict[ObjectKey, dict[InstanceName, SlotTable]] = field(factory=dict[ObjectKey, dict[InstanceName, SlotTable]])

    def observe(self, instance: Instance) -> None:
        """Take in a state of an Instance, from the watch or from the answer to a write. An older one changes nothing."""
        configuration = configuration_of(instance)
        known = self.instances.setdefault(configuration, {})
        before = known.get(instance.key)
        same = before is not None and before.metadata.uid == instance.metadata.uid
        if same and before is not None and instance.metadata.revision <= before.metadata.revision:
            return
        if before is not None and not same:
            self._orphan(configuration, before)
        self.members += not same
        known[instance.key] = instance
        self._observe_table(configuration, instance)
        if same and before is not None and only_claimed(before, instance):
            self.offers_due.setdefault(configuration, set()).add(instance.name)
        else:
            self.changed.add(configuration)

    def _observe_table(self, configuration: ObjectKey, instance: Instance) -> None:
        tables = self._tables.setdefault(configuration, {})
        table = tables.get(instance.name)
        updated = SlotTable.read(instance, self.node) if table is None else table.observe(instance)
        if self.node in instance.nodes or updated.doubts or any(True for _ in updated.held()):
            tables[instance.name] = updated
        else:
            tables.pop(instance.name, None)

    def forget(self, key: ObjectKey, uid: str = "") -> None:
        """Take in that an Instance is gone (this very one, where a uid is given)."""
        for configuration, known in self.instances.items():
            instance = known.get(key)
            if instance is not None and uid in {"", instance.metadata.uid}:
                del known[key]
                self.members += 1
                self._orphan(configuration, instance)
                self._tables.get(configuration, {}).pop(instance.name, None)
                self.changed.add(configuration)

    def _orphan(self, configuration: ObjectKey, instance: Instance) -> None:
        """Keep what only the Instance said: which slots ids of its Configuration's resource stand for."""
        table = self._tables.get(configuration, {}).get(instance.name)
        bound = {PluginDeviceId(str(virtual)): slot for virtual, slot in table.virtual()} if table else {}
        if bound:
            self.orphaned[instance.key] = bound

    def orphans(self, configuration: ObjectKey, name: InstanceName) -> Mapping[PluginDeviceId, SlotId]:
        """Tell what ids stand for that pods use, and that stood for slots of an Instance of this name before it went."""
        bound = self.orphaned.get(ObjectKey(configuration.namespace, name))
        if not bound:
            return {}
        listed = self.evidence.listed_ids(resource_name(ConfigurationName(configuration.name)))
        taken = {str(virtual) for table in self.tables(configuration).values() for virtual, _ in table.virtual()}
        return {id_: slot for id_, slot in bound.items() if id_ in listed and id_ not in taken}

    def drop_unused_orphans(self, now: float) -> None:
        """Forget of Instances that went what no pod uses any more; call it after each List."""
        if not self.orphaned:
            return
        listed: set[PluginDeviceId] = set()
        if self.evidence.last is not None:
            listed.update(*self.evidence.last.users.values())
        for key in [key for key, bound in self.orphaned.items() if listed.isdisjoint(bound)]:
            if now - self._unused_from.setdefault(key, now) >= ABSENCE:
                del self.orphaned[key]
        unused = {key for key, bound in self.orphaned.items() if listed.isdisjoint(bound)}
        self._unused_from = {key: since for key, since in self._unused_from.items() if key in unused}

    def reset(self, instances: Iterable[Instance], *, inherit: bool) -> None:
        """Take in the whole present set. inherit: this is the agent's start, and what is held was claimed by a former process."""
        present = {instance.key: instance for instance in instances}
        for known in list(self.instances.values()):
            for key in [key for key in known if key not in present]:
                self.forget(key)
        for instance in present.values():
            self.observe(instance)
        if inherit:
            for tables in self._tables.values():
                tables.update({name: table.inherit() for name, table in tables.items()})

    def find(self, configuration: ObjectKey, name: InstanceName) -> Instance | None:
        """Tell the last known state of an Instance."""
        return self.instances.get(configuration, {}).get(ObjectKey(configuration.namespace, name))

    def tables(self, configuration: ObjectKey) -> Mapping[InstanceName, SlotTable]:
        """Slot tables of a Configuration's Instances that this node is part of, or holds a slot of."""
        return self._tables.get(configuration, _NO_TABLES)

    def set_table(self, configuration: ObjectKey, table: SlotTable) -> None:
        """Keep what became of a table by a write of this node."""
        if table.instance in self._tables.get(configuration, _NO_TABLES):
            self._tables[configuration][table.instance] = table

    def held(self) -> Mapping[Id, tuple[Resource, tuple[Held, ...]]]:
        """Tell everything that this node holds, by the id that the kubelet knows it under."""
        found: dict[Id, tuple[Resource, tuple[Held, ...]]] = {}
        for configuration, tables in self._tables.items():
            holding = {name: table for name, table in tables.items() if any(True for _ in table.held())}
            levels: list[Level] = [ByInstance(name) for name in holding]
            for level in [ByConfiguration(ConfigurationName(configuration.name)), *levels]:
                resource = Resource(configuration, level)
                covered = {level.instance: holding[level.instance]} if isinstance(level, ByInstance) else holding
                found |= {(resource.name, id_): (resource, slots) for id_, slots in held_ids(level, covered).items()}
        return found

    def users(self, configuration: ObjectKey, instance: InstanceName) -> Iterable[ObjectKey]:
        """Tell which pods of this node use slots of an Instance, as far as they were listed."""
        last = self.evidence.last
        table = self.tables(configuration).get(instance)
        if last is None or table is None:
            return ()
        by_slot = last.users.get(resource_name(instance), {})
        by_virtual = last.users.get(resource_name(ConfigurationName(configuration.name)), {})
        bound = [PluginDeviceId(str(virtual)) for virtual, _ in table.virtual()]
        return sorted({*by_slot.values(), *(by_virtual[id_] for id_ in bound if id_ in by_virtual)})

    def doubtful(self) -> Iterable[tuple[ObjectKey, SlotTable]]:
        """Tables with a write whose outcome is not known, and their Configurations."""
        return [(key, table) for key, tables in self._tables.items() for table in tables.values() if table.doubts]

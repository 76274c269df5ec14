"""What the kubelet is offered: one resource for each Configuration and one for each of this node's Instances.

A resource whose Instance is gone stays, all Unhealthy, as long as a pod of this node uses one of its ids: the kubelet would
call an id that it does not see any more Healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from attrs import define, field

from akri.agent.state import NodeState, Resource
from akri.core.allocation import ByConfiguration, ByInstance, Level, advertised
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.slots import SlotTable

__all__ = ["Offers", "Plugins"]


class Plugins(Protocol):
    """The device plugins of this node (`akri.deviceplugin.PluginHost`)."""

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool) -> None:
        """Offer a resource with all its devices, Healthy or not; in_use: register it before those that nobody uses."""
        ...

    def withdraw(self, resource: ResourceName) -> None:
        """Stop offering a resource."""
        ...


@define(eq=False)
class Offers:
    """Keeps the plugins in line with the state.

    lingering: resources that are offered only because pods still use them. _seen: what each Instance's list was made from, for
    most of them do not change when one does.
    """

    state: NodeState
    plugins: Plugins
    lingering: dict[ResourceName, ObjectKey] = field(factory=dict[ResourceName, ObjectKey])
    _seen: dict[ResourceName, tuple[SlotTable, bool, Mapping[PluginDeviceId, bool]]] = field(
        factory=dict[ResourceName, tuple[SlotTable, bool, Mapping[PluginDeviceId, bool]]]
    )
    _sent: dict[ResourceName, tuple[Mapping[PluginDeviceId, bool], bool]] = field(
        factory=dict[ResourceName, tuple[Mapping[PluginDeviceId, bool], bool]]
    )

    def update(self, configuration: ObjectKey, *, refused: bool = False) -> None:
        """Offer what the state says about one Configuration; nothing of a refused one, or of one that is gone."""
        resources = self._resources(configuration)
        wanted = {} if refused else {resource.name: (resource, self._devices(resource)) for resource in resources}
        self.state.resources.update({name: resource for name, (resource, _) in wanted.items()})
        for name, (_, devices) in wanted.items():
            self.lingering.pop(name, None)
            self._offer(name, devices)
        for name, resource in list(self.state.resources.items()):
            if resource.configuration == configuration and name not in wanted:
                self._linger(name, resource)

    def refresh(self, configuration: ObjectKey, names: Iterable[InstanceName]) -> None:
        """Offer again what depends on the slots of these Instances, and on what is listed: most of a Configuration does not."""
        levels: list[Level] = [ByInstance(name) for name in names if name in self.state.tables(configuration)]
        for level in (*levels, ByConfiguration(ConfigurationName(configuration.name))):
            resource = Resource(configuration, level)
            if resource.name in self.state.resources and resource.name not in self.lingering:
                self._offer(resource.name, self._devices(resource))
        for name in [name for name, owner in self.lingering.items() if owner == configuration]:
            self._linger(name, self.state.resources[name])

    def _resources(self, configuration: ObjectKey) -> list[Resource]:
        serving = self.state.devices.get(configuration, {})
        tables = self.state.tables(configuration)
        kept = [name for name, table in tables.items() if name in serving or any(True for _ in table.held())]
        resources = [Resource(configuration, ByInstance(name)) for name in kept]
        if configuration in self.state.configurations:
            resources.append(Resource(configuration, ByConfiguration(ConfigurationName(configuration.name))))
        return resources

    def _devices(self, resource: Resource) -> Mapping[PluginDeviceId, bool]:
        tables = self.state.tables(resource.configuration)
        serving = self.state.devices.get(resource.configuration, {})
        if isinstance(resource.level, ByConfiguration):
            return advertised(resource.level, tables, serving=serving, listed=self.state.evidence.listed_ids(resource.name))
        name = resource.level.instance
        table, is_served = tables[name], name in serving
        seen = self._seen.get(resource.name)
        if seen is None or seen[0] is not table or seen[1] != is_served:
            devices = advertised(resource.level, {name: table}, serving=serving)
            seen = self._seen[resource.name] = (table, is_served, devices)
        return seen[2]

    def _offer(self, name: ResourceName, devices: Mapping[PluginDeviceId, bool]) -> None:
        in_use = bool(self.state.evidence.listed_ids(name))
        if self._sent.get(name) != (devices, in_use):
            self._sent[name] = (devices, in_use)
            self.plugins.offer(name, devices, in_use=in_use)

    def _linger(self, name: ResourceName, resource: Resource) -> None:
        used = self.state.evidence.listed_ids(name)
        if used:
            self.lingering[name] = resource.configuration
            self._offer(name, dict.fromkeys(used, False))
            return
        self.lingering.pop(name, None)
        self._sent.pop(name, None)
        self._seen.pop(name, None)
        del self.state.resources[name]
        self.state.answered.pop(name, None)
        self.plugins.withdraw(name)

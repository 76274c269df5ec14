"""What the kubelet is offered: one resource for each Configuration and one for each of this node's Instances.

A resource whose Instance is gone stays, all Unhealthy, as long as a pod of this node uses one of its ids: the kubelet would
call an id that it does not see any more Healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from attrs import define, field

from akri.agent.state import NodeState, Resource
from akri.core.allocation import ByConfiguration, ByInstance, Level, advertised
from akri.core.device import Device
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.slots import SlotTable

__all__ = ["Offers", "Plugins"]


_Made: TypeAlias = tuple[SlotTable, bool]
_NO_DEVICES: Final[Mapping[InstanceName, Device]] = MappingProxyType({})
_NOTHING_MADE: Final[Mapping[InstanceName, _Made]] = MappingProxyType({})


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

    lingering: resources that are offered only because pods still use them. _made: for each Configuration, whether it was refused,
    and from what its Instances' lists were made; _seen: those lists. Most of them do not change when one does.
    """

    state: NodeState
    plugins: Plugins
    lingering: dict[ResourceName, ObjectKey] = field(factory=dict[ResourceName, ObjectKey])
    _seen: dict[ResourceName, tuple[SlotTable, bool, Mapping[PluginDeviceId, bool]]] = field(
        factory=dict[ResourceName, tuple[SlotTable, bool, Mapping[PluginDeviceId, bool]]]
    )
    _made: dict[ObjectKey, tuple[bool, Mapping[InstanceName, _Made]]] = field(
        factory=dict[ObjectKey, tuple[bool, Mapping[InstanceName, _Made]]]
    )
    _sent: dict[ResourceName, tuple[Mapping[PluginDeviceId, bool], bool]] = field(
        factory=dict[ResourceName, tuple[Mapping[PluginDeviceId, bool], bool]]
    )

    def update(self, configuration: ObjectKey, *, refused: bool = False) -> None:
        """Offer what the state says about one Configuration; nothing of a refused one, or of one that is gone."""
        changed = self._changed(configuration, refused=refused)
        try:
            self._update(configuration, changed, refused=refused)
        except BaseException:
            self._made.pop(configuration, None)  # the next time, everything is looked at
            raise

    def _update(self, configuration: ObjectKey, changed: Sequence[InstanceName], *, refused: bool) -> None:
        for name in changed:
            resource = Resource(configuration, ByInstance(name))
            self._offer_or_linger(resource, offered=not refused and self._is_kept(configuration, name))
        level = ByConfiguration(ConfigurationName(configuration.name))
        resource = Resource(configuration, level)
        wanted = not refused and configuration in self.state.configurations
        if changed or not wanted or self.state.resources.get(resource.name) != resource:
            self._offer_or_linger(resource, offered=wanted)
        for lingering in [one for one, owner in self.lingering.items() if owner == configuration]:
            self._linger(lingering, self.state.resources[lingering])
        if configuration not in self.state.configurations:
            del self._made[configuration]

    def _changed(self, configuration: ObjectKey, *, refused: bool) -> Sequence[InstanceName]:
        """Tell which Instances are not as they were when their resources were offered; those that are gone, too."""
        serving, tables = self.state.devices.get(configuration, _NO_DEVICES), self.state.tables(configuration)
        before_refused, before = self._made.get(configuration, (refused, _NOTHING_MADE))
        made = {name: (table, name in serving) for name, table in tables.items()}
        self._made[configuration] = refused, made
        gone = [name for name in before if name not in made]
        if before_refused != refused:
            return [*made, *gone]
        return [*(name for name, now in made.items() if _differs(before.get(name), now)), *gone]

    def _is_kept(self, configuration: ObjectKey, name: InstanceName) -> bool:
        table = self.state.tables(configuration).get(name)
        if table is None:
            return False
        return name in self.state.devices.get(configuration, _NO_DEVICES) or any(True for _ in table.held())

    def _offer_or_linger(self, resource: Resource, *, offered: bool) -> None:
        if offered:
            self.state.resources[resource.name] = resource
            self.lingering.pop(resource.name, None)
            self._offer(resource.name, self._devices(resource))
        elif self.state.resources.get(resource.name) == resource:  # it may be another's by now
            self._linger(resource.name, resource)

    def refresh(self, configuration: ObjectKey, names: Iterable[InstanceName]) -> None:
        """Offer again what depends on the slots of these Instances, and on what is listed: most of a Configuration does not."""
        levels: list[Level] = [ByInstance(name) for name in names if name in self.state.tables(configuration)]
        for level in (*levels, ByConfiguration(ConfigurationName(configuration.name))):
            resource = Resource(configuration, level)
            if resource.name in self.state.resources and resource.name not in self.lingering:
                self._offer(resource.name, self._devices(resource))
        for name in [name for name, owner in self.lingering.items() if owner == configuration]:
            self._linger(name, self.state.resources[name])

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
            self.plugins.offer(name, devices, in_use=in_use)
            self._sent[name] = (devices, in_use)

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


def _differs(before: _Made | None, now: _Made) -> bool:
    return before is None or before[0] is not now[0] or before[1] != now[1]

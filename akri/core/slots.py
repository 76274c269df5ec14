"""The slots of one Instance as one node sees them: who holds which, what is in doubt, what the kubelet is told.

A table is a frozen value. It changes by observations of the Instance (`observe`) and by what became of this node's
own writes (`sent`, `settled`). Memory never runs ahead of the store: a slot counts as held only when an observation says so.

A write of ours marks its slot as doubtful when it is sent and clears it when a definite answer is there. So an answer that
never comes, whatever the reason, leaves the slot in doubt without anybody having to notice (sharing.md, "Claim").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from attrs import evolve, field, frozen

from akri.core.errors import AkriError, Problem, short
from akri.core.ids import InstanceName, NodeName, ObjectKey, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.instance import Instance
from akri.core.usage import FREE, Free, HeldByConfiguration, HeldByNode, Usage, holder_node, parse_usage

__all__ = ["Claimable", "Fence", "Held", "Ours", "SlotState", "SlotTable", "Taken", "Unreadable"]

_Usages: TypeAlias = Mapping[int, Usage]
_NONE: Final[_Usages] = MappingProxyType({})


def _frozen(value: _Usages) -> _Usages:
    return MappingProxyType(dict(value))


@frozen
class Unreadable:
    """A key of deviceUsage, or its value, that nobody can read, and why. `index` is the slot it blocks, None for no slot."""

    key: str
    problem: Problem
    index: int | None = None


@frozen
class Held:
    """A slot that this node holds."""

    slot: SlotId
    usage: HeldByNode | HeldByConfiguration


@frozen
class Ours:
    """The slot is held exactly as wanted: answer without a write."""


@frozen
class Claimable:
    """The slot is free: one write takes it."""


@frozen
class Fence:
    """An earlier write to this slot may still be on its way: fence the Instance and look again."""


@frozen
class Taken:
    """The slot cannot be had; `holder` is who has it, None where nobody can tell (the text is unreadable)."""

    holder: HeldByNode | HeldByConfiguration | None


SlotState: TypeAlias = Ours | Claimable | Fence | Taken
"""What stands between a wish for a slot and having it."""


@frozen
class SlotTable:
    """Slots of one Instance.

    usages: index -> usage, for every key that could be read, also beyond the capacity (those drain).
    doubts: index -> what a write with unknown outcome tried to make of it (a Usage; FREE for a release).
    inherited: indexes that this node held when its agent started. A release of the former process may still be on its way.
    """

    node: NodeName
    key: ObjectKey
    uid: str
    revision: int
    capacity: int
    usages: _Usages = field(default=_NONE, converter=_frozen, hash=False)
    unreadable: tuple[Unreadable, ...] = ()
    doubts: _Usages = field(default=_NONE, converter=_frozen, hash=False)
    inherited: frozenset[int] = frozenset()

    @classmethod
    def read(cls, instance: Instance, node: NodeName) -> SlotTable:
        """Read an Instance as a node sees it. Nothing that stands in it can make this fail."""
        usages, unreadable = _read_usages(instance)
        metadata = instance.metadata
        return cls(node, metadata.key, metadata.uid, metadata.revision, instance.capacity, usages, unreadable)

    @property
    def instance(self) -> InstanceName:
        """Name of the Instance."""
        return InstanceName(self.key.name)

    def inherit(self) -> SlotTable:
        """Mark what this node holds as found at the agent's start."""
        return evolve(self, inherited=frozenset(held.slot.index for held in self.held()))

    def observe(self, instance: Instance) -> SlotTable:
        """Take in a state of the Instance. An older one than known changes nothing; another uid is another Instance."""
        metadata = instance.metadata
        if metadata.uid != self.uid:
            return SlotTable.read(instance, self.node)
        if metadata.revision < self.revision:
            return self
        usages, unreadable = _read_usages(instance)
        table = evolve(self, revision=metadata.revision, capacity=instance.capacity, usages=usages, unreadable=unreadable)
        return evolve(table, inherited=self.inherited & {held.slot.index for held in table.held()})

    def sent(self, index: int, wanted: Usage) -> SlotTable:
        """Note that a write is being sent that makes the slot `wanted` (FREE for a release): in doubt until settled."""
        return evolve(self, doubts={**self.doubts, index: wanted})

    def settled(self, index: int) -> SlotTable:
        """Note that the answer to the last write to this slot is definite, and taken in by `observe`."""
        return evolve(self, doubts={known: wanted for known, wanted in self.doubts.items() if known != index})

    def fenced(self, instance: Instance) -> SlotTable:
        """Take in the answer of a fencing write: no release sent before it can succeed any more, and the state is fresh."""
        return evolve(self.observe(instance), doubts={}, inherited=frozenset())

    def usage(self, index: int) -> Usage | None:
        """Tell who holds a slot. A missing key below the capacity is free; None if it is unreadable, or no slot."""
        if index in self.usages:
            return self.usages[index]
        blocked = any(entry.index == index for entry in self.unreadable)
        return FREE if index < self.capacity and not blocked else None

    def state(self, index: int, wanted: HeldByNode | HeldByConfiguration) -> SlotState:
        """Tell what to do to have the slot as `wanted`. The one path for both kinds of resource."""
        if index in self.doubts or index in self.inherited:
            return Fence()
        usage = self.usage(index)
        match usage:
            case Free():
                return Claimable() if index < self.capacity else Taken(None)
            case HeldByNode() | HeldByConfiguration():
                return Ours() if usage == wanted else Taken(usage)
            case None:
                return Taken(None)
        assert_never(usage)

    def free(self) -> Iterator[int]:
        """Indexes that are free as far as is known, lowest first; those in doubt, which need a fence, come last."""
        return iter(self._free)

    @cached_property
    def _free(self) -> tuple[int, ...]:
        known = (index for index in range(self.capacity) if self.usage(index) == FREE)
        return tuple(sorted(known, key=lambda index: index in self.doubts))

    def held(self) -> Iterator[Held]:
        """What this node holds, lowest index first, also beyond the capacity."""
        return iter(self._held)

    @cached_property
    def _held(self) -> tuple[Held, ...]:
        # Asked at every change of any table of a Configuration, so it is worked out once for each state of a table.
        usages = sorted(self.usages.items(), key=lambda item: item[0])
        return tuple(
            Held(SlotId(self.instance, index), usage) for index, usage in usages if not isinstance(usage, Free) and usage.node == self.node
        )

    def may_release(self, held: Held) -> bool:
        """Whether a release may be sent: it is ours, and no earlier write to it is in doubt.

        The answer to a second write would settle the doubt of the first, which may still take effect: fence before.
        """
        return held in self._held and held.slot.index not in self.doubts

    def used(self) -> int:
        """How many slots are held by anybody, or unreadable."""
        held = sum(1 for usage in self.usages.values() if not isinstance(usage, Free))
        return held + sum(1 for entry in self.unreadable if entry.index is not None)

    def health(self) -> Mapping[PluginDeviceId, bool]:
        """Tell what the kubelet is told at Instance level: slot -> Healthy or not, for this node.

        Free, or held by this node through the Instance: Healthy. Anything else: Unhealthy. A slot beyond the capacity is
        listed, Unhealthy, as long as this node holds it: a device in use must not vanish from the list.
        """
        own = HeldByNode(self.node)
        listed = {index: self.usage(index) in {FREE, own} for index in range(self.capacity)}
        drained = {index: False for index, usage in self.usages.items() if index >= self.capacity and usage == own}
        return {PluginDeviceId(str(SlotId(self.instance, index))): healthy for index, healthy in (listed | drained).items()}

    def virtual(self) -> Iterator[tuple[VirtualDeviceId, SlotId]]:
        """Virtual devices of this node that are bound here, and to which slots."""
        return ((held.usage.virtual, held.slot) for held in self.held() if isinstance(held.usage, HeldByConfiguration))

    def nodes_holding(self) -> Iterator[NodeName]:
        """Nodes that hold a slot, each once, in the order of their lowest slot."""
        holders = (holder_node(usage) for _, usage in sorted(self.usages.items(), key=lambda item: item[0]))
        return iter(dict.fromkeys(holder for holder in holders if holder is not None))


def _read_usages(instance: Instance) -> tuple[dict[int, Usage], tuple[Unreadable, ...]]:
    usages: dict[int, Usage] = {}
    unreadable: list[Unreadable] = []
    for key, text in instance.device_usage.items():
        slot = _read_key(key, instance.name)
        if slot is None:
            expected = f"'{instance.name}-<index>'"
            unreadable.append(Unreadable(key, Problem("spec.deviceUsage", f"key {short(key)} is not a slot: expected {expected}")))
            continue
        try:
            usages[slot.index] = parse_usage(text)
        except AkriError as error:
            unreadable.append(Unreadable(key, Problem(f"spec.deviceUsage.{key}", str(error)), slot.index))
    return usages, tuple(unreadable)


def _read_key(key: str, instance: InstanceName) -> SlotId | None:
    try:
        slot = SlotId.parse(key)
    except AkriError:
        return None
    return slot if slot.instance == instance else None

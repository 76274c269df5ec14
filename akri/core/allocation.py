"""What the kubelet's Allocate needs before it can be answered: the next steps, a grant, or a refusal that names the holder.

One path for Instance-level and Configuration-level resources: they differ only in how an id is bound to a slot.
The caller executes the steps, takes their outcomes into the tables, and asks again, until a Grant or a Denial comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, assert_never

from attrs import field, frozen

from akri.core.errors import AkriError, ClaimRefusedError, DeviceUnavailableError
from akri.core.ids import ConfigurationName, InstanceName, NodeName, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.slots import Claimable, Fence, Held, Ours, SlotTable, Taken
from akri.core.usage import HeldByConfiguration, HeldByNode, print_usage

__all__ = [
    "Binding",
    "ByConfiguration",
    "ByInstance",
    "ClaimSlot",
    "Denial",
    "FenceInstance",
    "Grant",
    "Level",
    "ReleaseSlot",
    "Step",
    "Steps",
    "advertised",
    "allocate",
    "held_ids",
    "strays",
]


@frozen
class ByInstance:
    """The resource of one Instance: its ids are slots."""

    instance: InstanceName


@frozen
class ByConfiguration:
    """The resource of a Configuration: its ids are virtual devices, bound to Instances when they are asked for."""

    configuration: ConfigurationName


Level: TypeAlias = ByInstance | ByConfiguration
"""Which kind of resource an id belongs to."""


@frozen
class Binding:
    """An id of a request, the slot it stands for, and the usage that makes the slot ours."""

    id: PluginDeviceId
    slot: SlotId
    usage: HeldByNode | HeldByConfiguration


@frozen
class ClaimSlot:
    """Send the one write that takes a free slot."""

    binding: Binding


@frozen
class FenceInstance:
    """Send a fencing write, so that what was sent earlier can no longer succeed; its answer is a fresh state."""

    instance: InstanceName


@frozen
class ReleaseSlot:
    """Give a slot back that a held id is bound to and nobody uses, so that the id can be bound to another Instance."""

    held: Held


Step: TypeAlias = ClaimSlot | FenceInstance | ReleaseSlot
"""One write that has to be answered before the next decision."""


@frozen
class Grant:
    """All ids are ours; in the order asked for."""

    bindings: tuple[Binding, ...]


@frozen
class Steps:
    """Do these first; they do not depend on each other."""

    steps: tuple[Step, ...]


@frozen
class Denial:
    """The request cannot be met; what it took before has to be given back."""

    error: AkriError


@frozen
class _View:
    """What a decision looks at: this node's tables, and what is known of the use of its ids."""

    node: NodeName
    level: Level
    tables: Mapping[InstanceName, SlotTable] = field(hash=False)
    serving: frozenset[InstanceName]
    unused: frozenset[PluginDeviceId]
    answered: Mapping[PluginDeviceId, SlotId] = field(hash=False)


def allocate(
    level: Level,
    ids: Sequence[PluginDeviceId],
    node: NodeName,
    tables: Mapping[InstanceName, SlotTable],
    *,
    serving: Iterable[InstanceName],
    unused: Iterable[PluginDeviceId] = (),
    answered: Mapping[PluginDeviceId, SlotId] | None = None,
) -> Grant | Steps | Denial:
    """Decide what an Allocate needs next.

    tables: of the Instances that the resource covers. serving: those whose device this node sees and hands out.
    unused: ids that this node holds and that are proven to have no user; they may be bound anew.
    answered: the slot that each id stood for in the last answer of this process, where it is known.
    """
    view = _View(node, level, tables, frozenset(serving), frozenset(unused), answered or {})
    try:
        bound = _bind(view, tuple(dict.fromkeys(ids)))
        if isinstance(bound, Steps):
            return bound
        steps = tuple(step for binding in bound if (step := _step(view, binding)) is not None)
    except AkriError as error:
        return Denial(error)
    return Steps(tuple(dict.fromkeys(steps))) if steps else Grant(bound)


def _step(view: _View, binding: Binding) -> Step | None:
    table = view.tables[binding.slot.instance]
    state = table.state(binding.slot.index, binding.usage)
    match state:
        case Ours():
            return None
        case Fence():
            return FenceInstance(table.instance)
        case Claimable():
            return ClaimSlot(binding)
        case Taken(holder):
            raise _taken(binding.slot, holder)
    assert_never(state)


def _taken(slot: SlotId, holder: HeldByNode | HeldByConfiguration | None) -> ClaimRefusedError:
    if holder is None:
        return ClaimRefusedError(f"slot {slot} cannot be claimed: it is beyond the capacity, or its usage cannot be read")
    return ClaimRefusedError(f"slot {slot} is held by {_who(holder)}", print_usage(holder))


def _who(usage: HeldByNode | HeldByConfiguration) -> str:
    match usage:
        case HeldByConfiguration(virtual, node):
            return f"{node} (as {virtual})"
        case HeldByNode(node):
            return node
    assert_never(usage)


def _bind(view: _View, ids: tuple[PluginDeviceId, ...]) -> tuple[Binding, ...] | Steps:
    match view.level:
        case ByInstance(instance):
            return tuple(_bind_slot(view, instance, id_) for id_ in ids)
        case ByConfiguration(configuration):
            return _bind_virtual(view, tuple(_virtual(configuration, id_) for id_ in ids))
    assert_never(view.level)


def _bind_slot(view: _View, instance: InstanceName, id_: PluginDeviceId) -> Binding:
    slot = SlotId.parse(id_)
    if slot.instance != instance or instance not in view.tables:
        raise DeviceUnavailableError(f"device {id_} is not a slot of Instance {instance} on this node")
    if instance not in view.serving:
        raise DeviceUnavailableError(f"the device of Instance {instance} is gone: slot {slot} cannot be handed out")
    return Binding(id_, slot, HeldByNode(view.node))


def _virtual(configuration: ConfigurationName, id_: PluginDeviceId) -> VirtualDeviceId:
    virtual = VirtualDeviceId.parse(id_)
    if virtual.configuration != configuration:
        raise DeviceUnavailableError(f"device {id_} is not a virtual device of Configuration {configuration}")
    return virtual


def _bind_virtual(view: _View, wanted: tuple[VirtualDeviceId, ...]) -> tuple[Binding, ...] | Steps:
    """Keep the bindings of held ids, bind the others to Instances that no id of the request is bound to, least used first."""
    known = _known_bindings(view)
    bound: dict[VirtualDeviceId, SlotId] = {}
    taken: set[InstanceName] = set()
    clashing: list[VirtualDeviceId] = []
    # Ids that may be in use come first: of two on one Instance, the one that is proven unused has to give way.
    for virtual in sorted(wanted, key=lambda virtual: PluginDeviceId(str(virtual)) in view.unused):
        slot = known.get(virtual)
        if slot is None or slot.instance in taken:
            clashing.extend([virtual] if slot else [])
            continue
        if slot.instance not in view.serving:
            raise DeviceUnavailableError(f"the device of Instance {slot.instance} is gone: {virtual} is bound to it")
        bound[virtual] = slot
        taken.add(slot.instance)
    if clashing:
        return _give_up(view, clashing, known)
    for virtual in wanted:
        if virtual not in bound:
            bound[virtual] = _least_used(view, virtual, taken)
            taken.add(bound[virtual].instance)
    return tuple(Binding(PluginDeviceId(str(virtual)), bound[virtual], HeldByConfiguration(virtual, view.node)) for virtual in wanted)


def _known_bindings(view: _View) -> Mapping[VirtualDeviceId, SlotId]:
    """Tell which slot each id is bound to: by a claim in doubt, for then it binds to nothing else, or by the usage text.

    A claim that took effect very late can leave one id on two slots: then the one that the kubelet was told counts.
    """
    known: dict[VirtualDeviceId, SlotId] = {}
    for name in sorted(view.tables):
        table = view.tables[name]
        for index, wanted in sorted(table.doubts.items(), key=lambda item: item[0]):
            if isinstance(wanted, HeldByConfiguration):
                known.setdefault(wanted.virtual, SlotId(name, index))
    slots = [(virtual, slot) for name in view.tables for virtual, slot in view.tables[name].virtual()]
    for virtual, slot in sorted(slots, key=lambda entry: _preference(view, *entry)):
        known.setdefault(virtual, slot)
    return known


def _preference(view: _View, virtual: VirtualDeviceId, slot: SlotId) -> tuple[bool, bool, SlotId]:
    told = view.answered.get(PluginDeviceId(str(virtual)))
    return (slot != told, slot.instance not in view.serving, slot)


def _give_up(view: _View, clashing: Sequence[VirtualDeviceId], known: Mapping[VirtualDeviceId, SlotId]) -> Steps:
    """Two held ids of one request are bound to one Instance: release those that are proven unused, else say why not."""
    steps: list[Step] = []
    for virtual in clashing:
        slot = known[virtual]
        usage = HeldByConfiguration(virtual, view.node)
        if PluginDeviceId(str(virtual)) not in view.unused:
            raise DeviceUnavailableError(f"{virtual} is bound to Instance {slot.instance}, as another device of this request is")
        in_doubt = isinstance(view.tables[slot.instance].state(slot.index, usage), Fence)
        steps.append(FenceInstance(slot.instance) if in_doubt else ReleaseSlot(Held(slot, usage)))
    return Steps(tuple(dict.fromkeys(steps)))


def _least_used(view: _View, virtual: VirtualDeviceId, taken: set[InstanceName]) -> SlotId:
    candidates = (view.tables[name] for name in view.serving - taken if name in view.tables)
    for table in sorted(candidates, key=lambda table: (bool(table.doubts), table.used(), table.instance)):
        for index in table.free():
            return SlotId(table.instance, index)
    raise ClaimRefusedError(f"no Instance has a free slot for {virtual}: {_all_held(view, taken)}")


def _all_held(view: _View, taken: set[InstanceName]) -> str:
    parts: list[str] = []
    for name in sorted(view.tables):
        if name in taken:
            parts.append(f"{name} is given to another device of this request")
        elif name not in view.serving:
            parts.append(f"the device of {name} is gone")
        else:
            parts.append(f"{name} is held by {', '.join(view.tables[name].nodes_holding()) or 'somebody whose name cannot be read'}")
    return "; ".join(parts) or "no device was found"


def held_ids(level: Level, tables: Mapping[InstanceName, SlotTable]) -> Mapping[PluginDeviceId, tuple[Held, ...]]:
    """Tell which slots this node holds through a resource, by the id that the kubelet knows them under."""
    ids: dict[PluginDeviceId, list[Held]] = {}
    for name in sorted(tables):
        for held in tables[name].held():
            match level, held.usage:
                case ByInstance(instance), HeldByNode() if instance == name:
                    ids.setdefault(PluginDeviceId(str(held.slot)), []).append(held)
                case ByConfiguration(configuration), HeldByConfiguration(virtual, _) if virtual.configuration == configuration:
                    ids.setdefault(PluginDeviceId(str(virtual)), []).append(held)
                case _:
                    pass
    return {id_: tuple(slots) for id_, slots in ids.items()}


def strays(ids: Mapping[PluginDeviceId, tuple[Held, ...]], answered: Mapping[PluginDeviceId, SlotId]) -> tuple[Held, ...]:
    """Slots that a late claim took for an id which the kubelet was told to be another slot: nobody uses them.

    ids: as `held_ids` gives them, those that `Evidence.answered_long_ago` allows. answered: the slot that each id stood for
    in the last answer of this process.
    """
    told = [(answered[id_], slots) for id_, slots in ids.items() if id_ in answered]
    return tuple(held for slot, slots in told if slot in {held.slot for held in slots} for held in slots if held.slot != slot)


def advertised(
    level: Level,
    tables: Mapping[InstanceName, SlotTable],
    *,
    serving: Iterable[InstanceName],
    listed: Iterable[PluginDeviceId] = (),
) -> Mapping[PluginDeviceId, bool]:
    """Tell what the kubelet is told of a resource: every id, and whether it is Healthy.

    serving: Instances whose device this node sees; of the others only what is held stays listed, Unhealthy.
    listed: ids that a pod was seen to use. An Instance on which this node holds an id that is not among them is not
    offered a second time (sharing.md, "Configuration-level resources").
    """
    alive = frozenset(serving)
    held = held_ids(level, tables)
    match level:
        case ByInstance(instance):
            if instance not in tables:
                return {}
            return tables[instance].health() if instance in alive else dict.fromkeys(held, False)
        case ByConfiguration(configuration):
            health = {id_: any(slot.slot.instance in alive for slot in slots) for id_, slots in held.items()}
            missing = _free_instances(tables, alive, held, frozenset(listed))
            return health | dict.fromkeys(_unused_ids(configuration, health, missing), True)
    assert_never(level)


def _free_instances(
    tables: Mapping[InstanceName, SlotTable],
    alive: frozenset[InstanceName],
    held: Mapping[PluginDeviceId, tuple[Held, ...]],
    listed: frozenset[PluginDeviceId],
) -> int:
    idle = {slot.slot.instance for id_, slots in held.items() if id_ not in listed for slot in slots}
    return sum(1 for name, table in tables.items() if name in alive and name not in idle and any(True for _ in table.free()))


def _unused_ids(configuration: ConfigurationName, used: Mapping[PluginDeviceId, bool], count: int) -> list[PluginDeviceId]:
    ids: list[PluginDeviceId] = []
    k = 0
    while len(ids) < count:
        id_ = PluginDeviceId(str(VirtualDeviceId(configuration, k)))
        if id_ not in used:
            ids.append(id_)
        k += 1
    return ids

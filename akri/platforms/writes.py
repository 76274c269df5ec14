"""What each write does to a stored Instance, as pure functions; each platform carries the answer out atomically, whatever it stores in.

The rules are those of sharing.md: each write tests what it relies on, and nobody writes what is not theirs to write.
`me` is the node whose agent asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from attrs import evolve, frozen

from akri.core.configuration import MAXIMUM_CAPACITY
from akri.core.errors import InvalidValueError, short
from akri.core.ids import InstanceName, NodeName, SlotId
from akri.core.instance import ANNOTATION_FENCE, ANNOTATION_GENERATION, Instance
from akri.core.usage import Usage, holder_node, parse_usage, print_usage
from akri.ports import Refusal, Refused

__all__ = [
    "Decide",
    "Decision",
    "Delete",
    "Keep",
    "Write",
    "claim",
    "create",
    "delete_instance",
    "drop_finalizers",
    "fence",
    "join",
    "leave",
    "release",
    "remove_node",
    "repair_usage",
    "update",
    "write_capacity",
]

_MAXIMUM_NODES: Final = 1000
_MAXIMUM_PROPERTIES: Final = 256
_MAXIMUM_TEXT: Final = 4096


@frozen
class Write:
    """Store this in place of what is there; the store gives revision, generation and, for a new object, uid and time."""

    instance: Instance


@frozen
class Delete:
    """Delete the Instance, or mark it as deleting while finalizers keep it; `instance` is its last content."""

    instance: Instance


@frozen
class Keep:
    """Nothing is to do; the write is done."""

    instance: Instance | None


Decision: TypeAlias = Write | Delete | Keep | Refused
"""What a write does to the stored Instance."""
Decide: TypeAlias = Callable[[Instance | None], Decision]
"""A write with all its arguments but the stored Instance (None: there is none)."""


def create(stored: Instance | None, instance: Instance, me: NodeName) -> Decision:
    """Store a new Instance: seen by `me` alone, all slots free, with its Configuration as its one controller."""
    if stored is not None:
        return Refused(Refusal.EXISTS, f"Instance {instance.key} exists", stored)
    problem = _schema_problem(instance)
    if problem:
        return Refused(Refusal.INVALID, problem)
    problem = _creation_problem(instance, me)
    if problem:
        return Refused(Refusal.FORBIDDEN, problem)
    return Write(instance)


def join(stored: Instance | None, uid: str, node: NodeName, me: NodeName) -> Decision:
    """Add the node at the end of `nodes`."""
    if stored is None or stored.metadata.uid != uid:
        return _missing(uid)
    if node in stored.nodes:
        return Keep(stored)
    if node != me:
        return _forbidden(stored, f"node {me} must not add node {node}")
    if not stored.shared:
        return _forbidden(stored, f"Instance {stored.key} is not shared, so node {me} must not join it")
    if len(stored.nodes) >= _MAXIMUM_NODES:
        message = f"spec.nodes: Instance {stored.key} has {_MAXIMUM_NODES} nodes, which is the most it can have"
        return Refused(Refusal.INVALID, message, stored)
    return Write(evolve(stored, nodes=(*stored.nodes, node)))


def leave(stored: Instance | None, uid: str, node: NodeName, me: NodeName) -> Decision:
    """Remove the node; the Instance goes with its last one, also if an earlier try got no further than the node."""
    if stored is None or stored.metadata.uid != uid:
        return Keep(None)
    if node != me:
        return _forbidden(stored, f"node {me} must not remove node {node}")
    left = tuple(name for name in stored.nodes if name != node)
    if not left:
        return Delete(evolve(stored, nodes=left))
    return Write(evolve(stored, nodes=left))


def update(stored: Instance | None, instance: Instance, me: NodeName) -> Decision:
    """Write what the reporter writes. Used slots stay whatever `instance` says of them."""
    refused = _changed(stored, instance)
    if refused is not None or stored is None:
        return refused or _missing(instance.metadata.uid)
    if not stored.nodes or stored.nodes[0] != me:
        return _forbidden(stored, f"node {me} is not the first of spec.nodes {list(stored.nodes)}, which alone reports on {stored.key}")
    changed = evolve(
        stored,
        metadata=evolve(stored.metadata, annotations=instance.metadata.annotations),
        capacity=instance.capacity,
        device_usage=_with_keys(stored.device_usage, instance.device_usage),
        broker_properties=instance.broker_properties,
    )
    problem = _schema_problem(changed)
    return Refused(Refusal.INVALID, problem, stored) if problem else Write(changed)


def claim(stored: Instance | None, slot: SlotId, usage: Usage, me: NodeName) -> Decision:
    """Take a free slot. A missing key below the capacity counts as free, one beyond it does not."""
    if stored is None:
        return _missing()
    if slot.instance != stored.name:
        return Refused(Refusal.INVALID, f"slot {slot} is not one of Instance {stored.key}", stored)
    if holder_node(usage) != me or me not in stored.nodes:
        message = f"node {me} must not write {short(print_usage(usage))} into slot {slot}: not its own, or not in spec.nodes"
        return _forbidden(stored, message)
    held = stored.device_usage.get(str(slot))
    if held is None and slot.index >= stored.capacity:
        return Refused(Refusal.CONFLICT, f"slot {slot} is not there: the capacity is {stored.capacity}", stored)
    if held:
        return Refused(Refusal.CONFLICT, f"slot {slot} is held by {held}", stored)
    return Write(evolve(stored, device_usage={**stored.device_usage, str(slot): print_usage(usage)}))


def release(stored: Instance | None, instance: Instance, slot: SlotId, usage: Usage, me: NodeName) -> Decision:
    """Free a slot of `me` that still holds `usage`, if nothing at all changed since `instance` was read."""
    refused = _changed(stored, instance)
    if refused is not None or stored is None:
        return refused or _missing(instance.metadata.uid)
    if holder_node(usage) != me:
        return _forbidden(stored, f"node {me} must not free slot {slot} of {short(print_usage(usage))}")
    if stored.device_usage.get(str(slot)) != print_usage(usage):
        return Refused(Refusal.CONFLICT, f"slot {slot} does not hold {short(print_usage(usage))}", stored)
    return Write(evolve(stored, device_usage={**stored.device_usage, str(slot): ""}))


def fence(stored: Instance | None, value: str, me: NodeName) -> Decision:
    """Write a value that was never there before, so that the revision changes."""
    if stored is None:
        return _missing()
    if me not in stored.nodes and not any(_holder(text) == me for text in stored.device_usage.values()):
        return _forbidden(stored, f"node {me} is not in spec.nodes of {stored.key} and holds no slot of it")
    return Write(_annotated(stored, ANNOTATION_FENCE, value))


def remove_node(stored: Instance | None, carried: Instance, node: NodeName) -> Decision:
    """Take a lost node's place and slots away, for the controller."""
    refused = _changed(stored, carried)
    if refused is not None or stored is None:
        return refused or _missing(carried.metadata.uid)
    usage = {key: "" if _holder(text) == node else text for key, text in stored.device_usage.items()}
    return Write(evolve(stored, nodes=tuple(name for name in stored.nodes if name != node), device_usage=usage))


def repair_usage(stored: Instance | None, carried: Instance, keys: Iterable[str]) -> Decision:
    """Remove keys that nobody can read, for the controller."""
    refused = _changed(stored, carried)
    if refused is not None or stored is None:
        return refused or _missing(carried.metadata.uid)
    unreadable = frozenset(keys)
    return Write(evolve(stored, device_usage={key: text for key, text in stored.device_usage.items() if key not in unreadable}))


def write_capacity(stored: Instance | None, carried: Instance, capacity: int, generation: int) -> Decision:
    """Write capacity and keys in the reporter's place, for the controller."""
    refused = _changed(stored, carried)
    if refused is not None or stored is None:
        return refused or _missing(carried.metadata.uid)
    wanted = {str(SlotId(InstanceName(stored.name), index)): "" for index in range(capacity)}
    changed = evolve(stored, capacity=capacity, device_usage=_with_keys(stored.device_usage, wanted))
    problem = _schema_problem(changed)
    return Refused(Refusal.INVALID, problem, stored) if problem else Write(_annotated(changed, ANNOTATION_GENERATION, str(generation)))


def delete_instance(stored: Instance | None, carried: Instance) -> Decision:
    """Delete an Instance as the controller saw it; one that is gone is done."""
    if stored is None or stored.metadata.uid != carried.metadata.uid:
        return Keep(None)
    return _changed(stored, carried) or Delete(stored)


def drop_finalizers(stored: Instance | None, finalizers: Iterable[str]) -> Decision:
    """Remove finalizers; one that was only waiting for them goes."""
    if stored is None:
        return Keep(None)
    dropped = frozenset(finalizers)
    left = tuple(name for name in stored.metadata.finalizers if name not in dropped)
    changed = evolve(stored, metadata=evolve(stored.metadata, finalizers=left))
    return Delete(changed) if stored.metadata.deleting and not left else Write(changed)


def _missing(uid: str = "") -> Refused:
    which = f" with uid {short(uid)}" if uid else ""
    return Refused(Refusal.MISSING, f"there is no such Instance{which}")


def _forbidden(stored: Instance, message: str) -> Refused:
    return Refused(Refusal.FORBIDDEN, message, stored)


def _changed(stored: Instance | None, carried: Instance) -> Refused | None:
    """Test uid and revision of the Instance that a write carries."""
    seen = carried.metadata
    if stored is None or stored.metadata.uid != seen.uid:
        return _missing(seen.uid)
    if stored.metadata.revision != seen.revision:
        message = f"Instance {stored.key} changed: it has revision {stored.metadata.revision}, the write expected {seen.revision}"
        return Refused(Refusal.CONFLICT, message, stored)
    return None


def _holder(text: str) -> NodeName | None:
    """Who holds a slot of this usage text; None for a free one and for a text that nobody can read."""
    try:
        return holder_node(parse_usage(text))
    except InvalidValueError:
        return None


def _with_keys(stored: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Bring the keys to those wanted: new ones are free, used ones stay."""
    kept = {key: text for key, text in stored.items() if text or key in wanted}
    return {**dict.fromkeys(wanted, ""), **kept}


def _annotated(instance: Instance, name: str, value: str) -> Instance:
    return evolve(instance, metadata=evolve(instance.metadata, annotations={**instance.metadata.annotations, name: value}))


def _creation_problem(instance: Instance, me: NodeName) -> str:
    """What the access rules find wrong with a new Instance; empty if nothing."""
    owner = instance.metadata.controller
    if instance.nodes != (me,):
        return f"spec.nodes: {list(instance.nodes)} must be [{me}], the node that creates {instance.key}"
    if any(instance.device_usage.values()):
        return f"spec.deviceUsage: a new Instance {instance.key} must have free slots only"
    if owner is None or len(instance.metadata.owners) != 1 or (owner.kind, owner.name) != ("Configuration", instance.configuration):
        owners = f"one owner, its controller, the Configuration {short(instance.configuration)}"
        return f"metadata.ownerReferences: {instance.key} must have {owners}"
    if not instance.name.startswith(f"{instance.configuration}-"):
        return f"metadata.name: {instance.key} must begin with the Configuration's name {short(instance.configuration)} and a dash"
    return ""


def _schema_problem(instance: Instance) -> str:
    """What the schema's bounds find wrong with an Instance; empty if nothing."""
    counts: tuple[tuple[str, int, int], ...] = (
        ("spec.capacity", instance.capacity, MAXIMUM_CAPACITY),
        ("spec.nodes", len(instance.nodes), _MAXIMUM_NODES),
        ("spec.deviceUsage", len(instance.device_usage), MAXIMUM_CAPACITY),
        ("spec.brokerProperties", len(instance.broker_properties), _MAXIMUM_PROPERTIES),
    )
    for place, count, most in counts:
        if not 0 <= count <= most:
            return f"{place}: {count} of Instance {instance.key} is not valid: expected from 0 to {most}"
    for place, texts in (("spec.deviceUsage", instance.device_usage), ("spec.brokerProperties", instance.broker_properties)):
        for key, text in texts.items():
            if len(text) > _MAXIMUM_TEXT:
                return f"{place}[{short(key)}]: {len(text)} characters of Instance {instance.key}: expected at most {_MAXIMUM_TEXT}"
    return ""

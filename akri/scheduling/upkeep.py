"""What the controller has to write into an Instance itself: lost nodes, garbage, a capacity that its reporter left behind.

All these writes test the Instance's revision, so of several only one can succeed: the most urgent one is asked for at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from akri.core.ids import NodeName
from akri.core.metadata import ObjectMeta
from akri.core.reports import Reason
from akri.core.slots import SlotTable
from akri.scheduling.model import DeleteInstance, DropFinalizers, InstanceWrite, RemoveNode, RepairUsage, WriteCapacity
from akri.scheduling.subject import NEVER, Standing, Subject

__all__ = ["Upkeep", "foreign_finalizers", "upkeep"]

_NOBODY = NodeName("")
_OF_KUBERNETES = frozenset({"foregroundDeletion", "orphan", "kubernetes"})


@frozen
class Upkeep:
    """What an Instance needs, and what became known by the way.

    write: due now, if any. due: when to look again. nodes: those of the Instance that are not lost. watched: nodes that bear on it.
    """

    write: InstanceWrite | None
    due: float = NEVER
    nodes: tuple[NodeName, ...] = ()
    watched: tuple[NodeName, ...] = ()


def upkeep(subject: Subject) -> Upkeep:
    """Decide which write an Instance needs most."""
    instance, now = subject.instance, subject.now
    if subject.standing is Standing.ORPHANED:
        return Upkeep(DeleteInstance(instance, Reason.CONFIGURATION_GONE))
    if not instance.nodes:
        return Upkeep(DeleteInstance(instance, Reason.DEVICE_LOST))
    table = SlotTable.read(instance, _NOBODY)
    losses = {name: subject.lost_at(name) for name in (*instance.nodes, *table.nodes_holding())}
    present = tuple(name for name in instance.nodes if losses[name] > now)
    watched = tuple(losses)
    lost = next((name for name, at in losses.items() if at <= now), None)
    due = min((at for at in losses.values() if at > now), default=NEVER)
    if lost is not None:
        return Upkeep(RemoveNode(instance, lost), due, present, watched)
    if table.unreadable:
        return Upkeep(RepairUsage(instance, tuple(sorted(entry.key for entry in table.unreadable))), due, present, watched)
    behind = _behind_until(subject)
    if behind <= now and subject.configuration is not None:
        configuration = subject.configuration
        return Upkeep(WriteCapacity(instance, configuration.capacity, configuration.metadata.generation), due, present, watched)
    return Upkeep(None, min(due, behind), present, watched)


def _behind_until(subject: Subject) -> float:
    configuration = subject.configuration
    if configuration is None or subject.instance.generation_seen >= configuration.metadata.generation:
        return NEVER
    return subject.edited + subject.timing.reporter_grace


def foreign_finalizers(kind: str, metadata: ObjectMeta) -> Iterator[DropFinalizers]:
    """Ask for the removal of finalizers that upstream left: bare node names, where everybody else's carry a domain and a slash."""
    left = tuple(name for name in metadata.finalizers if "/" not in name and name not in _OF_KUBERNETES)
    if left:
        yield DropFinalizers(kind, metadata.key, left)

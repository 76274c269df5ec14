"""What a store that was lost, or that lost its last changes, takes over from the records beside it.

applied/ has the Configurations and brokers/ the pods that were admitted, with the Instances whose slots they hold. What is
known of a slot is believed if it is held: agents release a slot that is held without need, by the evidence that they always ask for,
and a slot that is taken as free in error is a device given to two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from attrs import evolve, frozen

from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.platforms.local.objects import UNASSIGNED, Job, Node, Pod, Stored
from akri.platforms.local.shelf import Entry, Rows
from akri.platforms.local.tables import Tables
from akri.ports import ConfigurationObservation

__all__ = ["LEAP", "Records", "hold", "newest_revision", "restore"]

LEAP: Final = 2**32
"""So far beyond every revision that is known begin those of a store that was restored: nobody has seen a later one."""
_S = TypeVar("_S", bound=Stored)


@frozen
class Records:
    """What stands beside the store."""

    configurations: tuple[ConfigurationObservation, ...] = ()
    instances: tuple[Instance, ...] = ()
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()


def newest_revision(records: Records) -> int:
    """Return the last revision that the records know of, 0 for none."""
    return max((metadata.revision for metadata in _all_metadata(records)), default=0)


def restore(tables: Tables, records: Records, known: int) -> None:
    """Take over what is newer than the revision that the store knew last, 0 for a new one; revisions begin anew, beyond all others."""
    seen = max(tables.identities.last, known, newest_revision(records))
    tables.identities.last = seen + LEAP if seen else 0
    lost = _newer(records, known)
    for configuration in lost.configurations:
        _put_configuration(tables, configuration)
    for instance in _merged(lost.instances):
        _put_instance(tables, instance)
    for job in lost.jobs:
        _put_missing(tables.rows.jobs, job, tables)
    for pod in lost.pods:
        _put_missing(tables.rows.pods, pod, tables)
        _put_node(tables, pod)
    for metadata in _all_metadata(lost):
        tables.collect_if_orphan(metadata.key.namespace, metadata.owners)


def hold(tables: Tables, instances: Iterable[Instance]) -> None:
    """Hold what is held in these earlier states and free in what is stored: whoever built the store anew may not have known."""
    for instance in instances:
        stored = tables.instance(instance.key)
        if stored is not None and stored.metadata.uid == instance.metadata.uid and _with_usage(stored, instance.device_usage) != stored:
            _put_instance(tables, instance)


def _newer(records: Records, known: int) -> Records:
    return Records(
        tuple(one for one in records.configurations if one.metadata.revision > known),
        tuple(one for one in records.instances if one.metadata.revision > known),
        tuple(one for one in records.jobs if one.metadata.revision > known),
        tuple(one for one in records.pods if one.metadata.revision > known),
    )


def _all_metadata(records: Records) -> tuple[ObjectMeta, ...]:
    several = (records.configurations, records.instances, records.jobs, records.pods)
    return tuple(one.metadata for kind in several for one in kind)


def _merged(instances: Iterable[Instance]) -> Iterable[Instance]:
    """Make one of all records of an Instance: the latest, with every slot held that is held in one of them."""
    latest: dict[str, Instance] = {}
    for instance in sorted(instances, key=lambda one: one.metadata.revision):
        earlier = latest.get(instance.metadata.uid)
        held = instance if earlier is None else _with_usage(instance, earlier.device_usage)
        latest[instance.metadata.uid] = held
    return latest.values()


def _with_usage(instance: Instance, usage: Mapping[str, str]) -> Instance:
    """Hold the slots that are held here too, where the Instance has them free or not at all."""
    held = {slot: text for slot, text in usage.items() if text and not instance.device_usage.get(slot)}
    return evolve(instance, device_usage={**instance.device_usage, **held})


def _put_configuration(tables: Tables, configuration: ConfigurationObservation) -> None:
    metadata = evolve(configuration.metadata, revision=tables.identities.revision())
    tables.configurations.put(Entry(metadata.key, metadata.uid, metadata.revision, evolve(configuration, metadata=metadata)))


def _put_instance(tables: Tables, instance: Instance) -> None:
    stored = tables.instance(instance.key)
    if stored is not None and stored.metadata.uid != instance.metadata.uid:
        return
    held = instance if stored is None else _with_usage(stored, instance.device_usage)
    metadata = evolve(held.metadata, revision=tables.identities.revision())
    tables.instances.put(Entry(metadata.key, metadata.uid, metadata.revision, evolve(held, metadata=metadata)))


def _put_missing(rows: Rows[_S], value: _S, tables: Tables) -> None:
    key = value.metadata.key
    if rows.get(key) is None:
        metadata = evolve(value.metadata, revision=tables.identities.revision())
        rows.put(Entry(key, metadata.uid, metadata.revision, evolve(value, metadata=metadata)))


def _put_node(tables: Tables, pod: Pod) -> None:
    key = ObjectKey("", pod.node)
    if pod.node != UNASSIGNED and tables.nodes.get(key) is None:
        node = Node(pod.node, ready=False, since=tables.identities.now())
        tables.nodes.put(Entry(key, tables.identities.uid(), tables.identities.revision(), node))

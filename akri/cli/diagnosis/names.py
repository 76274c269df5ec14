"""Which object a name stands for, and which names are near one that nobody has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from attrs import frozen

from akri.cli.diagnosis.sight import Scope
from akri.cli.kinds import Kind, kind_of
from akri.cli.overview import Overview
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.slots import SlotTable
from akri.scheduling.subject import configuration_key

__all__ = ["Ambiguous", "Missing", "find"]

_KINDS: Final[Mapping[Kind | None, tuple[str, ...]]] = {
    Kind.CONFIGURATIONS: ("Configuration",),
    Kind.INSTANCES: ("Instance",),
    Kind.BROKERS: ("Pod", "Job"),
}
_ALL: Final = tuple(kind for kinds in _KINDS.values() for kind in kinds)
_DEFAULT: Final = "default"


@frozen
class Missing:
    """Nobody has this name; `near` are names that look like it."""

    text: str
    near: tuple[str, ...] = ()


@frozen
class Ambiguous:
    """Several objects of the name are there, in these namespaces."""

    text: str
    namespaces: tuple[str, ...]


def find(overview: Overview, text: str, namespace: str = "") -> Scope | Missing | Ambiguous:
    """Find what a user means: a name, `kind/name` or `namespace/name`.

    Of several kinds a Configuration comes first, then an Instance, then a broker; of several namespaces `default`. What is gone is
    found by its events.
    """
    kinds, namespace, name = _parts(text, namespace)
    known = tuple(_keys(overview))
    if not name:
        return Missing(text)
    for pool, exists in ((known, True), (tuple(_past(overview)), False)):
        for kind in kinds:
            keys = {key for of, key in pool if of == kind and key.name == name and namespace in {"", key.namespace}}
            if not keys:
                continue
            if len(keys) > 1 and ObjectKey(_DEFAULT, name) not in keys:
                return Ambiguous(text, tuple(sorted(key.namespace for key in keys)))
            return _scope(overview, kind, next((key for key in keys if key.namespace == _DEFAULT), min(keys)), exists=exists)
    names = sorted({key.name for kind, key in known if kind in kinds and namespace in {"", key.namespace}})
    return Missing(text, tuple(get_close_matches(name, names, n=3, cutoff=0.5)))


def _parts(text: str, namespace: str) -> tuple[tuple[str, ...], str, str]:
    before, slash, name = text.partition("/")
    if not slash:
        return _ALL, namespace, text
    kind = kind_of(before)
    if kind in _KINDS:
        return _KINDS[kind], namespace, name
    return _ALL, namespace or before, name


def _keys(overview: Overview) -> Iterator[tuple[str, ObjectKey]]:
    yield from (("Configuration", one.key) for one in overview.configurations)
    yield from (("Instance", one.key) for one in overview.instances)
    yield from (("Pod", one.key) for one in overview.broker_pods)
    yield from (("Job", one.key) for one in overview.broker_jobs)


def _past(overview: Overview) -> Iterator[tuple[str, ObjectKey]]:
    return ((past.event.kind, past.event.about) for past in overview.events)


def _scope(overview: Overview, kind: str, key: ObjectKey, *, exists: bool) -> Scope:
    if kind == "Configuration":
        return _of_configuration(overview, key, exists=exists)
    if kind == "Instance":
        return _of_instances(overview, kind, key, {key}, exists=exists)
    served = {pod.instance for pod in overview.broker_pods if pod.key == key} | {
        job.instance for job in overview.broker_jobs if job.key == key
    }
    return _of_instances(overview, kind, key, served, exists=exists)


def _of_configuration(overview: Overview, key: ObjectKey, *, exists: bool) -> Scope:
    configuration = next((one for one in overview.configurations if one.key == key), None)
    uid = None if configuration is None else configuration.metadata.uid
    instances = tuple(one for one in overview.instances if configuration_key(one) == key)
    served = {one.key for one in instances}
    return Scope(
        "Configuration",
        key,
        configuration,
        instances,
        tuple(pod for pod in overview.broker_pods if pod.instance in served),
        tuple(job for job in overview.broker_jobs if job.instance in served),
        tuple(one for one in overview.reports if one.configuration == key and one.configuration_uid == uid),
        exists=exists,
    )


def _of_instances(overview: Overview, kind: str, key: ObjectKey, served: Iterable[ObjectKey], *, exists: bool) -> Scope:
    wanted = frozenset(served)
    instances = tuple(one for one in overview.instances if one.key in wanted)
    owners = {configuration_key(one) for one in instances} or set(_owners_of_gone(overview, kind, key))
    whole = _of_configuration(overview, max(owners, key=lambda one: (len(one.name), one)), exists=True) if owners else None
    single = kind != "Instance"
    pods = tuple(pod for pod in overview.broker_pods if pod.instance in wanted and (not single or pod.key == key))
    jobs = tuple(job for job in overview.broker_jobs if job.instance in wanted and (not single or job.key == key))
    nodes = frozenset(pod.node for pod in pods) if kind == "Pod" else _nodes_of(instances)
    reports = () if whole is None else tuple(one for one in whole.reports if not instances or one.node in nodes)
    configuration = None if whole is None else whole.configuration
    return Scope(kind, key, configuration, instances, pods, jobs, reports, nodes if instances else None, exists=exists)


def _nodes_of(instances: Iterable[Instance]) -> frozenset[NodeName]:
    return frozenset(node for one in instances for node in (*one.nodes, *SlotTable.read(one, NodeName("")).nodes_holding()))


def _owners_of_gone(overview: Overview, kind: str, key: ObjectKey) -> Iterator[ObjectKey]:
    """Of what is gone, only the name tells the Configuration: `<configuration>-<digest>`, and more behind it for a broker."""
    if kind == "Instance":
        yield from (one.key for one in overview.configurations if one.key == ObjectKey(key.namespace, key.name.rpartition("-")[0] or "-"))
        return
    yield from (
        one.key
        for one in overview.configurations
        if one.key.namespace == key.namespace and f"{one.key.name.replace('.', '-')}-" in key.name
    )

"""What `akri get` says about each thing: one row of cells, decided from an Overview. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.cli.cells import Cell, Style, cell
from akri.cli.kinds import Kind
from akri.cli.overview import Overview
from akri.cli.text import listed, moment
from akri.core.configuration import Configuration, JobBroker, NoBroker, PodBroker, UnreadableConfiguration
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Reason
from akri.ports import ConfigurationObservation
from akri.scheduling.model import BrokerJob, BrokerPod, NodeState, Phase

__all__ = ["COLUMNS", "NEEDS", "WIDE", "Source", "Thing", "about_broker", "about_configuration", "bare_things", "held", "things"]

COLUMNS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.CONFIGURATIONS: ("NAME", "HANDLER", "CAPACITY", "INSTANCES", "NODES", "BROKERS", "STATUS", "AGE"),
    Kind.INSTANCES: ("NAME", "CONFIG", "SHARED", "NODES", "SLOTS", "BROKERS", "AGE"),
    Kind.BROKERS: ("NAME", "KIND", "INSTANCE", "NODE", "STATUS", "RESTARTS", "AGE"),
    Kind.REPORTS: ("NAME", "CONFIG", "NODE", "HANDLERS", "DEVICES", "CANDIDATES", "STATUS", "AGE"),
    Kind.NODES: ("NAME", "STATUS", "INSTANCES", "SLOTS", "BROKERS", "SINCE"),
}
"""Columns of `-o table`."""
WIDE: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.CONFIGURATIONS: ("BROKER", "GENERATION", "MESSAGE"),
    Kind.INSTANCES: ("CDI", "DEVICE-ID"),
    Kind.BROKERS: ("UID",),
    Kind.REPORTS: ("GENERATION", "DROPPED", "MESSAGE"),
    Kind.NODES: ("CONFIGURATIONS",),
}
"""Columns that `-o wide` adds."""
NEEDS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.CONFIGURATIONS: frozenset({"configurations", "statuses"}),
    Kind.INSTANCES: frozenset({"instances", "broker_pods", "broker_jobs"}),
    Kind.BROKERS: frozenset({"broker_pods", "broker_jobs"}),
    Kind.REPORTS: frozenset({"reports"}),
    Kind.NODES: frozenset({"nodes", "instances", "broker_pods"}),
}
"""The fields of an Overview that a kind's rows are made from."""

Source: TypeAlias = ConfigurationObservation | Instance | BrokerPod | BrokerJob | DiscoveryReport | NodeState
"""What a row is about."""
_MORE: Final = 3


@frozen
class Thing:
    """A row. source: what it is about. cells, wide: under COLUMNS and WIDE, ages left out. since: when it began, 0 where not known."""

    kind: Kind
    key: ObjectKey
    source: Source = field(eq=False)
    cells: tuple[Cell, ...]
    wide: tuple[Cell, ...]
    since: float

    def row(self, now: float, *, wide: bool, namespace: bool, prefix: str = "") -> tuple[Cell, ...]:
        """Give all cells; `prefix` before the name."""
        first = [cell(self.key.namespace)] if namespace else []
        name = cell(f"{prefix}{self.key.name}", Style.NAME)
        return (*first, name, *self.cells, cell(moment(self.since, now)), *(self.wide if wide else ()))


def things(kind: Kind, overview: Overview) -> tuple[Thing, ...]:
    """Give the rows of a kind in the order of namespace and name."""
    return tuple(sorted(_ROWS[kind](overview), key=_order))


def bare_things(kind: Kind, overview: Overview) -> tuple[Thing, ...]:
    """Give the same without cells, for documents."""
    sources: Mapping[Kind, Iterable[Source]] = {
        Kind.CONFIGURATIONS: overview.configurations,
        Kind.INSTANCES: overview.instances,
        Kind.BROKERS: _brokers_of(overview),
        Kind.REPORTS: overview.reports,
        Kind.NODES: overview.nodes,
    }
    found = (Thing(kind, ObjectKey("", one.name) if isinstance(one, NodeState) else one.key, one, (), (), 0.0) for one in sources[kind])
    return tuple(sorted(found, key=_order))


def _order(thing: Thing) -> tuple[str, str]:
    """Sort like keys, which compare slowly."""
    return thing.key.namespace, thing.key.name


def held(instance: Instance) -> str:
    """Print how many slots are held: `1/2`."""
    return f"{sum(1 for text in instance.device_usage.values() if text)}/{instance.capacity}"


def about_configuration(configuration: ConfigurationObservation, status: ConfigurationStatus | None) -> Cell:
    """Say in one word how a Configuration is: the first condition that does not hold, or Ready."""
    if isinstance(configuration, UnreadableConfiguration):
        return cell("Invalid", Style.BAD)
    if configuration.metadata.deleting:
        return cell("Deleting", Style.WAITING)
    if status is None or status.generation < configuration.metadata.generation:
        return cell("Unobserved", Style.WAITING)
    for condition in status.conditions:
        if not condition.status:
            waits = condition.reason in {Reason.DISCOVERING, Reason.BROKER_CREATED}
            return cell(condition.reason.value, Style.WAITING if waits else Style.BAD)
    return cell("Ready", Style.GOOD)


def about_broker(broker: BrokerPod | BrokerJob) -> Cell:
    """Say in one word how a broker is."""
    if broker.deleting:
        return cell("Terminating", Style.WAITING)
    if isinstance(broker, BrokerJob):
        if broker.failed:
            return cell(broker.reason or "Failed", Style.BAD)
        return cell("Complete", Style.GOOD) if broker.complete else cell("Active", Style.GOOD)
    match broker.phase:
        case Phase.FAILED:
            return cell(broker.reason or "Failed", Style.BAD)
        case Phase.PENDING:
            return cell(broker.reason or "Pending", Style.WAITING)
        case Phase.RUNNING | Phase.SUCCEEDED:
            return cell(broker.reason or broker.phase.value, Style.BAD if broker.reason else Style.GOOD)


def _configurations(overview: Overview) -> Iterator[Thing]:
    for one in overview.configurations:
        status = overview.statuses.get(one.metadata.uid)
        counts = ("-", "-", "-") if status is None else (status.instances, status.nodes, f"{status.brokers_ready}/{status.brokers}")
        asked = (one.discovery.handler, one.capacity) if isinstance(one, Configuration) else ("-", "-")
        cells = (*map(cell, (*asked, *counts)), about_configuration(one, status))
        wide = map(cell, (_broker_kind(one), one.metadata.generation, _message(one, status)))
        yield Thing(Kind.CONFIGURATIONS, one.key, one, cells, tuple(wide), one.metadata.created)


def _broker_kind(configuration: ConfigurationObservation) -> str:
    if isinstance(configuration, UnreadableConfiguration):
        return "-"
    match configuration.broker:
        case NoBroker():
            return "none"
        case PodBroker():
            return "pod"
        case JobBroker():
            return "job"


def _message(configuration: ConfigurationObservation, status: ConfigurationStatus | None) -> str:
    if isinstance(configuration, UnreadableConfiguration):
        return "; ".join(map(str, configuration.problems))
    failing = (condition.message for condition in (status.conditions if status else ()) if not condition.status)
    return next(failing, "")


def _instances(overview: Overview) -> Iterator[Thing]:
    brokers = Counter(broker.instance for broker in _brokers_of(overview))
    for one in overview.instances:
        taken = held(one)
        style = Style.WAITING if taken == f"{one.capacity}/{one.capacity}" else Style.PLAIN
        cells = (
            cell(one.configuration),
            cell("true" if one.shared else "false"),
            cell(_nodes(one)),
            cell(taken, style),
            cell(brokers[one.key]),
        )
        yield Thing(Kind.INSTANCES, one.key, one, cells, (cell(one.cdi_name), cell(one.device_id or "")), one.metadata.created)


def _nodes(instance: Instance) -> str:
    shown = listed(instance.nodes[:_MORE])
    more = len(instance.nodes) - _MORE
    return f"{shown}+{more}" if more > 0 else shown


def _brokers_of(overview: Overview) -> Iterable[BrokerPod | BrokerJob]:
    return (*overview.broker_pods, *overview.broker_jobs)


def _brokers(overview: Overview) -> Iterator[Thing]:
    for one in _brokers_of(overview):
        kind, node = ("Pod", one.node) if isinstance(one, BrokerPod) else ("Job", "")
        cells = (cell(kind), cell(one.instance.name), cell(node), about_broker(one), cell(one.attempt))
        yield Thing(Kind.BROKERS, one.key, one, cells, (cell(one.uid),), one.created)


def _reports(overview: Overview) -> Iterator[Thing]:
    for one in overview.reports:
        errors = [handler.error for handler in one.handlers if handler.error]
        silent = not any(handler.answered_at for handler in one.handlers)
        status = (
            cell("Failed", Style.BAD) if errors or one.problems else cell("Waiting", Style.WAITING) if silent else cell("OK", Style.GOOD)
        )
        counts = (sum(handler.devices for handler in one.handlers), sum(handler.candidates for handler in one.handlers))
        names = listed([handler.name for handler in one.handlers])
        dropped = sum(sum(handler.dropped.values()) for handler in one.handlers)
        said = (*errors, *one.problems, *(handler.message for handler in one.handlers if handler.message))
        cells = (*map(cell, (one.configuration.name, one.node, names, *counts)), status)
        wide = map(cell, (one.generation, dropped, "; ".join(said)))
        yield Thing(Kind.REPORTS, one.key, one, cells, tuple(wide), one.written_at)


def _node_rows(overview: Overview) -> Iterator[Thing]:
    brokers = Counter(pod.node for pod in overview.broker_pods if not pod.phase.terminal)
    for one in overview.nodes:
        seen = [instance for instance in overview.instances if one.name in instance.nodes]
        slots = sum(_holds(text, one.name) for instance in seen for text in instance.device_usage.values())
        ready = cell("Ready", Style.GOOD) if one.ready else cell("NotReady", Style.BAD)
        cells = (ready, cell(len(seen)), cell(slots), cell(brokers[one.name]))
        wide = (cell(listed(sorted({instance.configuration for instance in seen}))),)
        yield Thing(Kind.NODES, ObjectKey("", one.name), one, cells, wide, one.since)


def _holds(usage: str, node: str) -> bool:
    """Whether a usage text names this node: `<node>` or `C:<virtual device id>:<node>`."""
    return usage.rpartition(":")[2] == node


_ROWS: Final[Mapping[Kind, Callable[[Overview], Iterator[Thing]]]] = {
    Kind.CONFIGURATIONS: _configurations,
    Kind.INSTANCES: _instances,
    Kind.BROKERS: _brokers,
    Kind.REPORTS: _reports,
    Kind.NODES: _node_rows,
}

"""What `akri top` shows at one moment, as sections of rows: decided from an Overview. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve, frozen

from akri.cli.cells import Cell, Row, Style, cell
from akri.cli.listing import about_broker, about_configuration, held
from akri.cli.overview import Overview
from akri.cli.text import count, listed, moment
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport, HandlerReport, PastEvent
from akri.scheduling.model import BrokerJob, BrokerPod, Phase

__all__ = ["Frame", "Panel", "frame", "narrowed"]

_GAUGE: Final = 8
_NAMED: Final = 3


@frozen
class Panel:
    """A table of a frame; what matters most stands at its beginning."""

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@frozen
class Frame:
    """One picture. summary: words for the first line."""

    summary: tuple[Cell, ...]
    handlers: Panel
    devices: Panel
    brokers: Panel
    events: Panel

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All tables, in the order in which they are read."""
        return (self.handlers, self.devices, self.brokers, self.events)


def narrowed(overview: Overview, namespace: str) -> Overview:
    """Leave out what is in other namespaces; nothing for an empty one."""
    if not namespace:
        return overview
    return evolve(
        overview,
        configurations=tuple(one for one in overview.configurations if one.key.namespace == namespace),
        instances=tuple(one for one in overview.instances if one.key.namespace == namespace),
        broker_pods=tuple(one for one in overview.broker_pods if one.key.namespace == namespace),
        broker_jobs=tuple(one for one in overview.broker_jobs if one.key.namespace == namespace),
        reports=tuple(one for one in overview.reports if one.key.namespace == namespace),
        events=tuple(one for one in overview.events if one.event.about.namespace == namespace),
    )


def frame(overview: Overview, now: float, *, gauge: bool) -> Frame:
    """Draw a picture. gauge: show slots as a row of marks where there are few enough."""
    return Frame(
        tuple(_summary(overview)),
        Panel("Handlers", ("CONFIGURATION", "NODE", "HANDLER", "DEVICES", "ANSWERED", "SAYS"), tuple(_handlers(overview.reports, now))),
        Panel("Devices", ("INSTANCE", "DEVICE-ID", "NODES", "SLOTS", "HELD-BY", "BROKERS", "AGE"), tuple(_devices(overview, now, gauge))),
        Panel("Brokers", ("BROKER", "INSTANCE", "NODE", "STATUS", "RESTARTS", "AGE"), tuple(_brokers(overview, now))),
        Panel("Events", ("AGO", "REASON", "ABOUT", "MESSAGE"), tuple(_events(overview.events, now))),
    )


def _summary(overview: Overview) -> Iterator[Cell]:
    unwell = [
        one for one in overview.configurations if about_configuration(one, overview.statuses.get(one.metadata.uid)).style is Style.BAD
    ]
    slots = sum(one.capacity for one in overview.instances)
    taken = sum(1 for one in overview.instances for text in one.device_usage.values() if text)
    away = [node for node in overview.nodes if not node.ready]
    running = sum(pod.phase is Phase.RUNNING for pod in overview.broker_pods) + sum(not job.failed for job in overview.broker_jobs)
    brokers = len(overview.broker_pods) + len(overview.broker_jobs)
    yield _summed(count(len(overview.configurations), "Configuration"), "unwell", [one.key.name for one in unwell])
    yield cell(count(len(overview.instances), "device"))
    yield cell(f"{taken}/{slots} slots held", Style.WAITING if slots and taken == slots else Style.PLAIN)
    yield cell(f"{running}/{brokers} brokers well", Style.PLAIN if running == brokers else Style.BAD)
    yield _summed(count(len(overview.nodes), "node"), "not ready", [node.name for node in away])


def _summed(what: str, trouble: str, names: list[str]) -> Cell:
    if not names:
        return cell(what)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return cell(f"{what} ({trouble}: {', '.join(names[:_NAMED])}{more})", Style.BAD)


def _handlers(reports: Iterable[DiscoveryReport], now: float) -> Iterator[Row]:
    for report in sorted(reports, key=lambda one: one.key):
        for handler in report.handlers:
            yield (
                cell(report.configuration.name, Style.NAME),
                cell(report.node),
                cell(handler.name),
                cell(handler.devices),
                cell(moment(handler.answered_at, now)),
                _says(handler),
            )
        if not report.handlers:
            yield (
                cell(report.configuration.name, Style.NAME),
                cell(report.node),
                cell(""),
                cell(0),
                cell(""),
                cell("no handler", Style.BAD),
            )


def _says(handler: HandlerReport) -> Cell:
    if handler.error:
        return cell(handler.error, Style.BAD)
    dropped = sum(handler.dropped.values())
    return cell(handler.message or (f"{dropped} dropped" if dropped else "well"), Style.PLAIN if handler.answered_at else Style.WAITING)


def _devices(overview: Overview, now: float, gauge: bool) -> Iterator[Row]:  # noqa: FBT001 - one caller
    brokers: dict[ObjectKey, list[Cell]] = {}
    every: list[BrokerPod | BrokerJob] = [*overview.broker_pods, *overview.broker_jobs]
    for broker in every:
        brokers.setdefault(broker.instance, []).append(about_broker(broker))
    for one in sorted(overview.instances, key=lambda instance: (instance.key.namespace, instance.key.name)):
        own = brokers.get(one.key, [])
        worst = next((state for state in own if state.style is Style.BAD), None)
        yield (
            cell(one.name, Style.NAME),
            cell(one.device_id or ""),
            cell(listed(one.nodes)),
            _slots(one, gauge=gauge),
            cell(listed(sorted({text.rpartition(":")[2] for text in one.device_usage.values() if text}))),
            worst or cell(len(own)),
            cell(moment(one.metadata.created, now)),
        )


def _slots(instance: Instance, *, gauge: bool) -> Cell:
    taken = sum(1 for text in instance.device_usage.values() if text)
    style = Style.WAITING if taken >= instance.capacity else Style.GOOD
    if not gauge or not 0 < instance.capacity <= _GAUGE:
        return cell(held(instance), style)
    return cell("■" * taken + "□" * (instance.capacity - taken), style)


def _brokers(overview: Overview, now: float) -> Iterator[Row]:
    every: list[BrokerPod | BrokerJob] = [*overview.broker_pods, *overview.broker_jobs]
    for one in sorted(every, key=lambda broker: (about_broker(broker).style is not Style.BAD, broker.key.namespace, broker.key.name)):
        node = one.node if isinstance(one, BrokerPod) else ""
        yield (
            cell(one.key.name, Style.NAME),
            cell(one.instance.name),
            cell(node),
            about_broker(one),
            cell(one.attempt),
            cell(moment(one.created, now)),
        )


def _events(events: Iterable[PastEvent], now: float) -> Iterator[Row]:
    for past in reversed(tuple(events)):
        event = past.event
        style = Style.BAD if event.warning else Style.PLAIN
        yield (
            cell(moment(past.at, now)),
            cell(event.reason.value, style),
            cell(f"{event.kind.lower()}/{event.about.name}"),
            cell(event.message),
        )

"""What `akri describe` says about one thing, as fields and tables: decided from an Overview and the pods. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias, assert_never

from attrs import frozen

from akri.cli.cells import Cell, Row, Style, cell
from akri.cli.kinds import Kind
from akri.cli.listing import Thing, about_broker, about_configuration, held, things
from akri.cli.overview import Overview
from akri.cli.text import count, listed, moment
from akri.core.configuration import Configuration, JobBroker, NoBroker, PodBroker, UnreadableConfiguration
from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.naming import resource_name
from akri.core.reports import DiscoveryReport, HandlerReport, PastEvent
from akri.core.usage import Free, HeldByConfiguration, HeldByNode, parse_usage
from akri.platforms.pod_requests import device_requests
from akri.ports import ConfigurationObservation, ContainerState, PodDetails
from akri.scheduling.model import BrokerJob, BrokerPod, NodeState

__all__ = ["Block", "Fields", "Section", "Sight", "describe"]


@frozen
class Fields:
    """Names and their values, one in a line."""

    pairs: tuple[tuple[str, Cell], ...]


@frozen
class Section:
    """A table with a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


Block: TypeAlias = Fields | Section
"""A part of a description."""


@frozen
class Sight:
    """What a description is made from. pods: those that ask for devices, and those of jobs. now: seconds since the epoch."""

    overview: Overview
    pods: tuple[PodDetails, ...]
    now: float

    def ago(self, since: float) -> Cell:
        """How long ago a time was, and that time."""
        if not since:
            return cell("-")
        stamp = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return cell(f"{moment(since, self.now)} ago, {stamp}")


_EVENTS: Final = 20
_Describe: TypeAlias = Callable[[Thing, Sight], Iterator[Block]]


def describe(thing: Thing, sight: Sight) -> Iterator[Block]:
    """Describe a thing: its fields first, the events about it last."""
    yield from _PARTS[thing.kind](thing, sight)


def _heading(kind: str, key: ObjectKey, *more: tuple[str, Cell]) -> Fields:
    namespace = (("Namespace", cell(key.namespace)),) if key.namespace else ()
    return Fields((("Name", cell(key.name, Style.NAME)), *namespace, ("Kind", cell(kind)), *more))


def _configuration(thing: Thing, sight: Sight) -> Iterator[Block]:
    source = thing.source
    assert isinstance(source, ConfigurationObservation)  # noqa: S101 - the kind says so
    overview = sight.overview
    status = overview.statuses.get(source.metadata.uid)
    about = (
        ("Status", about_configuration(source, status)),
        ("Created", sight.ago(source.metadata.created)),
        ("Generation", cell(source.metadata.generation)),
    )
    match source:
        case Configuration():
            yield _heading("Configuration", source.key, *about, *_asked(source))
            yield from _texts("Broker properties", source.broker_properties)
        case UnreadableConfiguration():
            yield _heading("Configuration", source.key, *about)
            yield Section("Problems", ("PROBLEM",), tuple((cell(problem, Style.BAD),) for problem in source.problems))
    conditions = tuple(
        (
            cell(one.type),
            cell(one.status, Style.GOOD if one.status else Style.BAD),
            cell(one.reason.value),
            cell(moment(one.since, sight.now)),
            cell(one.message),
        )
        for one in (status.conditions if status else ())
    )
    yield Section("Conditions", ("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"), conditions)
    reports = [one for one in overview.reports if one.configuration_uid == source.metadata.uid]
    yield from _reports(reports, sight)
    instances = [one for one in overview.instances if _belongs(one, source)]
    yield _instances(instances, overview)
    keys = {one.key for one in instances}
    yield _brokers([one for one in _all_brokers(overview) if one.instance in keys], sight)
    yield _events(overview.events, {("Configuration", source.key), *(("Instance", key) for key in keys)}, sight)


def _belongs(instance: Instance, configuration: ConfigurationObservation) -> bool:
    if instance.owner_uid is not None:
        return instance.owner_uid == configuration.metadata.uid
    return (instance.key.namespace, instance.configuration) == (configuration.key.namespace, configuration.key.name)


def _asked(configuration: Configuration) -> Iterator[tuple[str, Cell]]:
    yield "Handler", cell(configuration.discovery.handler)
    if names := [item.name for item in configuration.discovery.properties]:
        yield "Discovery properties", cell(listed(names))
    yield "Capacity", cell(configuration.capacity)
    match configuration.broker:
        case NoBroker():
            yield "Broker", cell("none: devices are only offered")
        case PodBroker(spec):
            yield "Broker", cell(f"a pod for each node: {_containers(spec)}")
        case JobBroker(spec):
            template = spec.get("template")
            pod = template.get("spec") if isinstance(template, Mapping) else None
            yield "Broker", cell(f"a job for each device: {_containers(pod)}")
    services = {"each Instance": configuration.instance_service, "the Configuration": configuration.configuration_service}
    if wanted := [name for name, spec in services.items() if spec is not None]:
        yield "Services", cell(f"for {' and '.join(wanted)}")


def _containers(spec: Json) -> str:
    items = spec.get("containers") if isinstance(spec, Mapping) else None
    named = [item for item in items if isinstance(item, Mapping)] if isinstance(items, Sequence) and not isinstance(items, str) else []
    return ", ".join(_container(item) for item in named) or "no containers"


def _container(item: JsonObject) -> str:
    image = item.get("image")
    return f"{item.get('name', '-')} (image {image})" if image else str(item.get("name", "-"))


def _texts(title: str, values: Mapping[str, str]) -> Iterator[Section]:
    if values:
        yield Section(title, ("NAME", "VALUE"), tuple((cell(name), cell(value)) for name, value in sorted(values.items())))


def _reports(reports: Sequence[DiscoveryReport], sight: Sight) -> Iterator[Section]:
    handlers = [(report, handler) for report in reports for handler in report.handlers]
    rows = tuple(
        (
            cell(report.node),
            cell(handler.name),
            cell(handler.endpoint),
            cell(handler.devices),
            cell(handler.candidates),
            cell(moment(handler.answered_at, sight.now)),
            _said(handler),
        )
        for report, handler in handlers
    )
    yield Section("Discovery", ("NODE", "HANDLER", "ENDPOINT", "DEVICES", "CANDIDATES", "ANSWERED", "SAYS"), rows)
    if problems := tuple((cell(report.node), cell(problem, Style.BAD)) for report in reports for problem in report.problems):
        yield Section("Problems", ("NODE", "PROBLEM"), problems)
    kept = [(report.node, one) for report in reports for one in report.kept]
    if kept:
        in_grace = (
            (cell(node), cell(one.instance), cell(one.device_id), cell(moment(sight.now, one.until)), cell(one.why)) for node, one in kept
        )
        yield Section("Lost devices in their grace", ("NODE", "INSTANCE", "DEVICE-ID", "KEPT-FOR", "WHY"), tuple(in_grace))


def _said(handler: HandlerReport) -> Cell:
    if handler.error:
        return cell(handler.error, Style.BAD)
    dropped = [f"{number} dropped: {reason}" for reason, number in handler.dropped.items()]
    return cell("; ".join((*dropped, *((handler.message,) if handler.message else ()))))


def _instances(instances: Sequence[Instance], overview: Overview) -> Section:
    wanted = {one.key for one in instances}
    rows = [one for one in things(Kind.INSTANCES, overview) if one.key in wanted]
    header = ("NAME", "NODES", "SLOTS", "BROKERS", "DEVICE-ID")
    return Section("Instances", header, tuple((cell(one.key.name, Style.NAME), *one.cells[2:], one.wide[1]) for one in rows))


def _all_brokers(overview: Overview) -> Iterable[BrokerPod | BrokerJob]:
    return (*overview.broker_pods, *overview.broker_jobs)


def _brokers(brokers: Sequence[BrokerPod | BrokerJob], sight: Sight) -> Section:
    rows = tuple(
        (
            cell(one.key.name, Style.NAME),
            cell(one.node if isinstance(one, BrokerPod) else ""),
            about_broker(one),
            cell(one.attempt),
            cell(moment(one.created, sight.now)),
        )
        for one in sorted(brokers, key=lambda broker: broker.key)
    )
    return Section("Brokers", ("NAME", "NODE", "STATUS", "RESTARTS", "AGE"), rows)


def _instance(thing: Thing, sight: Sight) -> Iterator[Block]:
    source = thing.source
    assert isinstance(source, Instance)  # noqa: S101 - the kind says so
    scope = "yes: several nodes reach it" if source.shared else f"no: it is on node {source.device_node or listed(source.nodes)}"
    yield _heading(
        "Instance",
        source.key,
        ("Configuration", cell(source.configuration)),
        ("Device id", cell(source.device_id or "")),
        ("CDI name", cell(source.cdi_name)),
        ("Created", sight.ago(source.metadata.created)),
        ("Shared", cell(scope)),
        ("Nodes", cell(listed(source.nodes))),
        ("Slots", cell(f"{held(source)} held")),
    )
    yield _slots(source, sight)
    yield from _texts("Properties", source.broker_properties)
    yield _brokers([one for one in _all_brokers(sight.overview) if one.instance == source.key], sight)
    kept = [(report.node, one) for report in sight.overview.reports for one in report.kept if one.instance == source.name]
    if kept:
        rows = tuple((cell(node), cell(moment(sight.now, one.until)), cell(one.why)) for node, one in kept)
        yield Section("Lost, in its grace", ("NODE", "KEPT-FOR", "WHY"), rows)
    yield _events(sight.overview.events, {("Instance", source.key)}, sight)


def _slots(instance: Instance, sight: Sight) -> Section:
    users = _users(instance, sight.pods)
    texts = {str(SlotId(instance.name, index)): "" for index in range(instance.capacity)} | dict(instance.device_usage)
    rows = tuple((cell(slot), *_holder(text), cell(listed(users.get(_node_of(text), [])) if text else "")) for slot, text in texts.items())
    return Section("Slots", ("SLOT", "HELD-BY", "THROUGH", "PODS-THERE"), rows)


def _users(instance: Instance, pods: Iterable[PodDetails]) -> dict[str, list[str]]:
    """Name, for each node, the pods there that ask for the Instance, or for any of its Configuration."""
    asked = {resource_name(instance.name), resource_name(instance.configuration)}
    users: dict[str, list[str]] = {}
    for pod in pods:
        here = pod.metadata.key.namespace == instance.key.namespace and not pod.phase.terminal
        if here and asked & device_requests(pod.spec).keys():
            users.setdefault(pod.node, []).append(pod.metadata.key.name)
    return users


def _node_of(text: str) -> str:
    return text.rpartition(":")[2]


def _holder(text: str) -> tuple[Cell, Cell]:
    try:
        usage = parse_usage(text)
    except InvalidValueError:
        return cell(text, Style.BAD), cell("nobody can read this", Style.BAD)
    match usage:
        case Free():
            return cell("free", Style.GOOD), cell("")
        case HeldByNode(node):
            return cell(node, Style.WAITING), cell("the device's own resource")
        case HeldByConfiguration(virtual, node):
            return cell(node, Style.WAITING), cell(f"the Configuration's resource, {virtual}")
    assert_never(usage)


def _broker(thing: Thing, sight: Sight) -> Iterator[Block]:
    source = thing.source
    assert isinstance(source, BrokerPod | BrokerJob)  # noqa: S101 - the kind says so
    own = [pod for pod in sight.pods if _is_of(pod, source)]
    message = next((pod.message for pod in own if pod.message), "")
    node = (("Node", cell(source.node)),) if isinstance(source, BrokerPod) else ()
    yield _heading(
        "Pod" if isinstance(source, BrokerPod) else "Job",
        source.key,
        ("Instance", cell(source.instance.name)),
        *node,
        ("Status", about_broker(source)),
        *((("Message", cell(message)),) if message else ()),
        ("Created", sight.ago(source.created)),
        ("Started", sight.ago(source.started if isinstance(source, BrokerPod) else 0)),
        ("Ended", sight.ago(source.finished)),
        ("Failed before", cell(count(source.attempt, "time"))),
    )
    if isinstance(source, BrokerJob):
        rows = tuple((cell(pod.metadata.key.name), cell(pod.node), cell(pod.phase.value), cell(pod.reason)) for pod in own)
        yield Section("Pods", ("NAME", "NODE", "PHASE", "REASON"), rows)
    containers = tuple(_container_row(one, sight.now) for pod in own for one in pod.containers)
    yield Section("Containers", ("NAME", "STATE", "RESTARTS", "EXIT-CODE", "STARTED", "ENDED", "REASON"), containers)
    about = {("Pod", source.key), ("Job", source.key), *(("Pod", pod.metadata.key) for pod in own)}
    yield _events(sight.overview.events, about, sight)


def _is_of(pod: PodDetails, broker: BrokerPod | BrokerJob) -> bool:
    if isinstance(broker, BrokerPod):
        return pod.metadata.uid == broker.uid
    return any(owner.uid == broker.uid for owner in pod.metadata.owners)


def _container_row(one: ContainerState, now: float) -> Row:
    state = cell("running", Style.GOOD) if one.running else cell("waiting" if one.exit_code is None else "ended", Style.WAITING)
    code = "" if one.exit_code is None else str(one.exit_code)
    name = f"{one.name} (init)" if one.init else one.name
    return (
        cell(name),
        state,
        cell(one.restarts),
        cell(code, Style.BAD if one.exit_code else Style.PLAIN),
        cell(moment(one.started, now)),
        cell(moment(one.finished, now)),
        cell(one.reason),
    )


def _report(thing: Thing, sight: Sight) -> Iterator[Block]:
    source = thing.source
    assert isinstance(source, DiscoveryReport)  # noqa: S101 - the kind says so
    yield _heading(
        "DiscoveryReport",
        source.key,
        ("Configuration", cell(source.configuration.name)),
        ("Node", cell(source.node)),
        ("Generation", cell(source.generation)),
        ("Written", sight.ago(source.written_at)),
    )
    yield from _reports([source], sight)


def _node(thing: Thing, sight: Sight) -> Iterator[Block]:
    source = thing.source
    assert isinstance(source, NodeState)  # noqa: S101 - the kind says so
    ready = cell("Ready", Style.GOOD) if source.ready else cell("NotReady", Style.BAD)
    yield _heading("Node", ObjectKey("", source.name), ("Status", ready), ("Since", sight.ago(source.since)))
    yield _instances([one for one in sight.overview.instances if source.name in one.nodes], sight.overview)
    yield _brokers([one for one in sight.overview.broker_pods if one.node == source.name], sight)
    events = [past for past in sight.overview.events if past.node == source.name]
    yield _event_section(events, sight)


def _events(events: Iterable[PastEvent], about: set[tuple[str, ObjectKey]], sight: Sight) -> Section:
    return _event_section([past for past in events if (past.event.kind, past.event.about) in about], sight)


def _event_section(events: Sequence[PastEvent], sight: Sight) -> Section:
    rows = tuple(
        (
            cell(moment(past.at, sight.now)),
            cell("Warning", Style.BAD) if past.event.warning else cell("Normal"),
            cell(past.event.reason.value),
            cell(f"{past.event.kind.lower()}/{past.event.about.name}"),
            cell(past.node),
            cell(past.event.message),
        )
        for past in events[-_EVENTS:]
    )
    return Section("Events", ("AGO", "TYPE", "REASON", "ABOUT", "NODE", "MESSAGE"), rows)


_PARTS: Final[Mapping[Kind, _Describe]] = {
    Kind.CONFIGURATIONS: _configuration,
    Kind.INSTANCES: _instance,
    Kind.BROKERS: _broker,
    Kind.REPORTS: _report,
    Kind.NODES: _node,
}

"""What a discovery answer becomes on this node, as values to print: Instances by the agent's own decision, and what was dropped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import field, frozen

from akri.core.configuration import Configuration
from akri.core.device import Device
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.core.inventory import reconcile
from akri.core.inventory_commands import Create
from akri.core.metadata import Json, JsonObject
from akri.core.presence import Presence
from akri.discovery.snapshot import Snapshot, SourceReport

__all__ = ["Found", "FoundDevice", "changes", "document", "found", "table"]

_ADDRESS = "handler"


@frozen
class FoundDevice:
    """A device and the name of the Instance that this node would make of it. properties: as a broker gets them."""

    device: Device
    instance: str
    properties: tuple[tuple[str, str], ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Device nodes of the host."""
        return tuple(node.host_path for node in self.device.device_nodes)


@frozen
class Found:
    """What a Configuration finds. problems: of devices that cannot be used. report: what the handler says of those it dropped."""

    configuration: Configuration
    devices: tuple[FoundDevice, ...] = ()
    problems: tuple[Problem, ...] = ()
    report: SourceReport = field(factory=SourceReport)


def found(configuration: Configuration, snapshot: Snapshot, node: NodeName, *, shared: bool) -> Found:
    """Decide what the agent of an empty cluster would make of an answer."""
    presence = Presence.begin(0.0).registered(_ADDRESS, shared=shared)
    presence = presence.answered(_ADDRESS, snapshot.devices, 0.0, problems=snapshot.problems)
    decided = reconcile(configuration, node, presence, (), 0.0)
    devices = {str(device.id): device for device in snapshot.devices}
    made = [command.instance for command in decided.commands if isinstance(command, Create)]
    named = [
        FoundDevice(devices[id_], instance.name, tuple(sorted(instance.broker_properties.items())))
        for instance in made
        if (id_ := instance.device_id) in devices
    ]
    named.sort(key=lambda one: one.device.id)
    report = snapshot.report or SourceReport(len(snapshot.devices))
    return Found(configuration, tuple(named), decided.problems, report)


def table(result: Found) -> Iterator[str]:
    """Print in lines: the devices in columns, then what was dropped and why."""
    key = result.configuration.key
    yield f"Configuration {key}: {_count(len(result.devices), 'device')} found by {result.configuration.discovery.handler}"
    if result.devices:
        rows = [("INSTANCE", "DEVICE ID", "DEVICE NODES")]
        rows += [(one.instance, one.device.id, " ".join(one.nodes) or "-") for one in result.devices]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for number, row in enumerate(rows):
            yield f"  {row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip()
            if number:
                yield from (f"      {name}={value}" for name, value in result.devices[number - 1].properties)
    yield from _dropped(result)


def _dropped(result: Found) -> Iterator[str]:
    report = result.report
    if report.dropped:
        yield f"  of {_count(report.candidates, 'candidate')}, dropped:"
        width = len(str(max(report.dropped.values())))
        yield from (f"    {count:{width}}  {reason}" for reason, count in sorted(report.dropped.items(), key=lambda one: (-one[1], one[0])))
    if report.message:
        yield f"  {report.message}"
    yield from (f"  problem: {problem}" for problem in result.problems)


def changes(before: Found, after: Found) -> Iterator[str]:
    """Print what came, went and changed between two answers, one line each; nothing if only the report did."""
    old, new = ({one.device.id: one for one in result.devices} for result in (before, after))
    name = after.configuration.name
    for gone in sorted(old.keys() - new.keys()):
        yield f"{name}  - {old[gone].instance}  {gone}"
    for one in sorted(new):
        if one not in old:
            yield f"{name}  + {new[one].instance}  {one}  {' '.join(new[one].nodes)}".rstrip()
        elif old[one] != new[one]:
            yield f"{name}  ~ {new[one].instance}  {one}  {_difference(old[one], new[one])}"
    yield from (f"{name}  problem: {problem}" for problem in after.problems if problem not in before.problems)


def _difference(before: FoundDevice, after: FoundDevice) -> str:
    old, new = dict(before.properties), dict(after.properties)
    parts = [f"{name}={new.get(name, '(none)')}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return " ".join(parts) or "other mounts or device nodes"


def document(results: Sequence[Found]) -> JsonObject:
    """Give all of it as JSON."""
    return {"configurations": [_one(result) for result in results]}


def _one(result: Found) -> Json:
    return {
        "namespace": result.configuration.key.namespace,
        "name": result.configuration.name,
        "handler": result.configuration.discovery.handler,
        "devices": [_device(one) for one in result.devices],
        "candidates": result.report.candidates,
        "dropped": _mapping(result.report.dropped),
        "message": result.report.message,
        "problems": [str(problem) for problem in result.problems],
    }


def _device(one: FoundDevice) -> Json:
    return {
        "id": one.device.id,
        "instance": one.instance,
        "properties": _mapping(dict(one.properties)),
        "mounts": [
            {"containerPath": mount.container_path, "hostPath": mount.host_path, "readOnly": mount.read_only} for mount in one.device.mounts
        ],
        "deviceNodes": [
            {"containerPath": node.container_path, "hostPath": node.host_path, "permissions": node.permissions}
            for node in one.device.device_nodes
        ],
    }


def _mapping(value: Mapping[str, int] | Mapping[str, str]) -> dict[str, Json]:
    return dict(_items(value))


def _items(value: Mapping[str, int] | Mapping[str, str]) -> Iterable[tuple[str, Json]]:
    yield from value.items()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

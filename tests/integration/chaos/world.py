"""The devices of a run, their comings and goings by a seed, and the Configurations that look for them. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import HandlerName, ObjectKey
from akri.core.metadata import JsonObject, ObjectMeta
from tests.integration.chaos.history import Device

__all__ = [
    "CAPACITY",
    "ECHO",
    "LOCAL",
    "LOOP",
    "NODES",
    "SHARED",
    "Change",
    "configurations",
    "devices",
    "pod_spec",
    "restless",
    "schedule",
    "wanted_brokers",
]

NODES: Final = ("a", "b", "c")
SHARED: Final = "shared"
"""Cameras on a network: every node reaches them; a short absence changes nothing."""
LOCAL: Final = "local"
"""Sticks in one node's sockets: their Instances go with them, at once."""
ECHO: Final = "echo"
"""Devices that the Configuration names; a short grace, so that their Instances go as well."""
LOOP: Final = "loop"
"""Block devices of the kernel, which each node has as its own."""
CAPACITY: Final[Mapping[str, int]] = {SHARED: 4, LOCAL: 2, ECHO: 1, LOOP: 1}
_ECHO_GRACE: Final = 2
_PRESENT: Final = (6.0, 20.0)
_ABSENT: Final[Mapping[str, tuple[float, float]]] = {SHARED: (1.0, 6.0), LOCAL: (1.0, 6.0), ECHO: (6.0, 14.0), LOOP: (1.0, 6.0)}


@frozen
class Change:
    """A device comes or goes, so many seconds after the beginning."""

    at: float
    device: Device
    present: bool


def devices() -> tuple[Device, ...]:
    """List the 30 devices that come by themselves; loop devices are made where the machine allows it."""
    shared = [Device(SHARED, f"camera-{number}") for number in range(6)]
    local = [Device(LOCAL, f"stick-{node}-{number}", node, kept=number < 3) for node in NODES for number in range(5)]
    echo = [Device(ECHO, f"foo-{number}", kept=False) for number in range(9)]
    return (*shared, *local, *echo)


def schedule(chance: random.Random, seconds: float, comers: Iterable[Device]) -> tuple[Change, ...]:
    """Say when which device goes and comes back; all are there at the beginning and at the end."""
    changes = [change for device in comers for change in _life(chance, seconds, device)]
    return tuple(sorted(changes, key=lambda change: change.at))


def restless(device: Device) -> bool:
    """Tell the devices that come and go from those that stay."""
    return not device.kept or (device.configuration == SHARED and device.id[-1] in "45")


def _life(chance: random.Random, seconds: float, device: Device) -> Iterator[Change]:
    if not restless(device):
        return
    at = chance.uniform(*_PRESENT)
    while True:
        back = at + chance.uniform(*_ABSENT[device.configuration])
        if back >= seconds:
            return
        yield Change(at, device, present=False)
        yield Change(back, device, present=True)
        at = back + chance.uniform(*_PRESENT)


def wanted_brokers(configuration: str) -> int:
    """How many brokers the controller makes for an Instance whose device all nodes reach that can."""
    return min(CAPACITY[configuration], len(NODES)) if configuration == SHARED else 1


def configurations(command: Sequence[str], echo: Sequence[str], loop_files: Path | None) -> tuple[Configuration, ...]:
    """Write the Configurations; `command` is the broker's, `echo` the devices that one of them names."""
    made = [
        _configuration(command, SHARED, "chaos-shared", ""),
        _configuration(command, LOCAL, "chaos-local", ""),
        _configuration(command, ECHO, "debugEcho", f"descriptions: {list(echo)}", {"akri.sh/grace": str(_ECHO_GRACE)}),
    ]
    if loop_files is not None:
        rule = f"""KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{loop_files}/*.img" """.strip()
        made.append(_configuration(command, LOOP, "udev", f"udevRules: ['{rule}']"))
    return tuple(made)


def _configuration(
    command: Sequence[str], name: str, handler: str, details: str, annotations: Mapping[str, str] | None = None
) -> Configuration:
    return Configuration(
        ObjectMeta(ObjectKey("default", name), annotations=annotations or {}),
        DiscoveryRequest(HandlerName(handler), details),
        CAPACITY[name],
        PodBroker(pod_spec(command, {"{{PLACEHOLDER}}": "1"})),
        broker_properties={"SLOTS": str(CAPACITY[name])},
    )


def pod_spec(command: Sequence[str], limits: Mapping[str, str]) -> JsonObject:
    """Write a pod of one broker with these devices."""
    fields = {"POD": "metadata.uid", "NAME": "metadata.name", "NODE": "spec.nodeName"}
    environment: list[JsonObject] = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    container: JsonObject = {"name": "broker", "command": command, "env": environment, "resources": {"limits": dict(limits)}}
    return {"restartPolicy": "Always", "terminationGracePeriodSeconds": 2, "containers": [container]}

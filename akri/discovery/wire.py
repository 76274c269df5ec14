"""The bytes of the discovery protocol (discovery.proto), and our values for them. Nothing else knows the generated code.

A function that reads raises InvalidValueError for what does not fit: peers are other people's programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from attrs import field, frozen
from google.protobuf.message import DecodeError, Message

from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import InvalidValueError, Problem, short
from akri.core.ids import DeviceId, HandlerName
from akri.discovery._proto import messages_pb2 as pb
from akri.discovery.snapshot import Snapshot, SourceReport

__all__ = [
    "DISCOVER",
    "EMPTY",
    "MOST",
    "REGISTER",
    "KnownDevices",
    "Question",
    "Registration",
    "WrittenDevices",
    "read_answer",
    "read_question",
    "read_registration",
    "write_answer",
    "write_question",
    "write_registration",
]

REGISTER: Final = "/v0.Registration/RegisterDiscoveryHandler"
DISCOVER: Final = "/v0.DiscoveryHandler/Discover"
EMPTY: Final = b""
"""An empty message: the answer to a registration."""
MOST: Final = 64 * 1024 * 1024
"""Bytes of the largest message that both ends take: gRPC's default of 4 MiB ends at a few thousand devices."""

KnownDevices: TypeAlias = Mapping[bytes, Device]
"""Devices of the former answer by their bytes, so that those that did not change need not be read again."""
WrittenDevices: TypeAlias = Mapping[DeviceId, tuple[Device, bytes]]
"""Devices of the former answer with their bytes, so that those that did not change need not be written again."""
_Message = TypeVar("_Message", bound=Message)
_COUNT: Final = 2**32 - 1
_LONGEST_NAME: Final = 253
_LONGEST_ENDPOINT: Final = 1024
_MOST_DEVICES: Final = 100_000
"""Devices, and ids of those that are gone, in one answer: an empty one takes two bytes, so the size of a message bounds too little."""
_MOST_NAMED: Final = 1000
"""Reasons in the report of one answer, and problems that are told of it, and bytes of each: people have to read them."""


@frozen(order=True)
class Registration:
    """How a handler makes itself known.

    endpoint: the path of its unix socket, or with `network` an address like `http://10.1.2.3:10000`.
    shared: whether several nodes can reach one of its devices.
    """

    name: HandlerName
    endpoint: str
    network: bool
    shared: bool


@frozen
class Question:
    """What a Configuration asks a handler: its details, and its properties with all references resolved. Values are never printed."""

    details: str
    properties: Mapping[str, bytes] = field(factory=dict[str, bytes], hash=False, repr=lambda properties: f"<{len(properties)} values>")


def read_registration(data: bytes) -> Registration:
    """Read RegisterDiscoveryHandlerRequest."""
    message = _parsed(pb.RegisterDiscoveryHandlerRequest(), data)
    kinds = {pb.RegisterDiscoveryHandlerRequest.UDS: False, pb.RegisterDiscoveryHandlerRequest.NETWORK: True}
    if message.endpoint_type not in kinds:
        raise InvalidValueError("endpoint_type", message.endpoint_type, "UDS (0) or NETWORK (1)")
    if not _usable(message.name, _LONGEST_NAME):
        raise InvalidValueError("name", message.name, f"the name that Configurations use, 1 to {_LONGEST_NAME} printable characters")
    if not _usable(message.endpoint, _LONGEST_ENDPOINT):
        raise InvalidValueError("endpoint", message.endpoint, "the path of a unix socket, or an address like http://10.1.2.3:10000")
    return Registration(HandlerName(message.name), message.endpoint, kinds[message.endpoint_type], message.shared)


def _usable(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()


def write_registration(registration: Registration) -> bytes:
    """Write RegisterDiscoveryHandlerRequest."""
    kind = pb.RegisterDiscoveryHandlerRequest.NETWORK if registration.network else pb.RegisterDiscoveryHandlerRequest.UDS
    message = pb.RegisterDiscoveryHandlerRequest(
        name=registration.name, endpoint=registration.endpoint, endpoint_type=kind, shared=registration.shared
    )
    return message.SerializeToString(deterministic=True)


def read_question(data: bytes) -> Question:
    """Read DiscoverRequest."""
    message = _parsed(pb.DiscoverRequest(), data)
    return Question(message.discovery_details, {name: value.vec for name, value in message.discovery_properties.items()})


def write_question(question: Question) -> bytes:
    """Write DiscoverRequest."""
    properties = {name: pb.ByteData(vec=value) for name, value in question.properties.items()}
    message = pb.DiscoverRequest(discovery_details=question.details, discovery_properties=properties)
    return message.SerializeToString(deterministic=True)


def read_answer(data: bytes, known: KnownDevices) -> tuple[Snapshot, KnownDevices]:
    """Read DiscoverResponse; answer with the devices by their bytes as well, for the next call.

    A device that cannot be is a problem of the Snapshot. Raises InvalidValueError if the message, or a device in it, is no message at all.
    """
    message = _parsed(pb.DiscoverResponse(), data)
    for place, count in (("devices", len(message.devices)), ("gone_ids", len(message.gone_ids))):
        if count > _MOST_DEVICES:
            raise InvalidValueError(place, count, f"at most {_MOST_DEVICES}")
    devices: list[Device] = []
    present: dict[bytes, Device] = {}
    problems: list[Problem] = []
    for encoded in message.devices:
        device = present.get(encoded) or known.get(encoded)
        if device is None:
            parsed = _parsed(pb.Device(), encoded)
            try:
                device = _device(parsed)
            except InvalidValueError as error:
                if len(problems) < _MOST_NAMED:
                    problems.append(Problem(f"device {short(parsed.id)}.{error.problem.place}", error.problem.message))
                continue
        devices.append(device)
        present[encoded] = device
    report: SourceReport | None = None
    if message.HasField("report"):
        dropped = dict(islice(message.report.dropped.items(), _MOST_NAMED))
        report = SourceReport(message.report.candidates, dropped, message.report.message[:_MOST_NAMED])
    gone = tuple(DeviceId(gone) for gone in message.gone_ids)
    return Snapshot(tuple(devices), report, gone, tuple(problems)), present


def write_answer(snapshot: Snapshot, known: WrittenDevices) -> tuple[bytes, WrittenDevices]:
    """Write DiscoverResponse; answer with the bytes of the devices as well, for the next call. Its problems are not sent."""
    report: pb.Report | None = None
    if snapshot.report is not None:
        dropped = {reason: min(count, _COUNT) for reason, count in snapshot.report.dropped.items()}
        report = pb.Report(candidates=min(snapshot.report.candidates, _COUNT), dropped=dropped, message=snapshot.report.message)
    devices: list[bytes] = []
    present: dict[DeviceId, tuple[Device, bytes]] = {}
    for device in snapshot.devices:
        former = known.get(device.id)
        encoded = former[1] if former is not None and former[0] == device else _written(device)
        devices.append(encoded)
        present[device.id] = device, encoded
    message = pb.DiscoverResponse(devices=devices, report=report, gone_ids=snapshot.gone_ids)
    return message.SerializeToString(deterministic=True), present


def _device(message: pb.Device) -> Device:
    return Device(
        DeviceId(message.id),
        message.properties,
        tuple(Mount(mount.container_path, mount.host_path, mount.read_only) for mount in message.mounts),
        tuple(DeviceNode(node.container_path, node.host_path, node.permissions or "rwm") for node in message.device_specs),
    )


def _written(device: Device) -> bytes:
    message = pb.Device(id=device.id, properties=device.properties)
    for mount in device.mounts:
        message.mounts.add(container_path=mount.container_path, host_path=mount.host_path, read_only=mount.read_only)
    for node in device.device_nodes:
        message.device_specs.add(container_path=node.container_path, host_path=node.host_path, permissions=node.permissions)
    return message.SerializeToString(deterministic=True)


def _parsed(message: _Message, data: bytes) -> _Message:
    name = type(message).DESCRIPTOR.name
    try:
        message.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise InvalidValueError(name, data[:20], f"a protocol buffer of the discovery protocol ({error})") from error
    return message

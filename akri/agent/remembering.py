"""What the agent remembers of devices, as text: the last Device of each Instance, by the Configuration that asked for it.

Reading gives what `Presence.begin` takes, so that a next agent serves every plugin before any handler has answered. The text of a
device is made once and kept as long as the device stays as it is: most of thousands do when one changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field, frozen

from akri.core.configuration import Configuration
from akri.core.device import Device, DeviceNode, Local, Mount, Scope, Shared, Sighting
from akri.core.errors import InvalidValueError
from akri.core.ids import DeviceId, NodeName, ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.core.presence import Presence

__all__ = ["Known", "Remembered", "Writer", "read_devices"]

_VERSION: Final = 1


@frozen
class Known:
    """What is known of one Configuration's devices at one moment."""

    configuration: Configuration
    presence: Presence


@frozen
class Remembered:
    """What an earlier run of the agent saw for one Configuration, this very one (uid)."""

    uid: str
    sightings: tuple[Sighting, ...]


_Text: TypeAlias = tuple[Device, bool, str]


@define(eq=False)
class Writer:
    """Prints what is known, with the texts of the time before."""

    _texts: dict[ObjectKey, dict[DeviceId, _Text]] = field(init=False, factory=dict[ObjectKey, dict[DeviceId, _Text]])

    def text(self, known: Sequence[Known], now: float) -> str:
        """Print the devices that are seen, and those that are not and keep their grace at `now`. Same devices, same text."""
        texts: dict[ObjectKey, dict[DeviceId, _Text]] = {}
        parts: list[str] = []
        for one in sorted(known, key=lambda one: one.configuration.key):
            key = one.configuration.key
            texts[key] = dict(self._devices(one, now, self._texts.get(key, {})))
            if texts[key]:
                head = json.dumps({"namespace": key.namespace, "name": key.name, "uid": one.configuration.metadata.uid})[:-1]
                devices = ",\n".join(text for _, _, text in texts[key].values())
                parts.append(f'{head}, "devices": [\n{devices}\n]}}')
        self._texts = texts
        configurations = ",\n".join(parts)
        return f'{{"version": {_VERSION}, "configurations": [\n{configurations}\n]}}\n'

    def _devices(self, one: Known, now: float, before: Mapping[DeviceId, _Text]) -> Iterator[tuple[DeviceId, _Text]]:
        view = one.presence.view(now, one.configuration.grace)
        seen = {id_: (device, view.shared) for id_, device in view.present.items()}
        seen |= {id_: (missing.device, missing.shared) for id_, missing in view.missing.items()}
        for id_, (device, shared) in sorted(seen.items()):
            known = before.get(id_)
            if known is None or known[0] is not device or known[1] != shared:
                known = (device, shared, json.dumps(_document(device, shared=shared)))
            yield id_, known


def _document(device: Device, *, shared: bool) -> JsonObject:
    return {
        "id": device.id,
        "shared": shared,
        "properties": dict(device.properties),
        "mounts": [
            {"containerPath": mount.container_path, "hostPath": mount.host_path, "readOnly": mount.read_only} for mount in device.mounts
        ],
        "deviceNodes": [
            {"containerPath": node.container_path, "hostPath": node.host_path, "permissions": node.permissions}
            for node in device.device_nodes
        ],
    }


def read_devices(document: Json, node: NodeName) -> Mapping[ObjectKey, Remembered]:
    """Read what a `Writer` printed, also from a later version that added to it; `node` is this one. Raises InvalidValueError."""
    match document:
        case {"version": int(), "configurations": [*configurations]}:
            return dict(_configuration(f"configurations[{index}]", one, node) for index, one in enumerate(configurations))
        case _:
            raise InvalidValueError("", "" if document is None else type(document).__name__, "an object with version and configurations")


def _configuration(place: str, document: Json, node: NodeName) -> tuple[ObjectKey, Remembered]:
    match document:
        case {"namespace": str(namespace), "name": str(name), "uid": str(uid), "devices": [*devices]}:
            key = ObjectKey(namespace, name)
            sightings = (_sighting(f"{place}.devices[{index}]", one, key, node) for index, one in enumerate(devices))
            return key, Remembered(uid, tuple(sightings))
        case _:
            raise InvalidValueError(place, type(document).__name__, "an object with namespace, name, uid and devices")


def _sighting(place: str, document: Json, configuration: ObjectKey, node: NodeName) -> Sighting:
    match document:
        case {
            "id": str(id_),
            "shared": bool(shared),
            "properties": properties,
            "mounts": [*mounts],
            "deviceNodes": [*nodes],
        }:
            scope: Scope = Shared() if shared else Local(node)
            device = Device(
                DeviceId(id_),
                _properties(f"{place}.properties", properties),
                tuple(_mount(f"{place}.mounts[{index}]", one) for index, one in enumerate(mounts)),
                tuple(_node(f"{place}.deviceNodes[{index}]", one) for index, one in enumerate(nodes)),
            )
            return Sighting(device, configuration, scope)
        case _:
            raise InvalidValueError(place, type(document).__name__, "an object with id, shared, properties, mounts and deviceNodes")


def _properties(place: str, document: Json) -> Mapping[str, str]:
    if not isinstance(document, Mapping):
        raise InvalidValueError(place, type(document).__name__, "an object")
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    if len(texts) != len(document):
        raise InvalidValueError(place, "something else", "texts")
    return texts


def _mount(place: str, document: Json) -> Mount:
    match document:
        case {"containerPath": str(container), "hostPath": str(host), "readOnly": bool(read_only)}:
            return Mount(container, host, read_only)
        case _:
            raise InvalidValueError(place, type(document).__name__, "an object with containerPath, hostPath and readOnly")


def _node(place: str, document: Json) -> DeviceNode:
    match document:
        case {"containerPath": str(container), "hostPath": str(host), "permissions": str(permissions)}:
            return DeviceNode(container, host, permissions)
        case _:
            raise InvalidValueError(place, type(document).__name__, "an object with containerPath, hostPath and permissions")

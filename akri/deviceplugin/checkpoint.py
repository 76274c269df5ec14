"""The device manager's memory over restarts, in the kubelet's own file and form, so that tools which read the one read the other.

A file that cannot be read is set aside, never silently overwritten.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.core.metadata import Json
from akri.deviceplugin import wire
from akri.deviceplugin.devices import Allocation, Ledger
from akri.deviceplugin.wire import DeviceIds

__all__ = ["CHECKPOINT_FILE", "Checkpoint", "CheckpointFile", "parse_checkpoint", "print_checkpoint"]

CHECKPOINT_FILE: Final = "kubelet_internal_checkpoint"
"""File name in the device plugin directory."""

_LOG: Final = logging.getLogger(__name__)
_NO_NUMA_NODE: Final = "-1"


@frozen
class Checkpoint:
    """Who has which devices, and which healthy devices each resource had."""

    ledger: Ledger = field(factory=Ledger)
    registered: Mapping[ResourceName, DeviceIds] = field(factory=dict[ResourceName, DeviceIds], hash=False)


def _checksum(data: Json) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True, separators=(",", ":")).encode())


def print_checkpoint(checkpoint: Checkpoint) -> str:
    """Print the file's JSON. The checksum is over our own compact form: the kubelet's depends on the memory layout of Go."""
    data: Json = {
        "PodDeviceEntries": [
            {
                "PodUID": allocation.uid,
                "ContainerName": allocation.container,
                "ResourceName": allocation.resource,
                "DeviceIDs": {_NO_NUMA_NODE: list(allocation.ids)},
                "AllocResp": base64.b64encode(wire.write_edits(allocation.edits)).decode(),
            }
            for allocation in checkpoint.ledger.allocations
        ],
        "RegisteredDevices": {resource: list(ids) for resource, ids in sorted(checkpoint.registered.items())},
    }
    return json.dumps({"Data": data, "Checksum": _checksum(data)})


def _mapping(value: Json, place: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise InvalidValueError(place, value, "an object")
    return value


def _text(value: Json, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(place, value, "a text")
    return value


def _ids(value: Json, place: str) -> DeviceIds:
    if not isinstance(value, list):
        raise InvalidValueError(place, value, "a list of device ids")
    return tuple(PluginDeviceId(_text(one, place)) for one in value)


def _allocation(value: Json) -> Allocation:
    entry = _mapping(value, "PodDeviceEntries")
    nodes = _mapping(entry.get("DeviceIDs"), "DeviceIDs")
    try:
        response = base64.b64decode(_text(entry.get("AllocResp"), "AllocResp"), validate=True)
    except binascii.Error as error:
        raise InvalidValueError("AllocResp", entry.get("AllocResp"), "base64") from error
    return Allocation(
        _text(entry.get("PodUID"), "PodUID"),
        _text(entry.get("ContainerName"), "ContainerName"),
        ResourceName(_text(entry.get("ResourceName"), "ResourceName")),
        tuple(device for ids in nodes.values() for device in _ids(ids, "DeviceIDs")),
        wire.read_edits(response),
    )


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the file's JSON; raises InvalidValueError for anything that `print_checkpoint` did not print."""
    try:
        document = _mapping(json.loads(text), "checkpoint")
    except (ValueError, RecursionError) as error:
        raise InvalidValueError("checkpoint", text, "a JSON object") from error
    data = _mapping(document.get("Data"), "Data")
    if document.get("Checksum") != _checksum(data):
        raise InvalidValueError("Checksum", document.get("Checksum"), "the checksum of Data")
    entries = data.get("PodDeviceEntries")
    if not isinstance(entries, list):
        raise InvalidValueError("PodDeviceEntries", entries, "a list")
    registered = _mapping(data.get("RegisteredDevices"), "RegisteredDevices")
    return Checkpoint(
        Ledger(tuple(_allocation(entry) for entry in entries)),
        {ResourceName(resource): _ids(ids, "RegisteredDevices") for resource, ids in registered.items()},
    )


class CheckpointFile:
    """Reads the file once and writes it on each change, off the event loop; changes that come close together share a write."""

    def __init__(self, path: Path, state: Callable[[], Checkpoint]) -> None:
        """Take the file's path and where to ask for what to write."""
        self._path = path
        self._state = state
        self._lock = asyncio.Lock()
        self._wanted = 0
        self._written = 0

    def load(self) -> Checkpoint:
        """Read what was written last; empty if there is nothing, or nothing readable (then it is set aside and reported)."""
        try:
            return parse_checkpoint(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Checkpoint()
        except (InvalidValueError, UnicodeDecodeError) as error:
            aside = self._path.with_name(self._path.name + ".damaged")
            self._path.replace(aside)
            _LOG.error("set a damaged checkpoint aside file=%s error=%s", aside, error)
            return Checkpoint()

    async def save(self) -> None:
        """Return once a state at least as new as the present one is in the file; raises OSError."""
        self._wanted += 1
        wanted = self._wanted
        async with self._lock:
            if self._written >= wanted:
                return
            written = self._wanted
            text = print_checkpoint(self._state())
            write = asyncio.ensure_future(asyncio.to_thread(_replace, self._path, text))
            try:
                await asyncio.shield(write)
            finally:
                # A cancelled wait does not stop the thread: without this the next write would run into this one.
                await asyncio.wait((write,))
            self._written = written


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

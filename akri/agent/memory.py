"""What the agent remembers over its own restart: which handlers registered (E3), and the last Device of each Instance.

Small files under its state folder, replaced as a whole and only for its own user. Claims are not in here: the Instances hold them.
Only those are whose Instance went while a pod used them through their Configuration: nobody else knows what their ids stand for.
A damaged file is set aside, reported and begun anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from attrs import define, field

from akri.agent.remembering import Known, Remembered, Writer, read_devices
from akri.clock import wait_for_either
from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName, NodeName, ObjectKey, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.metadata import Json, JsonObject
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.wire import Registration
from akri.ports import Clock

__all__ = ["Memory", "Orphans", "read_orphans", "read_registrations", "write_orphans", "write_registrations"]

_VERSION: Final = 1
_MIB: Final = 1024 * 1024
_SIGN_OF_LIFE: Final = 3600.0
_PAUSE: Final = 1.0
"""Seconds between two writes of one file, at least;"""
_BYTES_PER_SECOND: Final = 1_000_000
"""and so long that a device whose properties never rest costs a memory card no more than this."""
_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_Print: TypeAlias = Callable[[], str]
Orphans: TypeAlias = Mapping[ObjectKey, Mapping[PluginDeviceId, SlotId]]
"""By Instance that went, the slots that ids of its Configuration's resource stood for."""


def write_registrations(registrations: tuple[Registration, ...]) -> JsonObject:
    """Print registrations as they are stored."""
    return {
        "version": _VERSION,
        "handlers": [{"name": one.name, "endpoint": one.endpoint, "network": one.network, "shared": one.shared} for one in registrations],
    }


def read_registrations(document: Json) -> tuple[Registration, ...]:
    """Read what `write_registrations` printed, also from a later version that added to it. Raises InvalidValueError."""
    match document:
        case {"version": int(), "handlers": [*handlers]}:
            return tuple(_registration(f"handlers[{index}]", one) for index, one in enumerate(handlers))
        case _:
            raise InvalidValueError("", document, "an object with version and handlers")


def _registration(place: str, document: Json) -> Registration:
    match document:
        case {"name": str(name), "endpoint": str(endpoint), "network": bool(network), "shared": bool(shared)} if name and endpoint:
            return Registration(HandlerName(name), endpoint, network, shared)
        case _:
            raise InvalidValueError(place, document, "an object with name, endpoint, network and shared")


def write_orphans(orphans: Orphans) -> JsonObject:
    """Print claims of Instances that went as they are stored."""
    instances: list[JsonObject] = [
        {"namespace": key.namespace, "name": key.name, "slots": {id_: str(slot) for id_, slot in sorted(bound.items())}}
        for key, bound in sorted(orphans.items())
    ]
    return {"version": _VERSION, "instances": instances}


def read_orphans(document: Json) -> Orphans:
    """Read what `write_orphans` printed, also from a later version that added to it. Raises InvalidValueError."""
    match document:
        case {"version": int(), "instances": [*instances]}:
            return dict(_orphan(f"instances[{index}]", one) for index, one in enumerate(instances))
        case _:
            raise InvalidValueError("", document, "an object with version and instances")


def _orphan(place: str, document: Json) -> tuple[ObjectKey, Mapping[PluginDeviceId, SlotId]]:
    match document:
        case {"namespace": str(namespace), "name": str(name), "slots": Mapping() as slots}:
            bound = {PluginDeviceId(str(VirtualDeviceId.parse(id_))): SlotId.parse(str(slot)) for id_, slot in slots.items()}
            return ObjectKey(namespace, name), bound
        case _:
            raise InvalidValueError(place, document, "an object with namespace, name and slots")


def _nothing_known() -> None:
    return None


@define(eq=False)
class Memory:
    """Remembers under `folder`, which is made where it is missing.

    `keep` says which handlers, `look_again` that there may be something new about devices and Instances; `run` writes it, soon.
    """

    folder: Path
    clock: Clock
    _latest: tuple[Registration, ...] | None = field(init=False, default=None)
    _handlers: _File = field(init=False)
    _devices: _File = field(init=False)
    _orphans: _File = field(init=False)
    _writer: Writer = field(init=False, factory=Writer)

    def __attrs_post_init__(self) -> None:
        """Name the files; nothing is read yet."""
        self._handlers = _File(self.folder / "handlers.json", self.clock, "handlers", _MIB)
        self._devices = _File(self.folder / "devices.json", self.clock, "devices", 256 * _MIB)
        self._orphans = _File(self.folder / "orphans.json", self.clock, "claims of Instances that went", 16 * _MIB)

    def load(self) -> tuple[Registration, ...]:
        """Read the handlers that an earlier run wrote; nothing if there is none, or if it is damaged: then the file is set aside."""
        return self._handlers.read(read_registrations, ())

    def load_devices(self, node: NodeName) -> Mapping[ObjectKey, Remembered]:
        """Read what an earlier run knew of devices, by Configuration; as `load`. node: the name of this one."""
        return self._devices.read(lambda document: read_devices(document, node), {})

    def load_orphans(self) -> Orphans:
        """Read the claims of Instances that went; as `load`."""
        return self._orphans.read(read_orphans, {})

    def keep(self, registrations: tuple[Registration, ...]) -> None:
        """Remember these in place of the former ones, as soon as `run` comes to it."""
        self._latest = registrations
        self._handlers.changed.set()

    def look_again(self) -> None:
        """Remember what is known of devices and Instances by now, as soon as `run` comes to it."""
        self._devices.changed.set()
        self._orphans.changed.set()

    async def run(
        self, known: Callable[[], Sequence[Known] | None] = _nothing_known, orphaned: Callable[[], Orphans | None] = _nothing_known
    ) -> None:
        """Write what is to be kept, until cancelled; a disk that is full or read-only is tried again.

        known: tells what is known of devices; None while that is not worth more than what is in the file. orphaned: the same of
        claims of Instances that went.
        """

        def handlers() -> _Print | None:
            latest = self._latest
            return None if latest is None else lambda: json.dumps(write_registrations(latest), indent=1)

        def devices() -> _Print | None:
            latest, now = known(), self.clock.now()
            return None if latest is None else lambda: self._writer.text(latest, now)

        def orphans() -> _Print | None:
            latest = orphaned()
            return None if latest is None else lambda: json.dumps(write_orphans(latest), indent=1)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._orphans.run(orphans))
            group.create_task(self._handlers.run(handlers))
            group.create_task(self._devices.run(devices))


@define(eq=False)
class _File:
    """One file: read once, then replaced whenever there is something else to be kept. most: bytes that are read of it.

    changed: there may be something new. One thread at a time writes, the last state last.
    """

    path: Path
    clock: Clock
    what: str
    most: int
    changed: asyncio.Event = field(init=False, factory=asyncio.Event)
    _written: str | None = field(init=False, default=None)
    _writing: threading.Lock = field(init=False, factory=threading.Lock)

    def read(self, parse: Callable[[Json], _T], nothing: _T) -> _T:
        """Read the file, `nothing` if there is none or it is damaged. What a killed writer left behind is removed."""
        for leftover in self.path.parent.glob(f".{self.path.name}-*"):
            leftover.unlink(missing_ok=True)
        try:
            with self.path.open("rb") as file:
                text = file.read(self.most).decode()
            found = parse(json.loads(text))
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError, RecursionError) as error:
            self._set_aside(error)
            return nothing
        self._written = text
        return found

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(self.clock.wall())}")
        _logger.error("the remembered %s cannot be read and are set aside file=%s as=%s error=%s", self.what, self.path, aside, error)
        try:
            self.path.replace(aside)
        except OSError as trouble:
            _logger.warning("a damaged file stays where it is file=%s error=%s", self.path, trouble)

    async def run(self, look: Callable[[], _Print | None]) -> None:
        """Look and write until cancelled; what was not written by then is written at the end. look: takes a state that may be printed."""
        failures = 0
        try:
            while True:
                self.changed.clear()
                print_ = look()
                size = 0
                try:
                    size = 0 if print_ is None else await asyncio.to_thread(self._write, print_)
                except OSError as error:
                    failures += 1
                    self.changed.set()
                    _logger.warning("%s are not remembered folder=%s error=%s", self.what, self.path.parent, error)
                    await self.clock.sleep(NETWORK_BACK_OFF.seconds(failures, self.clock.random()))
                    continue
                failures = 0
                await self.clock.sleep(max(_PAUSE, size / _BYTES_PER_SECOND) if size else 0.0)
                await wait_for_either(self.clock, _SIGN_OF_LIFE, self.changed)
        finally:
            print_ = look() if self.changed.is_set() else None
            if print_ is not None:
                with suppress(OSError):
                    self._write(print_)

    def _write(self, print_: _Print) -> int:
        """Replace the file; tell how many characters were written, none if it is as it was."""
        with self._writing:
            text = print_()
            if text == self._written:
                return 0
            _replace(self.path, text)
            self._written = text
            return len(text)


def _replace(path: Path, text: str) -> None:
    # Whoever looks, and whenever the power goes, there is the old file or the new one; both only for our own user.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

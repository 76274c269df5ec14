"""What the agent remembers over its own restart: which handlers registered (E3). Small files under its state folder.

Claims are not in here: the Instances hold them. A damaged file is set aside, reported and begun anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from attrs import define, field

from akri.clock import wait_for_either
from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName
from akri.core.metadata import Json, JsonObject
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.wire import Registration
from akri.ports import Clock

__all__ = ["Memory", "read_registrations", "write_registrations"]

_VERSION: Final = 1
_FILE: Final = "handlers.json"
_MOST: Final = 1024 * 1024
_SIGN_OF_LIFE: Final = 3600.0
_logger = logging.getLogger(__name__)


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


@define(eq=False)
class Memory:
    """Remembers under `folder`, which is made where it is missing. `keep` says what, `run` writes it."""

    folder: Path
    clock: Clock
    _latest: tuple[Registration, ...] | None = field(init=False, default=None)
    _changed: asyncio.Event = field(init=False, factory=asyncio.Event)

    def load(self) -> tuple[Registration, ...]:
        """Read what an earlier run wrote; nothing if there is none, or if it is damaged: then the file is set aside."""
        path = self.folder / _FILE
        try:
            with path.open("rb") as file:
                return read_registrations(json.loads(file.read(_MOST)))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, RecursionError) as error:
            aside = path.with_name(f"{_FILE}.damaged-{int(self.clock.wall())}")
            _logger.error("the remembered handlers cannot be read and are set aside file=%s as=%s error=%s", path, aside, error)  # noqa: TRY400
            _set_aside(path, aside)
            return ()

    def keep(self, registrations: tuple[Registration, ...]) -> None:
        """Remember these in place of the former ones, as soon as `run` comes to it."""
        self._latest = registrations
        self._changed.set()

    async def run(self) -> None:
        """Write what is to be kept, until cancelled; a disk that is full or read-only is tried again."""
        failures = 0
        while True:
            self._changed.clear()
            latest = self._latest
            if latest is not None:
                try:
                    await asyncio.to_thread(_replace, self.folder / _FILE, json.dumps(write_registrations(latest), indent=1))
                except OSError as error:
                    failures += 1
                    _logger.warning("registered handlers are not remembered folder=%s error=%s", self.folder, error)
                    await self.clock.sleep(NETWORK_BACK_OFF.seconds(failures, self.clock.random()))
                    continue
                failures = 0
            await wait_for_either(self.clock, _SIGN_OF_LIFE, self._changed)


def _set_aside(path: Path, aside: Path) -> None:
    try:
        path.replace(aside)
    except OSError as error:
        _logger.warning("a damaged file stays where it is file=%s error=%s", path, error)


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

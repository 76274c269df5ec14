"""debugEcho's I/O: look at the availability file now and then."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Final

from akri.core.ids import HandlerName
from akri.discovery.debug_echo.details import TITLE, answer, parse_details
from akri.discovery.document import read_document_aside
from akri.discovery.snapshot import Snapshot
from akri.ports import Clock

__all__ = ["AVAILABILITY_FILE", "DebugEchoHandler"]

AVAILABILITY_FILE: Final = Path("/tmp/debug-echo-availability.txt")  # noqa: S108 - users of Akri know this path
"""While this file contains OFFLINE, all debugEcho devices are away."""
_MAXIMUM_READ: Final = 4096


class DebugEchoHandler:
    """Discovers what its details describe.

    availability: the file that can switch all devices off. poll_interval: seconds between two looks at it.
    """

    def __init__(self, clock: Clock, *, shared: bool = True, availability: Path = AVAILABILITY_FILE, poll_interval: float = 1.0) -> None:
        """Take the clock to wait with; see the class for the rest."""
        self.name: Final = HandlerName("debugEcho")
        self.shared: Final = shared
        self._clock = clock
        self._availability = availability
        self._poll_interval = poll_interval

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot, None]:
        """Stream the devices; see akri.discovery.handler.Handler. The properties are not used."""
        del properties
        wanted = parse_details(await read_document_aside(TITLE, details))
        former: Snapshot | None = None
        while True:
            snapshot = answer(wanted, _read(self._availability))
            if snapshot != former:
                yield snapshot
            former = snapshot
            await self._clock.sleep(self._poll_interval)


def _read(path: Path) -> str:
    # A few bytes of a local file, read in place: a worker thread would cost more than the read. What is not a regular
    # file could block, so it counts as empty, as does a file that is missing or not readable.
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(_MAXIMUM_READ).decode(errors="replace")
    except OSError:
        return ""

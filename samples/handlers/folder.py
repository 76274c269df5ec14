"""A discovery handler in Python: each file in a folder is a device. docs/handlers.md walks through it.

Its details are `folder: /run/cameras`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from akri.core.device import Device, Mount
from akri.core.errors import InvalidDocumentError, Problem, short
from akri.core.ids import DeviceId
from akri.discovery.document import read_document
from akri.discovery.serving import serve
from akri.discovery.snapshot import Snapshot


def parse(details: str) -> Path:
    """Read the details; what is raised here reaches the user of the Configuration."""
    document = read_document("folder details", details)
    folder = document.get("folder") if isinstance(document, Mapping) and set(document) == {"folder"} else None
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise InvalidDocumentError("folder details", [Problem("folder", f"{short(folder)} is not valid: expected an absolute path")])
    return Path(folder)


def find(folder: Path) -> Snapshot:
    """List all devices: always the whole set, in the same order."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    devices = (Device(DeviceId(str(file)), {"FOLDER_FILE": str(file)}, (Mount(str(file), str(file), read_only=True),)) for file in files)
    return Snapshot(tuple(devices))


async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
    """Stream the devices: at once, and again after each change."""
    del properties
    folder, told = parse(details), None
    while True:
        found = await asyncio.to_thread(find, folder)
        if found != told:
            yield found
        told = found
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(serve("folder", discover, shared=False))

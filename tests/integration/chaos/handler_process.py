"""The discovery handlers beside one node, in a process of their own: `... FOLDER SHARED LOCAL`.

FOLDER is where they meet the agent. The other two are files with the ids of the devices that are there, one a line, which are read
again and again: those that every node reaches, and those of this node alone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from akri.core.device import Device
from akri.core.ids import DeviceId
from akri.discovery.serving import Discover, Place, serve
from akri.discovery.snapshot import Snapshot

__all__ = ["main"]

_LOOK = 0.1


def _reading(file: Path) -> Discover:
    async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        del details, properties
        told: str | None = None
        while True:
            present = await asyncio.to_thread(file.read_text)
            if present != told:
                yield Snapshot(tuple(Device(DeviceId(one), {"CHAOS_DEVICE": one}) for one in present.split()))
            told = present
            await asyncio.sleep(_LOOK)

    return discover


async def main(folder: Path, shared: Path, local: Path) -> None:
    """Serve until killed."""
    await asyncio.gather(
        serve("chaos-shared", _reading(shared), shared=True, place=Place(folder)),
        serve("chaos-local", _reading(local), shared=False, place=Place(folder)),
    )


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:4])))

"""A discovery handler that does what its standard input says: `python -m tests.scenarios.handler_program FOLDER [once] ID...`.

`show ID...` answers with these devices, `end` ends the streams. With `once` it registers once in its life and never again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from akri.clock import SystemClock
from akri.core.device import Device
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.serving import HandlerServer, Place
from akri.discovery.snapshot import Snapshot
from tests.scenarios.discovering import register

__all__ = ["main"]


class _Handler:
    """Answers with the present devices, and again with each change."""

    def __init__(self, devices: list[str]) -> None:
        self.devices = devices
        self.changed = asyncio.Condition()

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot]:
        del details, properties
        while True:
            told = self.devices
            yield Snapshot(tuple(Device(DeviceId(one), {"ID": one}) for one in told))
            async with self.changed:
                await self.changed.wait_for(lambda told=told: self.devices is not told)  # type: ignore[misc]

    async def obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().split():
            async with self.changed:
                self.devices = line[1:]
                self.changed.notify_all()


async def main(folder: Path, arguments: list[str]) -> None:
    """Serve until standard input ends."""
    once = arguments[:1] == ["once"]
    handler = _Handler(arguments[1:] if once else arguments)
    async with HandlerServer(HandlerName("mine"), handler.discover, SystemClock(), Place(folder), shared=True) as server:
        if once:
            await register(folder, server.registration)
            await handler.obey()
        else:
            keeping = asyncio.create_task(server.keep_registered())
            await handler.obey()
            keeping.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))

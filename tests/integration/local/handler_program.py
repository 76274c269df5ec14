"""A discovery handler in a process of its own: `python -m tests.integration.local.handler_program FOLDER ANSWER [OPTION...]`.

It answers with what stands in the file ANSWER, again with each change: JSON as `Plant.answer` writes it, or, where the file's
name ends in `.raw`, bytes that are sent as they are. Beside it, `ANSWER.asked` gets a line for each question, and
`ANSWER.registered` one for each registration: seconds since the epoch. Options: `once` registers once in its life, `local` says
that devices are not shared. Properties that a Configuration gives become properties of each device.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from akri import rpc
from akri.clock import SystemClock
from akri.core.device import Device, DeviceNode
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.registration import SOCKET_NAME
from akri.discovery.serving import HandlerServer, Place
from akri.discovery.snapshot import Snapshot
from akri.discovery.wire import DISCOVER, MOST, REGISTER, Registration, write_registration

__all__ = ["main"]

_NAME = HandlerName("mine")
_LOOK = 0.02


def _note(answer: Path, what: str) -> None:
    with answer.with_suffix(f".{what}").open("a") as file:
        file.write(f"{time.time()}\n")


async def _register(folder: Path, registration: Registration) -> None:
    """Register, and try again until there is an agent."""
    while not (folder / SOCKET_NAME).exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(_LOOK)
    channel = rpc.connect(rpc.unix(folder / SOCKET_NAME), most=MOST)
    try:
        await rpc.call(channel, REGISTER, write_registration(registration), seconds=10)
    finally:
        await channel.close()


def _device(written: dict[str, Any], properties: Mapping[str, bytes]) -> Device:
    given = {name: value.decode() for name, value in properties.items()}
    nodes = tuple(DeviceNode(path, path) for path in written.get("nodes", ()))
    return Device(DeviceId(written["id"]), {**written.get("properties", {}), **given}, device_nodes=nodes)


async def _changes(answer: Path) -> AsyncGenerator[bytes]:
    """Give what stands in the file now, then each change."""
    told: bytes | None = None
    while True:
        present = answer.read_bytes()  # noqa: ASYNC240 - a small local file
        if present != told:
            yield present
            told = present
        await asyncio.sleep(_LOOK)


async def main(folder: Path, answer: Path, options: Sequence[str]) -> None:
    """Serve until killed."""

    async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot]:
        del details
        _note(answer, "asked")
        async for text in _changes(answer):
            said = json.loads(text)
            yield Snapshot(tuple(_device(one, properties) for one in said["devices"]), gone_ids=tuple(map(DeviceId, said["gone"])))

    async def send(request: bytes, context: rpc.Context) -> None:
        del request
        _note(answer, "asked")
        async for text in _changes(answer):
            await context.write(text)

    shared = "local" not in options
    if answer.suffix == ".raw":
        registration = Registration(_NAME, str(folder / "raw.sock"), network=False, shared=shared)
        raw = await rpc.serve(rpc.unix(folder / "raw.sock"), {DISCOVER: rpc.stream_method(send)}, most=MOST)
        await _register(folder, registration)
        await raw.wait_for_termination()
    async with HandlerServer(_NAME, discover, SystemClock(), Place(folder), shared=shared) as server:
        if "once" in options:
            await _register(folder, server.registration)
            await asyncio.Event().wait()
        await asyncio.gather(server.keep_registered(), _tell_registered(server, answer))


async def _tell_registered(server: HandlerServer, answer: Path) -> None:
    while not server.registered:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.001)
    _note(answer, "registered")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))

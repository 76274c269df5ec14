"""The handler's end of the discovery protocol: serve one, and keep it registered with the agent of this node.

A handler is one function that streams snapshots; `serve` does the rest:

    async def discover(details, properties):
        yield Snapshot((Device(DeviceId("my-device"), {"MY_ADDRESS": "10.1.2.3"}),))
        await asyncio.Event().wait()

    asyncio.run(serve("myHandler", discover, shared=True))
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field, frozen

from akri import rpc
from akri.core.device import Device
from akri.core.errors import AkriError, DiscoveryError, InvalidDocumentError, InvalidValueError, RemoteCallError
from akri.core.ids import DeviceId, HandlerName
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.registration import SOCKET_NAME
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles, server_credentials
from akri.discovery.wire import DISCOVER, MOST, REGISTER, Registration, read_question, write_answer, write_device, write_registration
from akri.ports import Clock

if TYPE_CHECKING:
    from akri.rpc import Context

__all__ = ["DEFAULT_FOLDER", "DEFAULT_PORT", "Discover", "HandlerServer", "Place", "place_from", "serve"]

DEFAULT_FOLDER: Final = Path("/var/lib/akri")
"""Where agents and handlers meet if nothing else is said."""
DEFAULT_PORT: Final = 10000
"""Port of handlers that listen on the network."""
_LOOK: Final = 0.5
_REGISTER: Final = 10.0
_ASIDE: Final = 500
"""Devices of an answer from which on it is written in a worker thread, so that others go on meanwhile."""
_LOG: Final = logging.getLogger(__name__)

Discover: TypeAlias = Callable[[str, Mapping[str, bytes]], AsyncIterator[Snapshot]]
"""Details and properties in, snapshots out; see akri.discovery.handler.Handler."""


@frozen
class Place:
    """Where a handler serves: on `<folder>/<name>.sock`, or with `host` on the network, at `host:port`.

    folder: that of the agent's registration socket. tls: files to speak mutual TLS on the network with.
    """

    folder: Path = DEFAULT_FOLDER
    host: str = ""
    port: int = DEFAULT_PORT
    tls: TlsFiles | None = None


def place_from(environment: Mapping[str, str]) -> Place:
    """Read DISCOVERY_HANDLERS_DIRECTORY and POD_IP, as every handler of Akri does."""
    return Place(Path(environment.get("DISCOVERY_HANDLERS_DIRECTORY") or DEFAULT_FOLDER), environment.get("POD_IP", ""))


async def serve(name: str, discover: Discover, *, shared: bool, place: Place | None = None, clock: Clock | None = None) -> None:
    """Serve a handler until cancelled, registered with the agent whenever there is one.

    name: what Configurations call it. shared: whether several nodes can reach one of its devices. place: where, None to ask
    the environment. Raises OSError if it cannot listen there, DiscoveryError for TLS files that cannot be read.
    """
    if place is None:
        import os  # noqa: PLC0415 - only who does not say where asks the environment

        place = place_from(os.environ)
    if clock is None:
        from akri.discovery.system_clock import SystemClock  # noqa: PLC0415

        clock = SystemClock()
    async with HandlerServer(HandlerName(name), discover, clock, place, shared=shared) as server:
        await server.keep_registered()


@define(eq=False)
class HandlerServer:
    """Serves one handler while the block lasts. `streams`: how many Configurations ask now; `registered`: whether an agent knows us."""

    name: HandlerName
    discover: Discover
    clock: Clock
    place: Place
    shared: bool = field(kw_only=True)
    streams: int = field(init=False, default=0)
    registered: bool = field(init=False, default=False)
    _again: asyncio.Event = field(init=False, factory=asyncio.Event)
    _closing: list[Callable[[], None]] = field(init=False, factory=list)

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
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import grpc
from attrs import define, field, frozen
from grpc import aio

from akri import rpc
from akri.clock import SystemClock, wait_for_either
from akri.core.errors import AkriError, DiscoveryError, InvalidDocumentError, InvalidValueError, RemoteCallError
from akri.core.ids import HandlerName
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.redaction import Redaction
from akri.discovery.registration import SOCKET_NAME
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles, server_credentials
from akri.discovery.wire import DISCOVER, MOST, REGISTER, Registration, WrittenDevices, read_question, write_answer, write_registration
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
_SIGN_OF_LIFE: Final = 60.0
"""Seconds after which a handler registers again without a reason: an agent that forgot it is told within a minute."""
_ASIDE: Final = 500
"""Devices of an answer from which on it is written in a worker thread, so that others go on meanwhile."""
_LOG: Final = logging.getLogger(__name__)

Discover: TypeAlias = Callable[[str, Mapping[str, bytes]], AsyncIterator[Snapshot]]
"""Details and properties in, snapshots out; see akri.discovery.handler.Handler."""

_Identity: TypeAlias = tuple[int, int]


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


async def serve(name: str, discover: Discover, *, shared: bool, place: Place | None = None) -> None:
    """Serve a handler until cancelled, registered with the agent whenever there is one.

    name: what Configurations call it. shared: whether several nodes can reach one of its devices. place: where, None for what
    the environment says. Raises OSError if it cannot listen there, DiscoveryError for TLS files that cannot be read.
    """
    where = place_from(os.environ) if place is None else place
    async with HandlerServer(HandlerName(name), discover, SystemClock(), where, shared=shared) as server:
        await server.keep_registered()


@define(eq=False)
class HandlerServer:
    """Serves one handler while the block lasts. `streams`: how many questions it answers now; `registered`: whether an agent knows it."""

    name: HandlerName
    discover: Discover
    clock: Clock
    place: Place
    shared: bool = field(kw_only=True)
    streams: int = field(init=False, default=0)
    registered: bool = field(init=False, default=False)
    _server: aio.Server | None = field(init=False, default=None)
    _inode: int = field(init=False, default=0)
    _again: asyncio.Event = field(init=False, factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        """Begin to answer. Raises OSError if nobody can listen there, DiscoveryError for TLS files that cannot be read."""
        methods = {DISCOVER: rpc.stream_method(self._discover, _status)}
        if self.place.host:
            credentials = await server_credentials(self.place.tls) if self.place.tls else None
            self._server = await rpc.serve(_host_and_port(self.place), methods, most=MOST, credentials=credentials)
        else:
            self._socket.parent.mkdir(parents=True, exist_ok=True)
            self._socket.unlink(missing_ok=True)
            self._server = await rpc.serve(rpc.unix(self._socket), methods, most=MOST)
            self._inode = self._socket.stat().st_ino
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all streams and stop to listen. A socket that another handler made in the same place since stays."""
        aside = self._follower_put_aside()
        if self._server is not None:
            await self._server.stop(grace=None)
        if aside is not None:
            aside.replace(self._socket)
        elif not self.place.host:
            self._socket.unlink(missing_ok=True)

    def _follower_put_aside(self) -> Path | None:
        """Keep the socket of one who took our place from gRPC, which removes the file of its socket, whoever made the one there now."""
        if self.place.host:
            return None
        try:
            if self._socket.stat().st_ino == self._inode:
                return None
            return self._socket.rename(self._socket.with_suffix(".aside"))
        except OSError:
            return None

    @property
    def _socket(self) -> Path:
        return self.place.folder / f"{self.name}.sock"

    @property
    def registration(self) -> Registration:
        """How the handler makes itself known."""
        scheme = "https" if self.place.tls else "http"
        endpoint = f"{scheme}://{_host_and_port(self.place)}" if self.place.host else str(self._socket)
        return Registration(self.name, endpoint, network=bool(self.place.host), shared=self.shared)

    async def keep_registered(self) -> None:
        """Register with the agent, and again with each new one and whenever a stream was dropped; until cancelled."""
        agent, failures = self.place.folder / SOCKET_NAME, 0
        while True:
            self._again.clear()
            before = _identity(agent)
            self.registered = before is not None and await self._register(agent)
            failures = 0 if self.registered else failures + 1
            wait = _SIGN_OF_LIFE if self.registered else NETWORK_BACK_OFF.seconds(failures, self.clock.random())
            await self._news(agent, before, wait)

    async def _register(self, agent: Path) -> bool:
        channel = rpc.connect(rpc.unix(agent), most=MOST)
        try:
            await rpc.call(channel, REGISTER, write_registration(self.registration), seconds=_REGISTER)
        except RemoteCallError as error:
            _LOG.warning("not registered handler=%s agent=%s error=%s", self.name, agent, error)
            return False
        finally:
            await channel.close()
        _LOG.info("registered handler=%s agent=%s", self.name, agent)
        return True

    async def _news(self, agent: Path, before: _Identity | None, seconds: float) -> None:
        """Wait until a stream was dropped or the agent's socket is another one, at most for `seconds`."""
        until = self.clock.now() + seconds
        while self.clock.now() < until and not self._again.is_set() and _identity(agent) == before:
            await wait_for_either(self.clock, min(_LOOK, until - self.clock.now()), self._again)

    async def _discover(self, request: bytes, context: Context) -> None:
        question = read_question(request)
        written: WrittenDevices = {}
        snapshots = self.discover(question.details, question.properties)
        self.streams += 1
        try:
            async for snapshot in snapshots:
                answer, written = await _written(snapshot, written)
                await context.write(answer)
        except (AkriError, grpc.RpcError, aio.BaseError):
            raise
        except Exception as error:  # noqa: BLE001 - logged below
            # What a source raises may quote what it was given, passwords too.
            frames = Redaction(question.properties.values()).trace(error)
            _LOG.error("a source failed handler=%s\n%s", self.name, frames)
            message = f"unexpected {type(error).__name__} in the handler's own code"
            raise RemoteCallError(message, "INTERNAL") from None
        finally:
            self.streams -= 1
            self._again.set()
            if isinstance(snapshots, AsyncGenerator):
                await snapshots.aclose()


async def _written(snapshot: Snapshot, known: WrittenDevices) -> tuple[bytes, WrittenDevices]:
    if len(snapshot.devices) < _ASIDE:
        answer, written = write_answer(snapshot, known)
    else:
        answer, written = await asyncio.to_thread(write_answer, snapshot, known)
    if len(answer) > MOST:
        message = f"an answer of {len(snapshot.devices)} devices has {len(answer)} bytes: expected at most {MOST}"
        raise RemoteCallError(message, "RESOURCE_EXHAUSTED")
    return answer, written


def _host_and_port(place: Place) -> str:
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def _identity(socket: Path) -> _Identity | None:
    # A new agent makes a new file; an inode alone may be used again at once.
    try:
        found = socket.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _status(error: AkriError) -> str:
    if isinstance(error, InvalidDocumentError | InvalidValueError):
        return "INVALID_ARGUMENT"
    return "UNAVAILABLE" if isinstance(error, DiscoveryError) else rpc.status_of(error)

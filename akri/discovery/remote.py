"""A handler in a process of its own, as the agent sees it: the same as an embedded one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import grpc
from attrs import frozen
from grpc import aio

from akri import rpc
from akri.core.errors import (
    DiscoveryError,
    HandlerUnreachableError,
    InvalidDocumentError,
    InvalidValueError,
    Problem,
    RemoteCallError,
)
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles, channel_credentials
from akri.discovery.wire import DISCOVER, MOST, KnownDevices, Question, Registration, read_answer, write_question

__all__ = ["Address", "RemoteHandler", "address_of"]

_KEEPALIVE: Final = 310.0
"""Seconds of silence before the handler's process is asked whether it is there: the kernel does not tell of a network that was cut,
or of a process that was stopped. gRPC servers take more than one question in five minutes for abuse and hang up."""
_CONNECT: Final = 10.0
"""Seconds for a connection to come about, the handshake included: machines are busy, and networks are slow."""
_NO_CONNECTION: Final = frozenset({grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.CONNECTING})
_ASIDE: Final = 100_000
"""Bytes of an answer from which on it is read in a worker thread, so that others go on meanwhile."""


@frozen
class Address:
    """Where a handler listens: gRPC's address, and whether it speaks TLS."""

    target: str
    tls: bool


def address_of(registration: Registration) -> Address:
    """Read a registration's endpoint; raise InvalidValueError if it is neither the path of a socket nor a URL with host and port."""
    if not registration.network:
        if not registration.endpoint.startswith("/"):
            raise InvalidValueError("endpoint", registration.endpoint, "the absolute path of a unix socket")
        return Address(rpc.unix(Path(registration.endpoint)), tls=False)
    expected = "http://HOST:PORT, or https://HOST:PORT for TLS"
    try:
        url = urlsplit(registration.endpoint)
        port = url.port
    except ValueError as error:
        raise InvalidValueError("endpoint", registration.endpoint, expected) from error
    if url.scheme not in {"http", "https"} or not url.hostname or not port:
        raise InvalidValueError("endpoint", registration.endpoint, expected)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Address(f"{host}:{port}", tls=url.scheme == "https")


class RemoteHandler:
    """Asks the handler of a registration. Each stream has a connection of its own: none can disturb another.

    tls: files for handlers that speak TLS; without them such a handler cannot be asked.
    """

    def __init__(self, registration: Registration, tls: TlsFiles | None = None, *, keepalive: float = _KEEPALIVE) -> None:
        """Take the registration; raise InvalidValueError if its endpoint is none.

        keepalive: seconds of silence before the handler is asked whether it is there.
        """
        self.name: Final = registration.name
        self.shared: Final = registration.shared
        self._endpoint = registration.endpoint
        self._address = address_of(registration)
        self._tls = tls
        self._keepalive = keepalive

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot, None]:
        """Stream the devices; see akri.discovery.handler.Handler."""
        channel = await self._connected()
        answers = rpc.watch(channel, DISCOVER, write_question(Question(details, properties)))
        known: KnownDevices = {}
        try:
            async for answer in answers:
                snapshot, known = await self._read(answer, known)
                yield snapshot
        except RemoteCallError as error:
            raise self._failure(error, connected=channel.get_state() not in _NO_CONNECTION) from error
        finally:
            await answers.aclose()
            await channel.close()

    async def _connected(self) -> aio.Channel:
        if not self._address.tls:
            return rpc.connect(self._address.target, most=MOST, keepalive=self._keepalive, seconds=_CONNECT)
        if self._tls is None:
            raise DiscoveryError(f"discovery handler {self.name} at {self._endpoint} speaks TLS: this agent was given no certificate")
        credentials = await channel_credentials(self._tls)
        return rpc.connect(self._address.target, most=MOST, credentials=credentials, keepalive=self._keepalive, seconds=_CONNECT)

    async def _read(self, answer: bytes, known: KnownDevices) -> tuple[Snapshot, KnownDevices]:
        try:
            if len(answer) < _ASIDE:
                return read_answer(answer, known)
            return await asyncio.to_thread(read_answer, answer, known)
        except InvalidValueError as error:
            raise DiscoveryError(f"discovery handler {self.name} at {self._endpoint} sent what cannot be read: {error}") from error

    def _failure(self, error: RemoteCallError, *, connected: bool) -> DiscoveryError | InvalidDocumentError:
        if error.code == "INVALID_ARGUMENT":
            return InvalidDocumentError(f"discoveryDetails refused by {self.name}", [Problem("", error.text or "no reason was given")])
        kind = DiscoveryError if connected else HandlerUnreachableError
        return kind(f"discovery handler {self.name} at {self._endpoint}: {error}")

"""A server on a real socket that answers as a test's script says, down to the byte: what no server should send as well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from akri.clock import SystemClock
from akri.core.metadata import Json
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection

__all__ = ["Call", "Exchange", "Script", "client_of", "listing", "scripted", "status"]


@frozen
class Call:
    """A request as it came; `connection` numbers the connections from 0."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    connection: int


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, call: Call, writer: asyncio.StreamWriter) -> None:
        self.call = call
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, document: Json | bytes, code: int = 200, content_type: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a complete answer."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = [f"HTTP/1.1 {code} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def begin(self, content_type: str = "application/json") -> None:
        """Begin an answer in chunks."""
        await self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, kind: str, document: Json) -> None:
        """Send a watch event."""
        await self.chunk(json.dumps({"type": kind, "object": document}).encode() + b"\n")

    async def end(self) -> None:
        """End an answer in chunks as it should be."""
        await self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncGenerator[str]:
    """Run a server; gives its URL."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    call = await _read(reader, number)
                    await script(Exchange(call, writer))
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)


@asynccontextmanager
async def client_of(script: Script, connection: Callable[[str], Connection] = Connection) -> AsyncGenerator[ApiClient]:
    """A client of a server that follows the script."""
    async with scripted(script) as url, ApiClient(connection(url), SystemClock()) as client:
        yield client


async def _read(reader: asyncio.StreamReader, number: int) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    return Call(method, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body, number)


def status(code: int, reason: str, message: str = "no") -> Json:
    """A Status object."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def listing(*items: Json, revision: int = 10, more: str = "") -> Json:
    """A page of a list."""
    return {"kind": "List", "metadata": {"resourceVersion": str(revision), "continue": more}, "items": list(items)}

"""A server that answers as it was told, in order, and remembers what it was asked: for answers that a real one gives too seldom."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from aiohttp import web
from attrs import define, field, frozen

from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.local.clock import SystemClock

__all__ = ["CUT", "Answer", "Asked", "ImpatientClock", "ScriptedServer", "scripted", "status"]

CUT: Final = 0
"""In place of a status code: the connection is cut without an answer."""
Answer: TypeAlias = tuple[int, JsonObject]


class ImpatientClock(SystemClock):
    """Time passes as it does, and whoever sleeps is woken at once, as if it had slept."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        return super().now() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += max(seconds, 0.0)
        await asyncio.sleep(0)


@frozen
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: Json


def status(code: int, reason: str = "", message: str = "no") -> Answer:
    """A refusal as an API server words it."""
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


@define(eq=False)
class ScriptedServer:
    """The answers to come (the last one for ever), and what was asked so far. While `talks` is not set, nobody gets an answer."""

    answers: deque[Answer] = field(factory=deque[Answer])
    asked: list[Asked] = field(factory=list[Asked])
    talks: asyncio.Event = field(factory=asyncio.Event)
    url: str = ""
    _runner: web.ServerRunner | None = None

    async def start(self) -> None:
        self.talks.set()
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Be there no more."""
        self.talks.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        self.asked.append(Asked(request.method, request.path, dict(request.query), request.content_type, body))
        await self.talks.wait()
        code, document = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if code == CUT:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(_plain(document), status=code or 200)


@asynccontextmanager
async def scripted(clock: SystemClock) -> AsyncGenerator[tuple[ScriptedServer, ApiClient]]:
    """A server, and a client of it."""
    server = ScriptedServer()
    await server.start()
    try:
        async with ApiClient(Connection(server.url), clock) as client:
            yield server, client
    finally:
        await server.stop()


def _plain(value: Json) -> Any:  # noqa: ANN401 - what json.dumps takes
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list | tuple) else value

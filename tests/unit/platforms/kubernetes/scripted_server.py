"""A server that gives the answers of a list, one after the other, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeAlias

from attrs import define, field, frozen

from akri.clock import SystemClock
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from tests.unit.platforms.kubernetes.scripted import Exchange, scripted

__all__ = ["CUT", "Answer", "Asked", "ImpatientClock", "ScriptedServer", "listed", "status"]

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
    running: AsyncExitStack = field(factory=AsyncExitStack)

    def answer(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    async def stop(self) -> None:
        """Be there no more."""
        await self.running.aclose()

    async def follow(self, exchange: Exchange) -> None:
        call = exchange.call
        body = json.loads(call.body) if call.body else None
        self.asked.append(Asked(call.method, call.path, call.parameters, call.headers.get("content-type", ""), body))
        await self.talks.wait()
        code, document = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if code == CUT:
            exchange.cut()
        else:
            await exchange.answer(document, code)


@asynccontextmanager
async def listed(clock: SystemClock) -> AsyncGenerator[tuple[ScriptedServer, ApiClient]]:
    """A server, and a client of it."""
    server = ScriptedServer()
    server.talks.set()
    async with server.running:
        url = await server.running.enter_async_context(scripted(server.follow))
        async with ApiClient(Connection(url), clock) as client:
            yield server, client

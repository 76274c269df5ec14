"""What the tests of the client and its watches share: a way in, ConfigMaps to look at, and a reader that remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from akri.clock import SystemClock
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.login import ssl_context
from akri.platforms.kubernetes.watch_events import identity_of
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from tests.cluster.api_server import ApiServer

__all__ = ["CLOCK", "Map", "Reading", "connection_to", "decode_map", "map_named", "opened", "reading", "until"]

CLOCK = SystemClock()


@frozen
class Map:
    """A ConfigMap as a value."""

    key: ObjectKey
    uid: str
    revision: int = field(eq=False)
    text: str


def decode_map(document: JsonObject) -> Map:
    identity = identity_of(document)
    data = document.get("data")
    return Map(identity.key, identity.uid, identity.revision, str(data.get("text", "")) if isinstance(data, dict) else "")


def map_named(name: str, text: str = "", **labels: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"text": text}}


def connection_to(server: ApiServer) -> Connection:
    return Connection(server.url, ssl_context(server.ca_file), lambda: server.admin_token)


@asynccontextmanager
async def opened(server: ApiServer) -> AsyncGenerator[ApiClient]:
    async with ApiClient(connection_to(server), CLOCK) as client:
        yield client


@define
class Reading:
    """All that a watch delivered, with the times at which it came."""

    events: list[tuple[float, WatchEvent[Map]]] = field(factory=list[tuple[float, WatchEvent[Map]]])
    state: dict[ObjectKey, Map] = field(factory=dict[ObjectKey, Map])

    def take(self, event: WatchEvent[Map]) -> None:
        self.events.append((CLOCK.now(), event))
        match event:
            case Reset(objects):
                self.state = {found.key: found for found in objects}
            case Put(found):
                self.state[found.key] = found
            case Gone(key):
                self.state.pop(key, None)
            case Alive():
                pass

    @property
    def resets(self) -> int:
        return sum(isinstance(event, Reset) for _, event in self.events)

    @property
    def texts(self) -> dict[str, str]:
        return {key.name: found.text for key, found in self.state.items()}

    def known_until(self) -> float:
        """The latest time up to which everything is said to have been delivered."""
        times = [came if event.until is None else event.until for came, event in self.events if isinstance(event, Alive | Reset)]
        return max(times, default=0.0)


@asynccontextmanager
async def reading(watch: AsyncIterator[WatchEvent[Map]]) -> AsyncGenerator[Reading]:
    """Read a watch until the end of the block; whatever ends it before fails the test."""
    found = Reading()

    async def read() -> None:
        async for event in watch:
            found.take(event)

    task = asyncio.create_task(read())
    try:
        await until(lambda: bool(found.events) or task.done())
        yield found
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until the condition holds; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come true in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began

"""Watches over a real socket: how they go on after all that a server and a network may do to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from attrs import define, field

from akri.clock import SystemClock
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.resources import CONFIG_MAPS
from akri.platforms.kubernetes.watch_events import identity_of
from akri.platforms.kubernetes.watching import watch_objects
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from tests.unit.platforms.kubernetes.scripted import Exchange, Script, listing, scripted, status

Found = tuple[str, int]


def made(name: str, revision: int, uid: str = "u") -> JsonObject:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": uid + name, "resourceVersion": str(revision)}}


def decode(document: JsonObject) -> Found:
    identity = identity_of(document)
    if identity.key.name == "bad":
        message = "not to be read"
        raise ValueError(message)
    return identity.key.name, identity.revision


async def quiet(exchange: Exchange) -> None:
    """A watch on which nothing happens until the server ends it."""
    await exchange.begin()
    await asyncio.sleep(0.25)
    await exchange.end()


async def silent(_exchange: Exchange) -> None:
    await asyncio.sleep(3600)


@define
class Server:
    """An API server as far as a watch sees it. What is in `watches` is played once each, then `quiet` for ever."""

    revision: int = 10
    objects: list[JsonObject] = field(factory=list[JsonObject])
    watches: list[Script] = field(factory=list[Script])
    read: Script | None = None
    lists: list[dict[str, str]] = field(factory=list[dict[str, str]])
    resumed: list[int] = field(factory=list[int])

    async def script(self, exchange: Exchange) -> None:
        call = exchange.call
        if call.parameters.get("watch"):
            self.resumed.append(int(call.parameters["resourceVersion"]))
            await (self.watches.pop(0) if self.watches else quiet)(exchange)
        elif "fieldSelector" in call.parameters:
            await (self.read or self._revision)(exchange)
        else:
            self.lists.append({**call.parameters, "accept": call.headers["accept"]})
            await exchange.answer(listing(*self.objects, revision=self.revision))

    async def _revision(self, exchange: Exchange) -> None:
        await exchange.answer(listing(revision=self.revision))


class Hurried(SystemClock):
    """Ten seconds in one."""

    def now(self) -> float:
        return time.monotonic() * 10

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


CLOCK = Hurried()


@asynccontextmanager
async def reading(server: Server) -> AsyncGenerator[list[WatchEvent[Found]]]:
    """Read a watch of the server until the end of the block."""
    events: list[WatchEvent[Found]] = []

    async def read() -> None:
        async for event in watch_objects(client, CONFIG_MAPS, decode, CLOCK):
            events.append(event)  # noqa: PERF401 # others look at it meanwhile

    async with scripted(server.script) as url, ApiClient(Connection(url), CLOCK) as client:
        task = asyncio.create_task(read())
        try:
            yield events
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come true in time"
        await asyncio.sleep(0.005)


def told(events: list[WatchEvent[Found]]) -> list[WatchEvent[Found]]:
    return [event for event in events if not isinstance(event, Alive)]


def alive(events: list[WatchEvent[Found]]) -> list[float]:
    return [event.until or 0.0 for event in events if isinstance(event, Alive)]


def sending(*parts: bytes) -> Script:
    """A watch that sends these bytes as they are, and ends."""

    async def script(exchange: Exchange) -> None:
        await exchange.begin()
        for part in parts:
            await exchange.chunk(part)
        await exchange.end()

    return script


async def test_a_list_then_changes_and_signs_of_life() -> None:
    async def busy(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event("MODIFIED", made("a", 11))
        await exchange.event("ADDED", made("b", 12))
        await exchange.event("DELETED", made("a", 13))
        await exchange.event("BOOKMARK", {"metadata": {"resourceVersion": "14"}})
        server.revision = 14
        await exchange.end()

    server = Server(objects=[made("a", 3)], watches=[busy])
    began = CLOCK.now()
    async with reading(server) as events:
        await until(lambda: len(alive(events)) > 2)

    assert told(events)[0] == Reset((("a", 3),))
    assert [event for event in told(events)[1:] if isinstance(event, Gone)] == [
        event for event in told(events)[1:] if event not in (Put(("a", 11)), Put(("b", 12)))
    ]
    assert Put(("b", 12)) in told(events)
    assert server.resumed[:3] == [10, 14, 14]
    assert began <= alive(events)[0] <= alive(events)[1] <= alive(events)[2] <= CLOCK.now()
    assert len(server.lists) == 1


async def expired_status(exchange: Exchange) -> None:
    await exchange.answer(status(410, "Expired", "too old resource version"), 410)


async def expired_event(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.event("ERROR", status(410, "Expired", "too old resource version"))
    await exchange.end()


@pytest.mark.parametrize("expired", [expired_status, expired_event])
async def test_after_410_it_lists_again(expired: Script) -> None:
    server = Server(objects=[made("a", 3)])

    async def then(exchange: Exchange) -> None:
        server.objects, server.revision = [made("b", 19)], 20
        await expired(exchange)

    server.watches = [quiet, then]
    async with reading(server) as events:
        await until(lambda: len(told(events)) > 1)
        await until(lambda: server.resumed[-1] == 20)

    assert told(events) == [Reset((("a", 3),)), Reset((("b", 19),))]
    assert len(server.lists) == 2


async def html(exchange: Exchange) -> None:
    await exchange.answer(b"<html>502</html>", 200, "text/html")


async def gateway(exchange: Exchange) -> None:
    await exchange.answer(b"<html>502</html>", 502, "text/html")


async def cut_in_a_line(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.chunk(b'{"type":"ADDED","obj')
    exchange.cut()


@pytest.mark.parametrize(
    "rubbish",
    [
        sending(b'{"type":"ADDED","object":{"metadata":{"name":"x"'),
        sending(b"no json at all\n"),
        sending(b'{"type":"ADDED","object":{"metadata":{}}}\n'),
        sending(b'{"type":"UNKNOWN","object":{}}\n'),
        html,
        gateway,
        cut_in_a_line,
    ],
)
async def test_rubbish_breaks_one_leg_and_nothing_is_missed(rubbish: Script) -> None:
    async def good(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event("ADDED", made("b", 12))
        await exchange.end()

    server = Server(objects=[made("a", 3)], watches=[rubbish, good])
    async with reading(server) as events:
        await until(lambda: len(told(events)) > 1)

    assert told(events) == [Reset((("a", 3),)), Put(("b", 12))]
    assert server.resumed[:2] == [10, 10]


async def test_an_endless_line_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.begin()
        await exchange.chunk(b'{"type":"ADDED","object":"')
        for _ in range(100):
            await exchange.chunk(b"x" * 1024 * 1024)
            sent += 1

    server = Server(objects=[made("a", 3)], watches=[endless])
    async with reading(server) as events:
        await until(lambda: len(server.resumed) > 2)

    assert told(events) == [Reset((("a", 3),))]
    assert sent < 40


async def test_a_trickle_is_put_together() -> None:
    async def trickle(exchange: Exchange) -> None:
        await exchange.begin()
        for byte in b'{"type":"ADDED","object":{"metadata":{"name":"b","uid":"ub","resourceVersion":"12"}}}\n':
            await exchange.chunk(bytes([byte]))
            await asyncio.sleep(0.001)
        await exchange.end()

    server = Server(watches=[trickle])
    async with reading(server) as events:
        await until(lambda: len(told(events)) > 1)

    assert told(events) == [Reset(()), Put(("b", 12))]


async def test_a_server_that_was_set_back_is_listed_again() -> None:
    server = Server(objects=[made("a", 3)], revision=100)
    async with reading(server) as events:
        await until(lambda: len(alive(events)) > 0)
        server.revision, server.objects = 50, [made("a", 2, "other")]
        await until(lambda: len(told(events)) > 1)

    assert told(events) == [Reset((("a", 3),)), Reset((("a", 2),))]


async def test_bookmarks_without_a_consistent_read_say_nothing() -> None:
    """The server answers no reads, as one that is cut off from its store; its bookmarks come on."""

    async def bookmarks(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event("BOOKMARK", {"metadata": {"resourceVersion": "11"}})
        await asyncio.sleep(0.2)
        await exchange.end()

    server = Server(objects=[made("a", 3)], watches=[bookmarks] * 20, read=silent)
    async with reading(server) as events:
        await asyncio.sleep(1.5)
        assert alive(events) == []
        healed = CLOCK.now()
        server.read = None
        server.revision = 11
        await until(lambda: len(alive(events)) > 0)
        assert alive(events)[0] >= healed - 5 * 10


async def test_where_bookmarks_do_not_keep_up_lists_are_compared() -> None:
    server = Server(objects=[made("a", 3)])
    async with reading(server) as events:
        await until(lambda: len(server.resumed) > 0)
        server.revision = 20
        await until(lambda: len(alive(events)) > 3)

    assert [found["accept"].partition(";")[2][:27] for found in server.lists[1:3]] == ["as=PartialObjectMetadataLis"] * 2
    assert told(events) == [Reset((("a", 3),))]


async def test_a_watch_that_lost_an_event_is_found_out_by_comparing() -> None:
    server = Server(objects=[made("a", 3)])
    async with reading(server) as events:
        await until(lambda: len(server.resumed) > 0)
        server.revision, server.objects = 20, [made("a", 3), made("b", 15)]
        await until(lambda: len(told(events)) > 1)

    assert told(events) == [Reset((("a", 3),)), Reset((("a", 3), ("b", 15)))]


async def test_a_link_that_died_in_a_watch_hinders_nothing() -> None:
    async def dead(exchange: Exchange) -> None:
        await exchange.begin()
        await silent(exchange)

    server = Server(objects=[made("a", 3)], watches=[dead])
    async with reading(server) as events:
        await until(lambda: len(alive(events)) > 3, 3.0)

    assert told(events) == [Reset((("a", 3),))]


async def test_a_server_that_never_answers_a_watch_holds_nothing_up() -> None:
    server = Server(objects=[made("a", 3)], watches=[silent])
    async with reading(server) as events:
        await until(lambda: len(alive(events)) > 1, 3.0)

    assert told(events) == [Reset((("a", 3),))]


async def test_an_object_that_cannot_be_read_is_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def twice(exchange: Exchange) -> None:
        server.revision = 13
        await exchange.begin()
        await exchange.event("MODIFIED", made("a", 11))
        await exchange.event("MODIFIED", made("bad", 12))
        await exchange.event("BOOKMARK", {"metadata": {"resourceVersion": "13"}})
        await exchange.end()

    server = Server(objects=[made("bad", 3), made("a", 4)], watches=[twice, quiet, expired_status])
    async with reading(server) as events:
        await until(lambda: Put(("a", 11)) in events)
        server.objects = [made("bad", 12), made("a", 11)]
        await until(lambda: len(server.lists) > 1)
        await until(lambda: isinstance(told(events)[-1], Reset))

    assert told(events) == [Reset((("a", 4),)), Put(("a", 11)), Reset((("a", 11),))]
    assert caplog.text.count("an object cannot be read") == 2
    assert "object=n/bad@3" in caplog.text
    assert "object=n/bad@12" in caplog.text


async def test_a_watch_that_is_not_permitted_is_tried_again_and_never_ends() -> None:
    refusals = 3
    server = Server(objects=[made("a", 3)])

    async def guarded(exchange: Exchange) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            await exchange.answer(status(403, "Forbidden", "cannot list"), 403)
        else:
            await server.script(exchange)

    events: list[WatchEvent[Found]] = []
    async with scripted(guarded) as url, ApiClient(Connection(url), CLOCK) as client:
        watch = watch_objects(client, CONFIG_MAPS, decode, CLOCK)
        events.append(await asyncio.wait_for(anext(watch), 5))
        await watch.aclose()

    assert events == [Reset((("a", 3),))]
    assert refusals == 0

"""Events go out beside the work: nobody waits for them, and nobody is hurt when they are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from attrs import define, evolve

from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
from akri.platforms.kubernetes.events import Events, render_event
from tests.unit.platforms.kubernetes.scripted_server import CUT, Answer, ImpatientClock, ScriptedServer, listed, status

EVENT = Event("Instance", ObjectKey("default", "cam-8120fe"), Reason.DEVICE_LOST, "it is gone", warning=True)
INSTANCE: Answer = (200, {"kind": "Instance", "apiVersion": "akri.sh/v0", "metadata": {"name": "cam-8120fe", "uid": "u1"}})
MADE: Answer = (201, {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "cam-8120fe.x"}})


@define(eq=False)
class Reporter:
    server: ScriptedServer
    events: Events


@pytest_asyncio.fixture
async def reporter() -> AsyncGenerator[Reporter]:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        events = Events(client, clock, "akri-agent", "node-a")
        yield Reporter(server, events)
        await events.close()


async def test_an_event_names_its_object_with_its_uid(reporter: Reporter) -> None:
    reporter.server.answer(INSTANCE, MADE)
    await reporter.events.emit(EVENT)
    await reporter.events.close()
    read, made = reporter.server.asked
    assert (read.method, read.path) == ("GET", "/apis/akri.sh/v0/namespaces/default/instances/cam-8120fe")
    assert (made.method, made.path) == ("POST", "/api/v1/namespaces/default/events")
    assert isinstance(made.body, dict)
    about = {"kind": "Instance", "apiVersion": "akri.sh/v0", "namespace": "default", "name": "cam-8120fe", "uid": "u1"}
    assert made.body["involvedObject"] == about


async def test_an_event_about_what_is_gone_is_sent_all_the_same(reporter: Reporter) -> None:
    reporter.server.answer(status(404, "NotFound"), MADE)
    await reporter.events.emit(EVENT)
    await reporter.events.close()
    body = reporter.server.asked[1].body
    assert isinstance(body, dict)
    assert body["involvedObject"] == {"kind": "Instance", "apiVersion": "akri.sh/v0", "namespace": "default", "name": "cam-8120fe"}


async def test_an_event_about_something_unknown_is_sent_without_looking(reporter: Reporter) -> None:
    reporter.server.answer(MADE)
    await reporter.events.emit(evolve(EVENT, kind="Node"))
    await reporter.events.close()
    assert reporter.server.methods == ["POST"]


async def test_who_emits_does_not_wait_and_a_repetition_is_dropped(reporter: Reporter) -> None:
    reporter.server.answer(INSTANCE, MADE)
    reporter.server.talks.clear()
    for _ in range(5):
        await asyncio.wait_for(reporter.events.emit(EVENT), 1.0)
    reporter.server.talks.set()
    await reporter.events.close()
    assert reporter.server.methods == ["GET", "POST"]


async def test_while_the_server_is_silent_few_events_wait_and_the_rest_is_dropped(reporter: Reporter) -> None:
    reporter.server.answer(INSTANCE)
    reporter.server.talks.clear()
    for index in range(40):
        await reporter.events.emit(evolve(EVENT, message=str(index)))
    await asyncio.wait_for(reporter.events.close(0.5), 5.0)
    assert set(reporter.server.methods) == {"GET"}
    assert len(reporter.server.asked) <= 16


@pytest.mark.parametrize("answer", [(CUT, {}), status(403, "Forbidden"), status(500, "InternalError"), (200, {})])
async def test_whatever_the_server_answers_nothing_is_raised(reporter: Reporter, answer: Answer) -> None:
    reporter.server.answer(answer)
    await reporter.events.emit(EVENT)
    await reporter.events.close(5.0)
    assert "POST" in reporter.server.methods


async def test_without_a_server_nothing_is_raised(reporter: Reporter) -> None:
    await reporter.server.stop()
    await reporter.events.emit(EVENT)
    await reporter.events.close(5.0)
    assert reporter.server.asked == []


def test_texts_are_cut_to_what_the_server_takes() -> None:
    long = evolve(EVENT, message="x" * 5000, about=ObjectKey("default", "n" * 253), warning=False)
    body = render_event(long, {}, 1_790_000_000.5, "akri-agent", "node-a")
    assert isinstance(body["message"], str)
    assert (len(body["message"]), body["message"][-4:]) == (1024, "x...")
    assert body["metadata"] == {"generateName": "n" * 200 + ".", "namespace": "default"}
    assert (body["type"], body["reason"], body["firstTimestamp"]) == ("Normal", "DeviceLost", "2026-09-21T14:13:20Z")

"""Streams of handlers: opened, kept, closed; and handlers that fail in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

import pytest
from attrs import evolve

from akri.core.configuration import DiscoveryRequest
from akri.core.errors import AkriError, DiscoveryError, HandlerUnreachableError, InvalidDocumentError, NotPermittedError, Problem
from akri.core.ids import HandlerName
from akri.core.presence import Answering
from akri.core.properties import FromSecret
from akri.core.reports import Reason
from akri.discovery.handler import Handler
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.ports import Clock
from akri.testing.clock import VirtualClock
from akri.testing.faults import LostBefore
from tests.unit.agent.world import HANDLER, World, agent_world, configuration, device, key

_ODD = HandlerName("odd")


class _Odd:
    """A handler whose streams run a function of the test."""

    def __init__(self, work: Callable[[], AsyncIterator[Snapshot]]) -> None:
        self.name = _ODD
        self.shared = True
        self.work = work

    def __call__(self, clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG002 - as every factory of a handler
        return self

    def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:  # noqa: ARG002 - as every handler
        return self.work()


def _named(handler: str, details: str = "") -> DiscoveryRequest:
    return DiscoveryRequest(HandlerName(handler), details)


def _reason(it: World) -> Reason | None:
    return it.store.reports[0].handlers[0].reason


def _error(it: World) -> str:
    return it.agent.discovery.reports(key("cam"))[0].error


async def test_a_configuration_is_asked_with_its_details_and_reported() -> None:
    async with agent_world() as it:
        it.source.show(device("foo0"), report=SourceReport(7, {"no rule": 6}, "looked well"))
        await it.store.apply(evolve(configuration(), discovery=_named(HANDLER, "all")))
        await it.clock.advance(1)
        assert [asked.details for asked in it.source.asked] == ["all"]
        (report,) = it.store.reports
        (handler,) = report.handlers
        assert (handler.name, handler.endpoint, handler.devices, handler.candidates) == (HANDLER, "embedded", 1, 7)
        assert (handler.dropped, handler.message, handler.error) == ({"no rule": 6}, "looked well", "")
        assert handler.answered_at >= handler.asked_at > 0


async def test_an_unknown_handler_is_named_with_those_that_are_known() -> None:
    async with agent_world() as it:
        await it.store.apply(evolve(configuration(), discovery=_named("onvif")))
        await it.clock.advance(1)
        assert "no discovery handler onvif is registered on this node; registered: scripted" in it.problems()
        assert _reason(it) is Reason.HANDLER_MISSING


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HandlerUnreachableError("nobody listens"), Reason.HANDLER_SILENT),
        (NotPermittedError("no"), Reason.NOT_PERMITTED),
        (DiscoveryError("odd"), Reason.DISCOVERY_FAILED),
    ],
)
async def test_an_error_is_reported_with_its_kind_and_an_answer_ends_it(error: AkriError, reason: Reason) -> None:
    async with agent_world() as it:
        it.source.fail(error)
        await it.store.apply(configuration())
        await it.clock.advance(1)
        assert _reason(it) is reason
        it.source.show(device("foo0"))
        await it.clock.advance(60)
        assert _reason(it) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DiscoveryError("a library is missing"), Reason.DISCOVERY_FAILED),
        (PermissionError("/dev/x"), Reason.NOT_PERMITTED),
        (TypeError("oops"), Reason.DISCOVERY_FAILED),
    ],
)
async def test_a_handler_that_cannot_be_made_is_reported_and_tried_again(error: Exception, reason: Reason) -> None:
    tries: list[float] = []

    def factory(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
        tries.append(clock.now())
        raise error

    async with agent_world(handlers={_ODD: factory}) as it:
        await it.store.apply(evolve(configuration(), discovery=_named("odd")))
        await it.clock.advance(1)
        assert str(error) in it.problems()
        assert _reason(it) is reason
        await it.clock.advance(200)
        assert 5 < len(tries) < 30


_ERRORS = [OSError("gone"), ValueError("rubbish"), asyncio.CancelledError(), DiscoveryError("away"), ExceptionGroup("two", [OSError()])]


@pytest.mark.parametrize("error", _ERRORS)
async def test_a_handler_that_raises_anything_is_reported_and_asked_again_ever_more_rarely(error: BaseException) -> None:
    asked: list[float] = []
    clock = VirtualClock()

    async def work() -> AsyncGenerator[Snapshot, None]:
        asked.append(clock.now())
        yield Snapshot((device("foo0"),))
        await clock.sleep(0.1)
        raise error

    async with agent_world(device("foo1"), handlers={_ODD: _Odd(work)}, clock=clock) as it:
        await it.store.apply(evolve(configuration(), discovery=_named("odd")))
        await it.store.apply(configuration("other"))
        await it.clock.advance(5)
        assert _error(it)
        assert len(it.store.instances) == 2
        await it.clock.advance(290)
        assert len(it.store.instances) == 2
        assert 5 < len(asked) < 30


async def test_an_answer_that_is_no_snapshot_is_the_handlers_fault() -> None:
    async def work() -> AsyncGenerator[Snapshot, None]:
        yield "nonsense"  # type: ignore[misc]  # pyright: ignore[reportReturnType]

    async with agent_world(handlers={_ODD: _Odd(work)}) as it:
        await it.store.apply(evolve(configuration(), discovery=_named("odd")))
        await it.clock.advance(1)
        assert "discovery handler odd failed: AttributeError" in _error(it)


async def test_a_stream_that_is_no_generator_will_do(caplog: pytest.LogCaptureFixture) -> None:
    class Once:
        """Answers once, then ends."""

        left = 1

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> Snapshot:
            if not self.left:
                for _ in range(50):
                    await asyncio.sleep(0)
                raise StopAsyncIteration
            self.left -= 1
            return Snapshot((device("foo0"),))

    async with agent_world(handlers={_ODD: _Odd(Once)}) as it:
        await it.store.apply(evolve(configuration(), discovery=_named("odd")))
        await it.clock.advance(0.2)
        assert "discovery handler odd ended its answers" in caplog.text
        assert len(it.store.instances) == 1


async def test_bad_details_are_asked_again_only_when_they_change() -> None:
    async with agent_world() as it:
        it.source.fail(InvalidDocumentError("details", [Problem("udevRules", "missing")]))
        await it.store.apply(evolve(configuration(), discovery=_named(HANDLER, "bad")))
        await it.clock.advance(100)
        assert len(it.source.asked) == 1
        assert "udevRules" in it.problems()
        assert _reason(it) is Reason.DETAILS_REFUSED
        it.source.show(device("foo0"))
        await it.store.apply(evolve(configuration(), discovery=_named(HANDLER, "good")))
        await it.clock.advance(1)
        assert [asked.details for asked in it.source.asked] == ["bad", "good"]
        assert it.problems().strip() == ""


async def test_a_stream_that_ends_is_opened_again_soon_and_its_devices_stay() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        it.source.end()
        await it.clock.settle()
        it.source.show(device("foo0"))
        await it.clock.advance(1)
        assert len(it.source.asked) == 2
        assert len(it.store.instances) == 1
        presence = it.agent.discovery.presence[key("cam")].endpoint("embedded")
        assert presence is not None
        assert presence.state == Answering()


async def test_properties_that_are_missing_are_named_and_fetched_again() -> None:
    async with agent_world(device("foo0")) as it:
        secret = FromSecret("password", key("camera"), "password")
        await it.store.apply(evolve(configuration(), discovery=DiscoveryRequest(HANDLER, properties=(secret,))))
        await it.clock.advance(1)
        assert "camera" in it.problems()
        assert _reason(it) is Reason.PROPERTY_MISSING
        assert it.source.asked == []
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.clock.advance(2)
        assert [asked.properties for asked in it.source.asked] == [{"password": b"x"}]


async def test_a_secret_that_takes_for_ever_is_given_up_and_fetched_again() -> None:
    async with agent_world(device("foo0")) as it:
        it.orders.add("fetch", LostBefore(1000.0))
        await it.store.put_secret(key("camera"), {"password": b"x"})
        secret = FromSecret("password", key("camera"), "password")
        await it.store.apply(evolve(configuration(), discovery=DiscoveryRequest(HANDLER, properties=(secret,))))
        await it.clock.advance(12)
        assert len(it.source.asked) == 1


async def test_a_stream_that_takes_long_to_end_disturbs_nothing_of_the_next() -> None:
    """It says that it is lost when another one, with the same Configuration's name, has answered long ago."""
    ending = asyncio.Event()

    async def work() -> AsyncGenerator[Snapshot, None]:
        try:
            yield Snapshot((device("foo0"),))
            await asyncio.Event().wait()
        finally:
            await ending.wait()

    async with agent_world(device("foo0"), handlers={_ODD: _Odd(work)}) as it:
        await it.store.apply(evolve(configuration(), discovery=_named("odd")))
        await it.clock.advance(1)
        await it.store.delete(key("cam"))
        await it.store.apply(configuration())
        await it.clock.advance(1)
        ending.set()
        await it.clock.advance(1)
        endpoint = it.agent.discovery.presence[key("cam")].endpoint("embedded")
        assert endpoint is not None
        assert endpoint.state == Answering()
        await it.clock.advance(1000)
        assert len(it.store.instances) == 1


async def test_streams_are_closed_with_their_configuration_and_none_is_left_over() -> None:
    async with agent_world(device("foo0")) as it:
        for number in range(30):
            await it.store.apply(evolve(configuration(), discovery=_named(HANDLER, str(number))))
            await it.clock.settle()
        assert it.source.streams == 1
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        assert it.source.streams == 0
        assert (it.agent.discovery.presence, it.agent.discovery.reports(key("cam"))) == ({}, ())

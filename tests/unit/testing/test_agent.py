"""The agent for tests of handlers: what it sees of a handler is what the handler does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from akri.clock import SystemClock
from akri.core.device import Device
from akri.core.errors import InvalidDocumentError, Problem
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.serving import HandlerServer
from akri.discovery.snapshot import Snapshot
from akri.testing.agent import FakeAgent


async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
    if details == "bad":
        raise InvalidDocumentError("details", [Problem("", "bad ones")])
    yield Snapshot((Device(DeviceId(details), {name: value.decode() for name, value in properties.items()}),))
    await asyncio.Event().wait()


async def test_a_handler_is_asked_once_it_registered_and_again_by_a_new_agent() -> None:
    async with FakeAgent() as agent, HandlerServer(HandlerName("mine"), discover, SystemClock(), agent.place, shared=True) as server:
        registering = asyncio.create_task(server.keep_registered())
        async with agent.asking("mine", "a", {"K": b"v"}) as answers:
            assert (await anext(answers)).devices == (Device(DeviceId("a"), {"K": "v"}),)
        assert (await agent.registered("mine", times=2)).shared, "the stream was dropped"
        await agent.stop()
        assert not (agent.folder / "agent-registration.sock").exists()
        await agent.start()
        await agent.registered("mine", times=3)
        await agent.restart()
        await agent.registered("mine", times=4)
        async with agent.asking("mine", "bad") as answers:
            with pytest.raises(InvalidDocumentError, match="bad ones"):
                await anext(answers)
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
    assert not agent.folder.exists()


async def test_an_agent_can_refuse() -> None:
    async with FakeAgent() as agent, HandlerServer(HandlerName("mine"), discover, SystemClock(), agent.place, shared=True) as server:
        agent.refuses = True
        registering = asyncio.create_task(server.keep_registered())
        with pytest.raises(TimeoutError):
            await agent.registered("mine", within=0.5)
        assert not server.registered
        agent.refuses = False
        await agent.registered("mine", within=40)
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)

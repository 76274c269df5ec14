"""The scripted source does what a test tells it, for streams that are open and for those that come later."""

from __future__ import annotations

import asyncio

import pytest

from akri.core.device import Device
from akri.core.errors import DiscoveryError
from akri.core.ids import DeviceId
from akri.discovery.handler import Handler
from akri.discovery.snapshot import Snapshot
from akri.testing.source import ScriptedSource

CAMERA = Device(DeviceId("camera"))


async def listen(handler: Handler, heard: list[Snapshot]) -> None:
    async for snapshot in handler.discover("details", {"name": b"value"}):
        heard.append(snapshot)  # noqa: PERF401 - what was heard is looked at while the stream goes on


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_open_streams_hear_everything_and_later_ones_the_last() -> None:
    source = ScriptedSource("cameras", shared=True)
    early: list[Snapshot] = []
    late: list[Snapshot] = []
    async with asyncio.TaskGroup() as group:
        first = group.create_task(listen(source, early))
        await turns()
        source.show(CAMERA)
        source.show(gone=("camera",))
        await turns()
        second = group.create_task(listen(source, late))
        await turns()
        assert source.streams == 2
        first.cancel()
        second.cancel()
    assert early == [Snapshot((CAMERA,)), Snapshot(gone_ids=(DeviceId("camera"),))]
    assert late == early[1:]
    assert source.streams == 0
    assert [asked.details for asked in source.asked] == ["details", "details"]
    assert source.asked[0].properties == {"name": b"value"}
    assert (source.name, source.shared) == ("cameras", True)


async def test_fails_until_told_otherwise() -> None:
    source = ScriptedSource()
    source.fail(DiscoveryError("the bus is off"))
    for _ in range(2):
        with pytest.raises(DiscoveryError, match="the bus is off"):
            await listen(source, [])
    source.show(CAMERA)
    stream = source.discover("", {})
    assert (await anext(stream)).devices == (CAMERA,)
    await stream.aclose()


async def test_ends() -> None:
    source = ScriptedSource()
    heard: list[Snapshot] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(source, heard))
        await turns()
        source.show(CAMERA)
        source.end()
    assert heard == [Snapshot((CAMERA,))]
    await listen(source, heard)
    assert len(heard) == 1


async def test_hangs_for_streams_that_open_later() -> None:
    source = ScriptedSource()
    source.show(CAMERA)
    source.hang()
    heard: list[Snapshot] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen(source, heard))
        await turns()
        assert source.streams == 1
        task.cancel()
    assert heard == []

"""debugEcho follows its availability file, and says something only when something changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from akri.core.errors import InvalidDocumentError
from akri.discovery.debug_echo.source import DebugEchoHandler
from akri.discovery.snapshot import Snapshot
from akri.testing.clock import VirtualClock


async def follow(handler: DebugEchoHandler, heard: list[Snapshot]) -> None:
    async for snapshot in handler.discover("descriptions: [foo0, foo1]", {}):
        heard.append(snapshot)  # noqa: PERF401 - what was heard is looked at while the stream goes on


async def test_follows_the_availability_file(tmp_path: Path) -> None:
    clock, file = VirtualClock(), tmp_path / "availability.txt"
    heard: list[Snapshot] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(DebugEchoHandler(clock, availability=file), heard))
        await clock.advance(5)
        file.write_text("OFFLINE", "utf-8")
        await clock.advance(5)
        file.write_text("ONLINE", "utf-8")
        await clock.advance(5)
        file.unlink()
        await clock.advance(5)
        task.cancel()
    assert [[device.id for device in snapshot.devices] for snapshot in heard] == [["foo0", "foo1"], [], ["foo0", "foo1"]]


async def test_looks_as_often_as_it_is_told(tmp_path: Path) -> None:
    clock, file = VirtualClock(), tmp_path / "availability.txt"
    heard: list[Snapshot] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(DebugEchoHandler(clock, availability=file, poll_interval=30), heard))
        await clock.advance(1)
        file.write_text("OFFLINE", "utf-8")
        await clock.advance(28)
        assert len(heard) == 1
        await clock.advance(2)
        task.cancel()
    assert len(heard) == 2


async def test_a_file_that_cannot_be_read_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    stream = DebugEchoHandler(VirtualClock(), availability=tmp_path / "folder").discover("descriptions: [a]", {})
    assert len((await anext(stream)).devices) == 1
    await stream.aclose()


async def test_bad_details_are_refused_by_the_stream(tmp_path: Path) -> None:
    stream = DebugEchoHandler(VirtualClock(), availability=tmp_path / "none").discover("descriptions: [", {})
    with pytest.raises(InvalidDocumentError, match="debugEcho discovery details: line 1"):
        await anext(stream)

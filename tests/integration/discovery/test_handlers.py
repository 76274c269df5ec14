"""What the agent may expect of a handler holds in the same way wherever the handler is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import DiscoveryError, InvalidDocumentError, Problem
from akri.core.ids import DeviceId
from akri.discovery.handler import Handler
from akri.discovery.snapshot import Snapshot, SourceReport
from tests.integration.discovery.places import WAYS, reached

pytestmark = pytest.mark.parametrize("way", WAYS)

_FULL = Device(
    DeviceId("a/ä b"), {"KEY": "välue", "A": ""}, (Mount("/in", "/out", read_only=True),), (DeviceNode("/dev/x", "/dev/y", "rw"),)
)


class _Script:
    """A handler that answers as a test says. `open`: streams that were begun and did not end."""

    def __init__(self, *snapshots: Snapshot, error: Exception | None = None) -> None:
        self.snapshots = snapshots
        self.error = error
        self.asked: list[tuple[str, Mapping[str, bytes]]] = []
        self.open = 0
        self.ended = asyncio.Event()

    async def __call__(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot]:
        self.asked.append((details, dict(properties)))
        self.open += 1
        try:
            for snapshot in self.snapshots:
                yield snapshot
            if self.error is not None:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.open -= 1
            self.ended.set()


async def _first(handler: Handler, count: int, details: str = "", properties: Mapping[str, bytes] | None = None) -> list[Snapshot]:
    found: list[Snapshot] = []
    stream = handler.discover(details, properties or {})
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        if isinstance(stream, AsyncGenerator):
            stack.push_async_callback(stream.aclose)
        async for snapshot in stream:
            found.append(snapshot)
            if len(found) == count:
                break
    return found


async def test_all_that_a_snapshot_says_arrives(way: str, tmp_path: Path) -> None:
    said = (
        Snapshot((_FULL, Device(DeviceId("b"))), SourceReport(5, {"no rule": 2, "filter": 1}, "five looked at")),
        Snapshot((Device(DeviceId("b")),), gone_ids=(_FULL.id,)),
        Snapshot(),
    )
    script = _Script(*said)
    async with reached(way, script, tmp_path) as handler:
        assert await _first(handler, 3, "some: details", {"password": b"\x00\xff"}) == list(said)
        assert script.asked == [("some: details", {"password": b"\x00\xff"})]
        assert handler.shared


async def test_bad_details_are_told_from_failures(way: str, tmp_path: Path) -> None:
    refused = InvalidDocumentError("details", [Problem("udevRules[0]", "'X' is not valid: expected a match key", 3)])
    async with reached(way, _Script(error=refused), tmp_path) as handler:
        with pytest.raises(InvalidDocumentError, match=r"line 3: udevRules\[0\]: 'X' is not valid: expected a match key"):
            await _first(handler, 1)


async def test_a_failure_of_the_source_is_told_after_what_was_found(way: str, tmp_path: Path) -> None:
    async with reached(way, _Script(Snapshot((_FULL,)), error=DiscoveryError("the bus is gone")), tmp_path) as handler:
        stream = aiter(handler.discover("", {}))
        assert await anext(stream) == Snapshot((_FULL,))
        with pytest.raises(DiscoveryError, match="the bus is gone"):
            await anext(stream)


async def test_a_stream_that_is_closed_ends_in_the_handler(way: str, tmp_path: Path) -> None:
    script = _Script(Snapshot((_FULL,)))
    async with reached(way, script, tmp_path) as handler:
        await _first(handler, 1)
        async with asyncio.timeout(30):
            await script.ended.wait()
        assert script.open == 0


async def test_d6_streams_are_independent(way: str, tmp_path: Path) -> None:
    answers = asyncio.Condition()
    present = [0]

    async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        del properties
        told = -1
        while True:
            async with answers:
                await answers.wait_for(lambda told=told: present[0] != told)  # type: ignore[misc]
                told = present[0]
            yield Snapshot((Device(DeviceId(f"{details}{told}")),))

    async with reached(way, discover, tmp_path) as handler:
        streams = [aiter(handler.discover(name, {})) for name in "abc"]
        assert [(await anext(stream)).devices[0].id for stream in streams] == ["a0", "b0", "c0"]
        closing = streams.pop(0)
        assert isinstance(closing, AsyncGenerator)
        await closing.aclose()
        async with answers:
            present[0] = 1
            answers.notify_all()
        assert [(await anext(stream)).devices[0].id for stream in streams] == ["b1", "c1"]
        for stream in streams:
            assert isinstance(stream, AsyncGenerator)
            await stream.aclose()


async def test_ten_thousand_devices_arrive_whole(way: str, tmp_path: Path) -> None:
    devices = tuple(Device(DeviceId(f"device-{number}"), {"NUMBER": str(number), "TEXT": "x" * 600}) for number in range(10_000))
    changed = (Device(DeviceId("device-0"), {"NUMBER": "new"}), *devices[1:])
    async with reached(way, _Script(Snapshot(devices), Snapshot(changed)), tmp_path) as handler:
        first, second = await _first(handler, 2)
        assert (first.devices, second.devices) == (devices, changed)


async def test_a_slow_reader_holds_the_handler_up_and_nothing_piles_up(way: str, tmp_path: Path) -> None:
    made = 0

    async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        nonlocal made
        del details, properties
        while True:
            made += 1
            yield Snapshot((Device(DeviceId(str(made)), {"TEXT": "x" * 100_000}),))
            await asyncio.sleep(0)

    async with reached(way, discover, tmp_path) as handler:
        stream = aiter(handler.discover("", {}))
        await anext(stream)
        await asyncio.sleep(0.5)
        before = made
        await asyncio.sleep(0.5)
        assert made == before < 500
        assert isinstance(stream, AsyncGenerator)
        await stream.aclose()


async def test_who_fails_in_its_own_code_is_an_error_and_no_silence(way: str, tmp_path: Path) -> None:
    async with reached(way, _Script(error=TypeError("oops")), tmp_path) as handler:
        with pytest.raises((DiscoveryError, TypeError)) as failed:
            await _first(handler, 1)
        assert "TypeError" in str(failed.value) or isinstance(failed.value, TypeError)

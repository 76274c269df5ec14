"""What comes of a stream is kept as it comes, as much of it as is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from akri.core.device import Device
from akri.core.errors import RemoteCallError
from akri.core.ids import DeviceId
from akri.discovery.conformance.asking import Stream
from akri.discovery.snapshot import Snapshot
from akri.discovery.wire import write_answer


async def _messages(count: int, error: RemoteCallError | None = None) -> AsyncGenerator[bytes]:
    for number in range(count):
        yield write_answer(Snapshot((Device(DeviceId(str(number))),)), {})[0]
    if error is not None:
        raise error


async def test_a_stream_without_end_does_not_fill_the_memory() -> None:
    stream = Stream()
    await stream.record(_messages(3000))

    assert (stream.count, len(stream.answers), stream.answers[-1].devices[0].id) == (3000, 1000, "2999")
    assert stream.state() == "the end of the stream after 3000 answers"


async def test_how_it_ended_is_kept() -> None:
    failing, unreadable = Stream(), Stream()
    await failing.record(_messages(1, RemoteCallError("gone", "UNAVAILABLE")))
    assert (failing.state(), failing.ended, await failing.until(lambda stream: stream.count > 1, 1)) == ("gone", True, False)

    async def rubbish() -> AsyncGenerator[bytes]:
        yield b"\xff\xff"

    await unreadable.record(rubbish())
    assert unreadable.state().startswith("an answer that cannot be read: DiscoverResponse")


async def test_waiting_is_bounded() -> None:
    stream = Stream()
    assert not await stream.until(lambda stream: stream.count > 0, 0.01)
    assert stream.state() == "nothing"

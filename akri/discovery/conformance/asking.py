"""Asks a handler as an agent does, and keeps what comes as it comes: nothing is put in order, and nothing that is odd is left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from attrs import define, field
from grpc import aio

from akri import rpc
from akri.core.errors import AkriError, InvalidValueError, RemoteCallError
from akri.discovery.remote import address_of
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles, channel_credentials
from akri.discovery.wire import DISCOVER, MOST, KnownDevices, Question, Registration, read_answer, write_question

if TYPE_CHECKING:
    from akri.rpc import StreamCallable

__all__ = ["Ask", "Stream", "asking", "unread"]

_GREETING: Final = 10.0
"""A handler that is busy is slow, and breaks no rule by it."""
_LARGE: Final = 100_000
_KEPT: Final = 1000
"""Answers of a stream that are kept: a handler may send without end."""


@define(eq=False)
class Stream:
    """One question and what came: the last answers, and how many there were. error: what the stream ended with; ended: that it ended;

    unreadable: that an answer was none.
    """

    answers: list[Snapshot] = field(factory=list[Snapshot])
    count: int = 0
    error: RemoteCallError | None = None
    unreadable: str = ""
    ended: bool = False
    _news: asyncio.Event = field(factory=asyncio.Event)

    async def record(self, messages: AsyncGenerator[bytes]) -> None:
        """Keep everything up to the end."""
        known: KnownDevices = {}
        try:
            async for message in messages:
                try:
                    answer, known = (
                        read_answer(message, known) if len(message) < _LARGE else await asyncio.to_thread(read_answer, message, known)
                    )
                except InvalidValueError as error:
                    self.unreadable = str(error)
                    return
                self.answers.append(answer)
                self.count += 1
                del self.answers[:-_KEPT]
                self._news.set()
        except RemoteCallError as error:
            self.error = error
        finally:
            self.ended = True
            self._news.set()
            await messages.aclose()

    async def until(self, reached: Callable[[Stream], bool], seconds: float) -> bool:
        """Wait until it has come that far, or ended, or the time is over; tell whether it came that far."""
        try:
            async with asyncio.timeout(seconds):
                while not reached(self) and not self.ended:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass  # how far it came until now is the answer
        return reached(self)

    def state(self) -> str:
        """Say how it ended, or that it did not."""
        if self.unreadable:
            return f"an answer that cannot be read: {self.unreadable}"
        if self.error is not None:
            return str(self.error)
        return f"the end of the stream after {self.count} answers" if self.ended else "nothing"


@define(eq=False)
class Ask:
    """How a handler is asked: where it listens, and with which certificates."""

    registration: Registration
    tls: TlsFiles | None = None

    async def channel(self) -> aio.Channel:
        """Open a connection. Raises InvalidValueError for an endpoint that is none, DiscoveryError for TLS files."""
        address = address_of(self.registration)
        if not address.tls:
            return rpc.connect(address.target, most=MOST, seconds=_GREETING)
        if self.tls is None:
            raise InvalidValueError(
                "endpoint", self.registration.endpoint, "certificates to speak TLS with: --tls-certificate and the others"
            )
        return rpc.connect(address.target, most=MOST, credentials=await channel_credentials(self.tls), seconds=_GREETING)


@asynccontextmanager
async def asking(ask: Ask, question: Question) -> AsyncGenerator[Stream]:
    """Ask while the block lasts; then the stream is cancelled."""
    stream = Stream()
    try:
        channel = await ask.channel()
    except AkriError as error:
        stream.error, stream.ended = RemoteCallError(str(error)), True
        yield stream
        return
    recording = asyncio.create_task(stream.record(rpc.watch(channel, DISCOVER, write_question(question))))
    try:
        yield stream
    finally:
        recording.cancel()
        await asyncio.wait({recording})
        await channel.close()
    if not recording.cancelled():
        recording.result()  # whatever is no RemoteCallError is a fault of ours, and not the handler's


@asynccontextmanager
async def unread(ask: Ask, question: Question, seconds: float) -> AsyncGenerator[None]:
    """Ask while the block lasts, and read nothing of what comes.

    The block begins when the answer does, which the headers of the stream tell: gRPC sends them with the first message unless a
    handler sends them earlier. seconds: how long to wait for that; after them the block begins nevertheless.
    """
    channel = await ask.channel()
    method = cast("StreamCallable", channel.unary_stream(DISCOVER))
    call = method(write_question(question))
    headers = asyncio.create_task(call.initial_metadata())
    try:
        await asyncio.wait([headers], timeout=seconds)
        yield
    finally:
        call.cancel()
        await asyncio.gather(headers, return_exceptions=True)
        await channel.close()

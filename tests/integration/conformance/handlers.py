"""A small handler of the discovery protocol whose behaviour can be broken in each place, for tests of the conformance kit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import grpc
from attrs import define, field, frozen

from akri import rpc
from akri.core.device import Device
from akri.core.errors import RemoteCallError
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.registration import SOCKET_NAME
from akri.discovery.snapshot import Snapshot
from akri.discovery.wire import DISCOVER, MOST, REGISTER, Registration, read_question, write_answer, write_registration

if TYPE_CHECKING:
    from akri.rpc import Context

__all__ = ["BAD", "LARGE", "LARGE_COUNT", "Answer", "Behaviour", "Small", "device", "devices", "small"]

BAD: Final = "{]"
"""Details that the handler refuses."""
LARGE: Final = "many"
"""Details that find LARGE_COUNT devices, together above gRPC's usual limit of 4 MiB."""
LARGE_COUNT: Final = 5000
_LOOK: Final = 0.05
_PADDING: Final = "x" * 1000

Answer: TypeAlias = Snapshot | bytes
"""What is sent: devices, or bytes as they are."""


def device(name: str, **properties: str) -> Device:
    """A device with properties."""
    return Device(DeviceId(name), properties)


def devices(small: Small) -> Snapshot:
    """What is there: two devices, and a third one once the file `changed` is there."""
    names = ("a", "b", "c") if small.changed.exists() else ("a", "b")
    return Snapshot(tuple(device(name, KEY=name) for name in names))


async def _good(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del number
    if details == LARGE:
        await asyncio.sleep(small.behaviour.thinks)
        yield Snapshot(tuple(device(str(index), TEXT=_PADDING) for index in range(LARGE_COUNT)))
        await asyncio.Event().wait()
    told = None
    while True:
        present = devices(small)
        if present != told:
            yield present
        told = present
        await asyncio.sleep(_LOOK)


async def _refuse(context: Context) -> None:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "details: '{]' is no YAML")


def _never(small: Small, number: int) -> bool:
    del small, number
    return False


def _shared(registrations: int) -> bool:
    del registrations
    return True


@frozen
class Behaviour:
    """How it behaves; the defaults are those of a good one.

    answers: of a stream, with its number. refuse: what it does with bad details. hangs: whether stream `number` gets nothing.
    one_writer: waits for it before another writes. most: bytes that it takes. registers: again,
    after which of "new agent", "lost stream", and, if that failed, "retry". shared: with which flag it registers.
    large: whether `answers` is for the details LARGE too. thinks: seconds before it begins to answer these.
    """

    answers: Callable[[Small, str, int], AsyncIterator[Answer]] = _good
    refuse: Callable[[Context], object] = _refuse
    hangs: Callable[[Small, int], bool] = _never
    one_writer: bool = False
    most: int = MOST
    registers: frozenset[str] = frozenset({"new agent", "lost stream", "retry"})
    shared: Callable[[int], bool] = _shared
    large: bool = False
    thinks: float = 0.0
    endpoint: str = ""


@define(eq=False)
class Small:
    """A handler while it serves. asked, lost: streams so far; open: those that are open. refused_after: how many were asked before."""

    folder: Path
    behaviour: Behaviour
    asked: int = 0
    lost: int = 0
    refused_after: int = -1
    registrations: int = 0
    open: set[int] = field(factory=set[int])
    _writing: asyncio.Lock = field(factory=asyncio.Lock)

    @property
    def changed(self) -> Path:
        """The file that changes its devices."""
        return self.folder / "changed"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "small.sock"

    async def discover(self, request: bytes, context: Context) -> None:
        """Answer a question."""
        question = read_question(request)
        if question.details == BAD:
            self.refused_after = self.asked
            await _awaited(self.behaviour.refuse(context))
            return
        self.asked += 1
        number = self.asked
        self.open.add(number)
        try:
            if self.behaviour.hangs(self, number):
                await asyncio.Event().wait()
            answers = _good if question.details == LARGE and not self.behaviour.large else self.behaviour.answers
            async for answer in answers(self, question.details, number):
                await self._write(context, answer)
        finally:
            self.lost += 1
            self.open.discard(number)

    async def _write(self, context: Context, answer: Answer) -> None:
        data = answer if isinstance(answer, bytes) else write_answer(answer, {})[0]
        if self.behaviour.one_writer:
            async with self._writing:
                await context.write(data)
        else:
            await context.write(data)

    async def register(self) -> None:
        """Register as the behaviour says."""
        agent, known, lost, retry = self.folder / SOCKET_NAME, 0, 0, False
        while True:
            made = agent.stat().st_ctime_ns if agent.exists() else 0
            new_agent = made not in {0, known} and (not self.registrations or "new agent" in self.behaviour.registers)
            lost_stream = self.lost > lost and "lost stream" in self.behaviour.registers
            if self.behaviour.registers and (new_agent or lost_stream or retry):
                retry = not await self._registered(agent) and "retry" in self.behaviour.registers
                known, lost = made, self.lost
            await asyncio.sleep(_LOOK)

    async def _registered(self, agent: Path) -> bool:
        endpoint = self.behaviour.endpoint or str(self.socket)
        registration = Registration(HandlerName("small"), endpoint, network=False, shared=self.behaviour.shared(self.registrations))
        channel = rpc.connect(rpc.unix(agent), most=MOST)
        try:
            await rpc.call(channel, REGISTER, write_registration(registration), seconds=1)
        except RemoteCallError:
            return False
        finally:
            await channel.close()
        self.registrations += 1
        return True


async def _awaited(result: object) -> None:
    if asyncio.iscoroutine(result):
        await result


@asynccontextmanager
async def small(folder: Path, behaviour: Behaviour) -> AsyncGenerator[Small]:
    """Serve a handler, and let it register, while the block lasts."""
    handler = Small(folder, behaviour)
    server = await rpc.serve(rpc.unix(handler.socket), {DISCOVER: rpc.stream_method(handler.discover)}, most=behaviour.most)
    registering = asyncio.create_task(handler.register())
    try:
        yield handler
    finally:
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
        await server.stop(grace=None)

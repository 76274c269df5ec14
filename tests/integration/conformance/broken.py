"""For each rule of the conformance kit, handlers that break it on purpose, and nothing else unless it follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

import grpc
from attrs import evolve, frozen

from akri.core.device import DeviceNode, Mount
from akri.core.errors import RemoteCallError
from akri.discovery._proto import messages_pb2 as pb
from akri.discovery.snapshot import Snapshot
from tests.integration.conformance.handlers import LARGE, Answer, Behaviour, Small, device, devices

if TYPE_CHECKING:
    from akri.rpc import Context

__all__ = ["BROKEN", "Broken"]


@frozen
class Broken:
    """A broken handler: the rule that it breaks, and others that it cannot keep then. says: words of the finding."""

    rule: str
    says: str
    behaviour: Behaviour
    also: tuple[str, ...] = ()
    change: bool = False


def _always(*answers: Answer) -> Behaviour:
    """Each stream gets these answers and stays open."""

    async def answer(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
        del small, details, number
        for one in answers:
            yield one
            await asyncio.sleep(0.05)
        await asyncio.Event().wait()

    return Behaviour(answer)


async def _ending(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del details, number
    yield devices(small)


async def _ending_together(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del details, number
    lost = small.lost
    yield devices(small)
    while small.lost == lost:  # noqa: ASYNC110 - a broken handler may be a simple one
        await asyncio.sleep(0.05)


async def _numbered_ids(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del small, details
    yield Snapshot((device(f"a-{number}"),))
    await asyncio.Event().wait()


async def _numbered_properties(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del small, details
    yield Snapshot((device("a", TIME=str(number)),))
    await asyncio.Event().wait()


async def _deaf(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del details, number
    yield devices(small)
    await asyncio.Event().wait()


async def _differences(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del details, number
    told = devices(small)
    yield told
    while devices(small) == told:  # noqa: ASYNC110 - it looks at a file
        await asyncio.sleep(0.05)
    yield Snapshot(tuple(one for one in devices(small).devices if one not in told.devices))
    await asyncio.Event().wait()


async def _small_answers(small: Small, details: str, number: int) -> AsyncIterator[Answer]:
    del number
    if details == LARGE:
        raise RemoteCallError("trying to send message larger than max", "RESOURCE_EXHAUSTED")
    yield devices(small)
    await asyncio.Event().wait()


async def _other_status(context: Context) -> None:
    await context.abort(grpc.StatusCode.INTERNAL, "cannot parse the details")


async def _no_words(context: Context) -> None:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "")


async def _no_refusal(context: Context) -> None:
    await context.write(b"")
    await asyncio.Event().wait()


def _strange(**path: str) -> Snapshot:
    values = {"container_path": "/dev/x", "host_path": "/dev/x", **path}
    return Snapshot((evolve(device("a"), device_nodes=(DeviceNode(**values),)),))


_A, _B = device("a"), device("b")
_PERMISSIONS: Final = pb.Device(id="a", device_specs=[pb.DeviceSpec(container_path="/dev/x", host_path="/dev/x", permissions="all")])

BROKEN: Final[Mapping[str, Broken]] = {
    "never registers": Broken(
        "registers", "nothing within", Behaviour(registers=frozenset()), ("registers-after-lost-stream", "registers-with-new-agent")
    ),
    "registers what nobody serves": Broken(
        "registration", "'/nowhere/small.sock'", Behaviour(endpoint="/nowhere/small.sock"), ("first-answer",)
    ),
    "hangs at start": Broken("first-answer", "nothing within", Behaviour(hangs=lambda _small, _number: True)),
    "sends what is no message": Broken("readable", "DiscoverResponse", _always(b"\xff\xff\xff")),
    "sends text that is not UTF-8": Broken("readable", "Device", _always(b"\x0a\x03\x0a\x01\xff")),
    "names a device twice": Broken("unique-ids", "'a' 2 times", _always(Snapshot((_A, _A)))),
    "leaves the id empty": Broken("device-ids", "id: '' is not valid", _always(Snapshot((device(""),)))),
    "puts a line break into the id": Broken("device-ids", "'a\\nb'", _always(Snapshot((device("a\nb"),)))),
    "puts = into a property's name": Broken("properties", "has no '='", _always(Snapshot((device("a", **{"K=V": ""}),)))),
    "has 300 properties": Broken(
        "properties", "at most 256 properties", _always(Snapshot((device("a", **{f"K{number}": "" for number in range(300)}),)))
    ),
    "climbs with ..": Broken("paths", "'/dev/../etc'", _always(_strange(host_path="/dev/../etc"))),
    "mounts a relative path": Broken("paths", "'etc'", _always(Snapshot((evolve(_A, mounts=(Mount("etc", "/etc"),)),)))),
    "asks for other permissions": Broken(
        "permissions", "'all'", _always(pb.DiscoverResponse(devices=[_PERMISSIONS.SerializeToString()]).SerializeToString())
    ),
    "ends its streams": Broken("stays-open", "the end of the stream after 1 answers", Behaviour(_ending), ("cancelled-stream",)),
    "changes the order": Broken("no-news-no-answer", "another order", _always(Snapshot((_A, _B)), Snapshot((_B, _A)))),
    "repeats itself": Broken("no-news-no-answer", "says what answer 1 said", _always(Snapshot((_A,)), Snapshot((_A,)))),
    "makes up ids": Broken("stable-ids", "'a-", Behaviour(_numbered_ids)),
    "writes the time into a property": Broken("stable-devices", "'TIME' was '", Behaviour(_numbered_properties)),
    "does not look again": Broken("change-told", "nothing within", Behaviour(_deaf), ("whole-answers",), change=True),
    "sends differences": Broken("whole-answers", "only in the other: 'a'; 'b'", Behaviour(_differences), change=True),
    "sends one device at a time": Broken("whole-answers", "of 1 and 1 ids", _always(Snapshot((_A,)), Snapshot((_B,)))),
    "fails for bad details": Broken("bad-details", "not INVALID_ARGUMENT, but rpc error: code = Internal", Behaviour(refuse=_other_status)),
    "takes bad details": Broken(
        "bad-details", "not INVALID_ARGUMENT, but 0 devices", Behaviour(refuse=_no_refusal), ("bad-details-sentence",)
    ),
    "refuses without a word": Broken("bad-details-sentence", "the text ''", Behaviour(refuse=_no_words)),
    "hangs after bad details": Broken(
        "survives-bad-details", "nothing within", Behaviour(hangs=lambda small, number: number == small.refused_after + 1 > 1)
    ),
    "has eight places": Broken("parallel-streams", "without an answer", Behaviour(hangs=lambda small, _: len(small.open) > 8)),
    "ends all streams with one": Broken("cancelled-stream", "in the other one", Behaviour(_ending_together)),
    "has places for sixty": Broken(
        "many-cancelled-streams",
        "nothing within",
        Behaviour(hangs=lambda small, _: small.lost > 60),
        ("slow-reader", "large-question"),
    ),
    # It begins to write long after a quiet time is over, as any handler does on a busy machine.
    "writes one answer after the other": Broken("slow-reader", "nothing within", Behaviour(one_writer=True, thinks=2.0)),
    "takes no more than 4 MiB": Broken("large-question", "ResourceExhausted", Behaviour(most=4 * 1024 * 1024)),
    "sends no more than 4 MiB": Broken("large-answer", "0 devices of at least", Behaviour(_small_answers, large=True)),
    "registers once with each agent": Broken(
        "registers-after-lost-stream", "no registration within", Behaviour(registers=frozenset({"new agent"}))
    ),
    "registers once when a stream is lost": Broken(
        "registers-with-new-agent", "no registration within", Behaviour(registers=frozenset({"lost stream"}))
    ),
    "registers another way each time": Broken("same-registration", "shared=False", Behaviour(shared=lambda count: count % 2 == 0)),
}
"""Broken handlers, by what they do."""

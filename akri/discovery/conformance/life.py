"""How the rules about registration, streams and the process are tried; see `checks`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Final

from akri.discovery.conformance.asking import unread
from akri.discovery.conformance.bench import Bench, NotTriedError
from akri.discovery.conformance.checks import Check

__all__ = ["LIFE"]

_FEW: Final = 20
"""Descriptors and threads that may be more after many streams than before: pools grow a little."""
_NO_AGENT: Final = "no folder was given at which it registers (--folder)"
_NO_PROCESS: Final = "its process is not ours: give a command"


def _need_agent(bench: Bench) -> None:
    if not bench.subject.has_agent:
        raise NotTriedError(_NO_AGENT)


def _need_process(bench: Bench) -> None:
    if not bench.subject.target.command:
        raise NotTriedError(_NO_PROCESS)


async def _waits_for_agent(bench: Bench) -> str:
    _need_process(bench)
    return await bench.subject.ends_within(bench.plan.quiet)


async def _registers(bench: Bench) -> str:
    _need_agent(bench)
    if await bench.subject.registers(0, bench.plan.patience):
        return ""
    return bench.subject.ended() or f"nothing within {bench.plan.patience:g} s"


async def _registration(bench: Bench) -> str:
    _need_agent(bench)
    if not bench.subject.registrations:
        raise NotTriedError("it did not register")
    async with bench.asking() as stream:
        await stream.until(lambda stream: bool(stream.answers), bench.plan.patience)
        refused = stream.error is not None and stream.error.code in {"UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"} and not stream.answers
        return f"endpoint {bench.subject.registrations[0].endpoint!r}: {stream.error}" if refused else ""


async def _registers_after_lost_stream(bench: Bench) -> str:
    _need_agent(bench)
    _ = bench.watched
    await asyncio.sleep(0.2)
    before = len(bench.subject.registrations)
    await bench.first()  # which is dropped after its answer
    if await bench.subject.registers(before, bench.plan.patience):
        return ""
    return bench.subject.ended() or f"no registration within {bench.plan.patience:g} s"


async def _registers_with_new_agent(bench: Bench) -> str:
    _need_agent(bench)
    async with bench.asking() as stream:
        await stream.until(lambda stream: bool(stream.answers), bench.plan.patience)
        await bench.subject.stop_agent()
    await asyncio.sleep(min(1.0, bench.plan.quiet))
    before = len(bench.subject.registrations)
    await bench.subject.start_agent()
    if await bench.subject.registers(before, bench.plan.patience):
        return ""
    return bench.subject.ended() or f"no registration within {bench.plan.patience:g} s"


async def _same_registration(bench: Bench) -> str:
    _need_agent(bench)
    found = list(dict.fromkeys(bench.subject.registrations))
    if len(bench.subject.registrations) < 2:
        raise NotTriedError("it did not register a second time")
    return "" if len(found) == 1 else f"{found[0]} and then {found[1]}"


async def _parallel_streams(bench: Bench) -> str:
    _ = bench.watched
    async with AsyncExitStack() as stack:
        opening = (stack.enter_async_context(bench.asking()) for _ in range(bench.plan.streams))
        streams = [await one for one in opening]
        answered = await asyncio.gather(*(stream.until(lambda one: bool(one.answers), bench.plan.patience) for stream in streams))
    silent = [stream for stream, good in zip(streams, answered, strict=True) if not good]
    return f"{len(silent)} of {len(streams)} without an answer, the first with {silent[0].state()}" if silent else ""


async def _cancelled_stream(bench: Bench) -> str:
    _ = bench.watched
    async with bench.asking() as kept:
        await kept.until(lambda stream: bool(stream.answers), bench.plan.patience)
        if not kept.answers:
            raise NotTriedError(f"a new stream was not answered: {kept.state()}")
        await bench.first()
        await asyncio.sleep(bench.plan.quiet)
        return f"{kept.state()} in the other one" if kept.ended else ""


async def _many_cancelled_streams(bench: Bench) -> str:
    _ = bench.watched
    for number in range(bench.plan.cancels):
        async with bench.asking() as stream:
            if number % 2:
                await stream.until(lambda stream: bool(stream.answers), 0.2)
            else:
                await asyncio.sleep(0)
    return bench.subject.ended() or await bench.answered()


async def _slow_reader(bench: Bench) -> str:
    _ = bench.watched
    details = bench.plan.large_details
    question = bench.plan.question if details is None else bench.question(details)
    async with unread(bench.ask, question, bench.plan.patience):
        await asyncio.sleep(min(1.0, bench.plan.quiet))
        return await bench.answered()


async def _lets_go(bench: Bench) -> str:
    _need_process(bench)
    _ = bench.watched
    try:
        before = bench.subject.open_things()
        for _ in range(max(bench.plan.cancels, 2 * _FEW)):
            await bench.first()
        await asyncio.sleep(min(1.0, bench.plan.quiet))
        after = bench.subject.open_things()
    except OSError as error:
        raise NotTriedError(bench.subject.ended() or f"the process cannot be looked at: {error}") from error
    more = [
        f"{late - early} {what}" for what, early, late in zip(("descriptors", "threads"), before, after, strict=True) if late > early + _FEW
    ]
    return f"{' and '.join(more)} more after {max(bench.plan.cancels, 2 * _FEW)} streams" if more else ""


async def _ends(bench: Bench) -> str:
    _need_process(bench)
    if bench.subject.ended():
        raise NotTriedError(bench.subject.ended())
    return "" if await bench.subject.terminated(bench.plan.patience) else f"it still runs after {bench.plan.patience:g} s"


LIFE: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "waits-for-agent": _waits_for_agent,
        "registers": _registers,
        "registration": _registration,
        "registers-after-lost-stream": _registers_after_lost_stream,
        "registers-with-new-agent": _registers_with_new_agent,
        "same-registration": _same_registration,
        "parallel-streams": _parallel_streams,
        "cancelled-stream": _cancelled_stream,
        "many-cancelled-streams": _many_cancelled_streams,
        "slow-reader": _slow_reader,
        "lets-go": _lets_go,
        "ends": _ends,
    }
)
"""Checks by the ids of their rules."""

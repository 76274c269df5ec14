"""How each rule about answers and questions is tried: a function that says what came instead, "" for a handler that keeps the rule."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from akri.discovery.conformance.bench import Bench, NotTriedError
from akri.discovery.conformance.judging import changed_devices, different_ids, duplicates, faulty_devices, news_without_change
from akri.discovery.snapshot import Snapshot
from akri.discovery.wire import Question

__all__ = ["ANSWERS", "Check"]

Check: TypeAlias = Callable[[Bench], Awaitable[str]]
"""Tries one rule. Raises NotTriedError where it cannot be tried."""
_TRIES: Final = 3
"""Devices come and go while a handler is tested: what differs by chance once does not three times."""
_LARGE: Final = 5 * 1024 * 1024


async def _first_answer(bench: Bench) -> str:
    _ = bench.ask
    if bench.watcher is None:
        raise NotTriedError("nobody was asked")
    reached = await bench.watcher.until(lambda stream: bool(stream.answers) or bool(stream.unreadable), bench.plan.patience)
    return "" if reached else f"{bench.watcher.state()} within {bench.plan.patience:g} s"


async def _readable(bench: Bench) -> str:
    if bench.watcher is not None and bench.watcher.unreadable:
        return bench.watcher.unreadable
    return bench.watched.unreadable


async def _unique_ids(bench: Bench) -> str:
    return duplicates(bench.of_devices)


async def _device_ids(bench: Bench) -> str:
    return faulty_devices(bench.of_devices, "id")


async def _properties(bench: Bench) -> str:
    return faulty_devices(bench.of_devices, "properties")


async def _paths(bench: Bench) -> str:
    return faulty_devices(bench.of_devices, "mounts", "deviceSpecs")


async def _permissions(bench: Bench) -> str:
    return faulty_devices(bench.of_devices, "permissions")


async def _stays_open(bench: Bench) -> str:
    if bench.watched.unreadable:
        raise NotTriedError("an answer could not be read")
    return bench.watched.state() if bench.watched.ended else ""


async def _no_news_no_answer(bench: Bench) -> str:
    return news_without_change(bench.watched.answers)


async def _several(bench: Bench, differ: Callable[[Snapshot, Snapshot], str]) -> str:
    found = ""
    for _ in range(_TRIES):
        found = differ(await bench.first(), await bench.first())
        if not found:
            break
    return found


async def _stable_ids(bench: Bench) -> str:
    _ = bench.of_devices
    return await _several(bench, different_ids)


async def _stable_devices(bench: Bench) -> str:
    _ = bench.of_devices
    return await _several(bench, changed_devices)


async def _change_told(bench: Bench) -> str:
    if not bench.plan.change:
        raise NotTriedError("no command was given that changes the devices (--change)")
    watched = bench.watched
    before = watched.count
    shell = await asyncio.create_subprocess_exec("sh", "-c", bench.plan.change, stdin=asyncio.subprocess.DEVNULL)
    if await shell.wait():
        raise NotTriedError(f"the command that changes the devices ended with {shell.returncode}")
    if await watched.until(lambda stream: stream.count > before, bench.plan.patience):
        await asyncio.sleep(bench.plan.quiet)
        return ""
    return f"{watched.state()} within {bench.plan.patience:g} s after {bench.plan.change!r}"


async def _whole_answers(bench: Bench) -> str:
    watched, found = bench.watched, ""
    for _ in range(_TRIES):
        first = await bench.first()
        found = different_ids(watched.answers[-1], first)
        if not found:
            return ""
        if different_ids(first, await bench.first()):
            raise NotTriedError("the ids of two new streams differ as well")
    return f"{found} (the one: a stream's last answer, the other: a new one's first)"


async def _refused(bench: Bench, judge: Callable[[str, str], str]) -> str:
    if not bench.plan.bad_details:
        raise NotTriedError("no bad details were given (--bad-details)")
    _ = bench.watched
    for details in bench.plan.bad_details:
        async with bench.asking(bench.question(details)) as stream:
            await stream.until(lambda stream: stream.ended or bool(stream.answers), bench.plan.patience)
            code, text = (stream.error.code, stream.error.text) if stream.error else ("", "")
            came = f"{len(stream.answers[0].devices)} devices" if stream.answers else stream.state()
            wrong = judge(code, text)
            if wrong:
                return f"to {details!r}: {wrong} {came}".rstrip()
    return ""


async def _bad_details(bench: Bench) -> str:
    return await _refused(bench, lambda code, _: "" if code == "INVALID_ARGUMENT" else "not INVALID_ARGUMENT, but")


async def _bad_details_sentence(bench: Bench) -> str:
    return await _refused(bench, lambda _, text: "" if len(text.strip()) > 1 else f"the text {text!r}:")


async def _survives_bad_details(bench: Bench) -> str:
    _ = bench.watched
    return bench.subject.ended() or await bench.answered()


async def _large_question(bench: Bench) -> str:
    _ = bench.watched
    properties = {**bench.plan.properties, "akri_conformance_padding": bytes(_LARGE)}
    return await bench.answered(Question(bench.plan.details, properties))


async def _large_answer(bench: Bench) -> str:
    details, least = bench.plan.large_details, bench.plan.large_least
    if details is None:
        raise NotTriedError("no details were given that find many devices (--large-details)")
    _ = bench.watched
    async with bench.asking(bench.question(details)) as stream:
        await stream.until(lambda stream: any(len(answer.devices) >= least for answer in stream.answers), bench.plan.patience)
        most = max((len(answer.devices) for answer in stream.answers), default=0)
        return "" if most >= least else f"{most} devices of at least {least}, and {stream.state()} within {bench.plan.patience:g} s"


ANSWERS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "first-answer": _first_answer,
        "readable": _readable,
        "unique-ids": _unique_ids,
        "device-ids": _device_ids,
        "properties": _properties,
        "paths": _paths,
        "permissions": _permissions,
        "stays-open": _stays_open,
        "no-news-no-answer": _no_news_no_answer,
        "stable-ids": _stable_ids,
        "stable-devices": _stable_devices,
        "change-told": _change_told,
        "whole-answers": _whole_answers,
        "bad-details": _bad_details,
        "bad-details-sentence": _bad_details_sentence,
        "survives-bad-details": _survives_bad_details,
        "large-question": _large_question,
        "large-answer": _large_answer,
    }
)
"""Checks by the ids of their rules."""

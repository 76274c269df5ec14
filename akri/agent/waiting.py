"""Waiting that ends: by the injected clock, so that tests decide how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.ports import Clock

__all__ = ["wait_for_either", "within"]

_T = TypeVar("_T")


async def within(clock: Clock, seconds: float, work: Coroutine[object, object, _T], what: str) -> _T:
    """Await `work` for at most `seconds`; then cancel it and raise OutcomeUnknownError, which names `what` was waited for."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise OutcomeUnknownError(f"no answer to {what} within {seconds:g} s")
        return task.result()
    finally:
        await _end(task, timer)


async def wait_for_either(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return when the event is set, or after `seconds`, whichever comes first."""
    timer = asyncio.ensure_future(clock.sleep(seconds))
    signal = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({timer, signal}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(signal, timer)


async def _end(first: asyncio.Future[_T], second: asyncio.Future[None]) -> None:
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

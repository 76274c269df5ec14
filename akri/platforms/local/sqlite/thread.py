"""The one thread that works on the file, and the way of its answers to the loop: in order, and also when nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from akri.core.errors import OutcomeUnknownError
from akri.platforms.local.sqlite.sheets import Tell

__all__ = ["StoreThread"]

_T = TypeVar("_T")


class StoreThread:
    """Runs one piece of work after the other. What it has to show is shown on the loop before its caller goes on."""

    def __init__(self) -> None:
        """Belong to the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._waiting = 0
        self._open = True

    @property
    def busy(self) -> bool:
        """Whether work was given that is not answered yet."""
        return self._waiting > 0

    def afterwards(self, work: Callable[[], None]) -> None:
        """Let the thread do this, for which nobody waits."""
        if self._open:
            self._executor.submit(work)

    def submit(self, work: Callable[[list[Tell]], _T]) -> asyncio.Future[_T]:
        """Let the thread do this; it adds to the list what the loop has to show. The work is done though the future is cancelled."""
        future: asyncio.Future[_T] = self._loop.create_future()
        if not self._open:
            future.set_exception(OutcomeUnknownError("the store is closed"))
            return future
        self._waiting += 1
        self._executor.submit(self._run, work, future)
        return future

    async def close(self) -> None:
        """Take no more work, and end when all that was given is done."""
        self._open = False
        await self._loop.run_in_executor(None, self._executor.shutdown)

    def _run(self, work: Callable[[list[Tell]], _T], future: asyncio.Future[_T]) -> None:
        tells: list[Tell] = []
        try:
            result = work(tells)
        except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
            answer = partial(_fail, future, error)
        else:
            answer = partial(_answer, future, result)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, tells, answer)

    def _deliver(self, tells: list[Tell], answer: Callable[[], None]) -> None:
        self._waiting -= 1
        for tell in tells:
            tell()
        answer()


def _answer(future: asyncio.Future[_T], result: _T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[_T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

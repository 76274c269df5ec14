"""The local platform with its state in a SQLite file of a state folder, shared by any number of processes (design decision 6)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from akri.core.errors import OutcomeUnknownError, StateError
from akri.core.ids import NodeName
from akri.core.reports import Event, PastEvent
from akri.platforms.local.backend import NO_NODE
from akri.platforms.local.data import Data
from akri.platforms.local.kinds import Collections
from akri.platforms.local.sqlite.bell import Bell
from akri.platforms.local.sqlite.data import FolderData
from akri.platforms.local.sqlite.keeper import STORE_FILE
from akri.platforms.local.sqlite.ledger import Ledger
from akri.platforms.local.sqlite.sheets import Tell
from akri.platforms.local.sqlite.thread import StoreThread
from akri.platforms.local.store import LocalStore
from akri.platforms.local.tables import Tables
from akri.ports import Clock

__all__ = ["SqliteStore"]

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the file, in case a ring was lost."""
_APART: Final = 0.005
"""Seconds between two looks at the file because of rings, at least: in a storm of them one look serves many."""
_PATIENCE: Final = 20.0
"""Seconds after which nobody waits for an answer any longer: a disk may hang for ever."""
_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Sqlite:
    """The back end: the loop's side of it. The thread's side is the ledger."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.shown = Collections(clock)
        self.data: Data = FolderData(folder / "data", clock)
        self._folder = folder
        self._clock = clock
        self._catching_up = False
        self._caught_up = 0.0
        self._answering: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return self._thread.busy or self._catching_up

    async def open(self, *, must_exist: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = StoreThread()
        try:
            await self._thread.submit(partial(self._open, must_exist))
        except BaseException:
            await self._thread.close()
            raise
        self._loop.add_reader(self._bell.fileno(), self._rung)
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        self._looking.cancel()
        if self._answering is not None:
            self._answering.cancel()
        self._loop.remove_reader(self._bell.fileno())
        await asyncio.wait({self._looking, self._thread.submit(self._close)})
        await self._thread.close()

    async def change(self, step: Callable[[Tables], _T], *, durable: bool = False) -> _T:
        return await _answer(self._thread.submit(partial(self._change, step, durable)))

    async def catch_up(self) -> None:
        await _answer(self._thread.submit(self._catch_up))

    def keep(self, event: Event, node: NodeName = NO_NODE) -> None:
        past = PastEvent(event, round(self._clock.wall(), 6), node)
        self._thread.submit(partial(self._change, lambda tables: tables.events.add(past), False)).add_done_callback(_forget)  # noqa: FBT003 - not durable

    def _rung(self) -> None:
        self._bell.hear()
        if not self._catching_up:
            self._catching_up = True
            self._answering = self._loop.call_at(self._caught_up + _APART, self._answer_ring)

    def _answer_ring(self) -> None:
        self._caught_up = self._loop.time()
        self._thread.submit(self._catch_up_rung).add_done_callback(_forget)

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_EVERY)
            try:
                await self._thread.submit(self._look_now)
            except OutcomeUnknownError as error:
                _LOG.warning("the store cannot be read error=%s", error)

    # What follows runs in the thread.

    def _open(self, must_exist: bool, tells: list[Tell]) -> None:  # noqa: FBT001 - for a partial
        path = self._folder / STORE_FILE
        if must_exist and not path.exists():
            message = f"{self._folder} holds no state of Akri: there is no {STORE_FILE} in it"
            raise StateError(message)
        try:
            with ExitStack() as undoing:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._bell = Bell(self._folder / "notify")
                undoing.callback(self._bell.close)
                self._ledger = Ledger(self._folder, self.shown, self._clock)
                undoing.callback(self._ledger.close)
                self._ledger.open(tells)
                undoing.pop_all()
        except (OSError, sqlite3.Error) as error:
            message = f"the state folder {self._folder} cannot be used: {error}"
            raise StateError(message) from error

    def _change(self, step: Callable[[Tables], _T], durable: bool, tells: list[Tell]) -> _T:  # noqa: FBT001 - for a partial
        try:
            with self._failures():
                result, changed = self._ledger.change(step, tells, durable=durable)
        except OutcomeUnknownError:
            self._thread.afterwards(partial(self._tidy, at_once=True))
            raise
        if changed:
            self._bell.ring()
            self._thread.afterwards(self._tidy)
        return result

    def _catch_up_rung(self, tells: list[Tell]) -> None:
        self._catching_up = False  # who rings from now on may not be heard by this look
        self._catch_up(tells)

    def _catch_up(self, tells: list[Tell]) -> None:
        with self._failures():
            self._ledger.catch_up(tells)

    def _look_now(self, tells: list[Tell]) -> None:
        with self._failures():
            self._ledger.look(tells)

    def _tidy(self, *, at_once: bool = False) -> None:
        try:
            self._ledger.tidy(at_once=at_once)
        except sqlite3.Error as error:
            _LOG.warning("the store's log cannot be put into its file error=%s", error)

    def _close(self, _tells: list[Tell]) -> None:
        try:
            self._ledger.close()
        except sqlite3.Error as error:
            _LOG.warning("the store's log stays beside its file error=%s", error)
        finally:
            self._bell.close()

    @contextmanager
    def _failures(self) -> Generator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, StateError) as error:
            message = f"the store {self._folder / STORE_FILE} does not answer: {error}"
            raise OutcomeUnknownError(message) from error


class SqliteStore(LocalStore):
    """A local platform in a state folder. Open it with `async with`; until then nothing may be asked of it.

    Opening raises StateError where the folder cannot be used and, with `must_exist`, where it holds no store.
    """

    def __init__(self, folder: Path, clock: Clock, *, must_exist: bool = False) -> None:
        """Nothing is opened yet. folder: the state folder; clock: gives times of creation and paces the watches."""
        self._sqlite = _Sqlite(folder, clock)
        super().__init__(self._sqlite)
        self._must_exist = must_exist

    async def __aenter__(self) -> Self:
        """Open the store, and make it where there is none."""
        await self._sqlite.open(must_exist=self._must_exist)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it, when all that was asked is done."""
        await self._sqlite.close()

    @property
    def busy(self) -> bool:
        """Whether something is being stored or read: for tests on a clock that stands still meanwhile."""
        return self._sqlite.busy


async def _answer(future: asyncio.Future[_T]) -> _T:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await future
    except TimeoutError as error:
        message = f"the store did not answer within {_PATIENCE:.0f} s; it may still do what it was asked"
        raise OutcomeUnknownError(message) from error


def _forget(future: asyncio.Future[None]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _LOG.warning("the store did not take it error=%s", error)

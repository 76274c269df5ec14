"""Reads the log files of containers while others write and rotate them: what is there, the last lines of it, and what comes."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from akri.core.errors import StateError
from akri.core.ids import ObjectKey
from akri.platforms.local.logs import Lines

__all__ = ["LogReader", "follow_log", "former", "log_path", "read_former_log"]

_LOOK_EVERY: Final = 0.2
_PIECE: Final = 65_536


def log_path(folder: Path, pod: ObjectKey, container: str) -> Path:
    """Where a container's output is, in the state folder's `logs`; the file before it ends in `.1`."""
    return folder / f"{pod.namespace}_{pod.name}_{container}.log"


class LogReader:
    """One container's output from its oldest kept line on. A file that is replaced or cut meanwhile is read to its end first."""

    def __init__(self, path: Path, since: float = 0.0) -> None:
        """Nothing is opened before the first `lines`. since: a file before this one counts only if it was written after that time."""
        self._path = path
        self._since = since
        self._file: BinaryIO | None = None
        self._begun = False
        self._ready: list[str] = []
        self._cut = Lines(self._ready.append)

    def lines(self) -> Iterator[str]:
        """Give the complete lines that came since the last call. Raises OSError where a file cannot be read."""
        if not self._begun:
            self._begun = True
            yield from self._older()
        while True:
            yield from self._rest()
            if not self._advance():
                return

    def close(self) -> Iterator[str]:
        """Close the file, and give a last line that has no end."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._cut.close()
        yield from self._taken()

    def _older(self) -> Iterator[str]:
        older = former(self._path)
        with suppress(FileNotFoundError):
            self._file = None if _written(older) < self._since else older.open("rb")
        if self._file is None:
            return
        yield from self._rest()
        self._file.close()
        self._file = None

    def _rest(self) -> Iterator[str]:
        while self._file is not None and (data := self._file.read(_PIECE)):
            self._cut.write(data)
            yield from self._taken()

    def _taken(self) -> Iterator[str]:
        yield from self._ready
        self._ready.clear()

    def _advance(self) -> bool:
        """Go on with the file that is under the path now; False if that is the one that was read."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is not None:
            known = os.fstat(self._file.fileno())
            if (known.st_dev, known.st_ino) == (now.st_dev, now.st_ino):
                if now.st_size >= self._file.tell():
                    return False
                self._file.seek(0)
                return True
            self._file.close()
        self._file = self._path.open("rb")
        return True


async def follow_log(path: Path, since: float, tail: int | None, lives: Callable[[], bool] | None) -> AsyncIterator[str]:
    """Give the last `tail` lines (None: all that are kept), then new ones for as long as `lives` says that there may be some.

    since: when the pod was created, seconds since the epoch; what was written before is another pod's. lives: None to end at once.
    """
    reader = LogReader(path, since)
    try:
        for line in deque(reader.lines() if lives else chain(reader.lines(), reader.close()), tail):
            yield line
        while lives is not None:
            going_on = lives()
            for line in reader.lines():
                yield line
            if not going_on:
                break
            await asyncio.sleep(_LOOK_EVERY)
        for line in reader.close():
            yield line
    finally:
        deque(reader.close(), 0)


async def read_former_log(path: Path, since: float, tail: int | None) -> AsyncIterator[str]:
    """Give what the pod before the present one wrote, which was created at `since`. Raises StateError if that is not kept."""
    older = former(path)
    with suppress(FileNotFoundError):
        if _written(older) < since:
            reader = LogReader(older)
            for line in deque(chain(reader.lines(), reader.close()), tail):
                yield line
            return
    message = f"nothing is kept of what a pod of this name wrote before: {older} is not there, or is a part of the present log"
    raise StateError(message)


def former(path: Path) -> Path:
    """Where a log file goes when it is full, or when a new pod of the name begins one."""
    return path.with_name(f"{path.name}.1")


def _written(path: Path) -> float:
    return path.stat().st_mtime

"""What a container writes, split into lines for those who listen, and kept in a file that cannot grow without bound."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from io import FileIO
from pathlib import Path
from typing import Final

__all__ = ["KEPT_LOGS", "MAXIMUM_LOG", "Lines", "Tail", "begin_log", "prune_logs"]

MAXIMUM_LOG: Final = 1_048_576
"""Bytes of a log file; a full one becomes `<name>.1` in place of the former, so twice as much is kept."""
KEPT_LOGS: Final = 100
"""How many logs of containers are kept whose pods are gone; the oldest go first."""
_MAXIMUM_LINE: Final = 8192
_PIECE: Final = 65_536


def begin_log(path: Path) -> None:
    """Begin a log file anew, readable for its owner alone; what was there before becomes its predecessor. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        path.replace(path.with_name(f"{path.name}.1"))
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def prune_logs(folder: Path, spared: AbstractSet[Path], keep: int = KEPT_LOGS) -> None:
    """Remove the oldest logs of those that are gone: all but the `keep` newest that are not spared, each with its predecessor."""
    try:
        others = [(path.stat().st_mtime, path) for path in folder.glob("*.log") if path not in spared]
    except OSError:
        return
    for _, path in sorted(others, reverse=True)[keep:]:
        for file in (path, path.with_name(f"{path.name}.1")):
            file.unlink(missing_ok=True)


class Tail:
    """Follows a log file that somebody else writes and rotates, from its present end on."""

    def __init__(self, path: Path, lines: Lines) -> None:
        """Open the file if there is one."""
        self._path = path
        self._lines = lines
        self._file: FileIO | None = self._opened()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> bool:
        """Pass on what came since the last time; False if nothing did."""
        came = self._rest()
        if self._file is None or self._replaced(self._file):
            # What came between the two looks belongs to the old file.
            came |= self._rest()
            self._shut()
            self._file = self._opened()
        return self._rest() or came

    def close(self) -> None:
        """Pass on the last of it, also a line without an end."""
        self.read()
        self._lines.close()
        self._shut()

    def _rest(self) -> bool:
        came = False
        while self._file is not None and (data := self._file.read(_PIECE)):
            self._lines.write(data)
            came = True
        return came

    def _opened(self) -> FileIO | None:
        try:
            return FileIO(self._path)
        except OSError:
            return None

    def _replaced(self, file: FileIO) -> bool:
        try:
            now, then = self._path.stat(), os.fstat(file.fileno())
        except OSError:
            return False
        if (now.st_ino, now.st_dev) != (then.st_ino, then.st_dev):
            return True
        if now.st_size < file.tell():
            file.seek(0)
        return False

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Lines:
    """Cuts bytes into lines: UTF-8, what is not becomes a replacement character, long lines are cut into pieces."""

    def __init__(self, line: Callable[[str], None]) -> None:
        """Take what gets each line, without its end."""
        self._line = line
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Take some bytes and pass on the lines that they complete."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        for line in complete:
            self._pass_on(line)
        while len(self._rest) >= _MAXIMUM_LINE:
            self._pass_on(self._rest[:_MAXIMUM_LINE])
            self._rest = self._rest[_MAXIMUM_LINE:]

    def close(self) -> None:
        """Pass on a last line without an end."""
        if self._rest:
            self._pass_on(self._rest)
            self._rest = b""

    def _pass_on(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), _MAXIMUM_LINE):
            self._line(line[start : start + _MAXIMUM_LINE].decode("utf-8", "replace"))

"""What a container writes, split into lines for those who listen, and kept in a file that cannot grow without bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["MAXIMUM_LOG", "BoundedFile", "Lines"]

MAXIMUM_LOG: Final = 1_048_576
"""Bytes of a log file; a full one becomes `<name>.1` in place of the former, so twice as much is kept."""
_MAXIMUM_LINE: Final = 8192


class BoundedFile:
    """A log file with one predecessor."""

    def __init__(self, path: Path, limit: int = MAXIMUM_LOG) -> None:
        """Begin the file anew; its folder is made, with access for the owner alone."""
        self._path = path
        self._limit = limit
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path.open("wb")
        path.chmod(0o600)

    def write(self, data: bytes) -> None:
        """Append, starting a new file first if this one is full."""
        if self._file.tell() + len(data) > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file = self._path.open("wb")
            self._path.chmod(0o600)
        self._file.write(data[-self._limit :])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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

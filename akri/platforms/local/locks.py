"""Locks that say who lives: held by one process for its life, given up by the kernel with it, however it ends.

They are locks of the open file (Linux, `F_OFD_SETLK`), so that one can be looked at without being touched, also by its own holder:
a look that took the lock for a moment would refuse it to somebody who starts at that moment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from akri.core.errors import AkriError

__all__ = ["Lock", "LockHeldError", "holder"]

_FLOCK: Final = "hhqqi"
_WHOLE: Final = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_LONGEST: Final = 32


class LockHeldError(AkriError):
    """Somebody else holds a lock; `pid` is their process id, 0 if it is not known."""

    def __init__(self, path: Path, pid: int) -> None:
        """Name the file and who holds it."""
        self.path: Final = path
        self.pid: Final = pid
        super().__init__(f"{path} is held by {f'process {pid}' if pid else 'another process'}")


class Lock:
    """A lock that this process holds until `release`, or until it ends. Programs that it starts do not inherit it."""

    def __init__(self, descriptor: int) -> None:
        """Take what `take` opened."""
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Take the lock on a file, which is made where it is missing, and write our process id into it.

        Raises LockHeldError if somebody has it, OSError if the file cannot be used.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE)
            except OSError as error:
                if error.errno in {errno.EACCES, errno.EAGAIN}:
                    raise LockHeldError(path, _written(descriptor)) from error
                raise
            os.ftruncate(descriptor, 0)
            with suppress(OSError):  # a full disk: the lock holds without its number as well
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give it up. Nothing happens the second time."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Hold it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it up."""
        self.release()


def holder(path: Path) -> int | None:
    """Tell which process holds the lock on a file: its id, 0 if that is not known, None if it is free. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE)
        return None if struct.unpack(_FLOCK, answer)[0] == fcntl.F_UNLCK else _written(descriptor)
    finally:
        os.close(descriptor)


def _written(descriptor: int) -> int:
    text = os.pread(descriptor, _LONGEST, 0).strip()
    return int(text) if text.isdigit() else 0

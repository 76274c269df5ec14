"""The gate before the file: many pass it at a time for a transaction each, and one alone to put another file in its place."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["Gate", "GateClosedError"]

_PAUSE: Final = 0.001


class GateClosedError(OSError):
    """Somebody stayed inside for too long."""


class Gate:
    """A lock file in the state folder. Its locks end with the process that holds them, however it ends. Raises OSError."""

    def __init__(self, path: Path, patience: float = 5.0) -> None:
        """Open the file, which is made where it is missing. patience: seconds for which one waits for those who are inside."""
        self._patience = patience
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @contextmanager
    def pass_through(self) -> Generator[None]:
        """Be inside together with others."""
        self._lock(fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Be inside alone."""
        self._lock(fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock(self, how: int) -> None:
        patience = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > patience:
                    message = "another process has kept the store to itself for too long"
                    raise GateClosedError(message) from error
                time.sleep(_PAUSE)
            else:
                return

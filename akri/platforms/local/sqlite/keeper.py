"""Keeps the one file of a state folder: opens it, and puts a new one in its place where it is missing, damaged, or of an older version."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from akri.core.errors import StateError
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections
from akri.platforms.local.sqlite.file import VERSION, DamagedError, StoreFile
from akri.platforms.local.sqlite.gate import Gate
from akri.platforms.local.sqlite.restoring import LEAP
from akri.platforms.local.sqlite.sheets import Sheets
from akri.platforms.local.tables import Tables
from akri.ports import Clock

__all__ = ["STORE_FILE", "Fill", "Keeper"]

STORE_FILE: Final = "store.sqlite"
"""Name of the file in the state folder."""
_LOG: Final = logging.getLogger(__name__)

Fill = Callable[[Tables], None]
"""Puts into a new store what it begins with."""
_Identity = tuple[int, int]


class Keeper:
    """The file of a state folder. For one thread at a time; raises sqlite3.Error and OSError."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Nothing is opened yet but the gate; the folder is there."""
        self.path = folder / STORE_FILE
        self.gate = Gate(folder / "store.lock")
        self._clock = clock

    def identity(self) -> _Identity | None:
        """Tell which file is there now; None if there is none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return (found.st_dev, found.st_ino)

    def open(self) -> StoreFile:
        """Open the file that is there. Raises DamagedError if it is none of ours, StateError if it is of a newer version."""
        file = StoreFile(self.path)
        try:
            if file.version > VERSION and file.counted_version() in {None, file.version}:
                message = f"{self.path} has version {file.version}, written by a newer Akri; this one knows versions up to {VERSION}"
                raise StateError(message)
            if file.version != VERSION:
                message = f"it has version {file.version}"
                raise DamagedError(message)
        except BaseException:
            file.close()
            raise
        return file

    def replace(self, fill: Fill, what: str, why: str) -> None:
        """Put a new file in place of the one that is there. The gate is passed alone, and no file is open.

        what: the word under which the old one is set aside. why: a clause for the log.
        """
        if self.identity() is not None:
            aside = self._aside(what)
            _LOG.error("the store is set aside and built anew file=%s as=%s reason=%s", self.path, aside, why)
            self._move(aside)
        new = self.path.with_name(f".{STORE_FILE}.new")
        for leftover in (new, _beside(new, "-wal"), _beside(new, "-shm")):
            leftover.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        StoreFile.create(new)
        self._fill(new, fill)
        # A log or an index without their file would be taken for those of the new one.
        for leftover in (_beside(self.path, "-wal"), _beside(self.path, "-shm")):
            leftover.unlink(missing_ok=True)
        new.rename(self.path)
        _sync(self.path.parent)

    def close(self) -> None:
        """Close the gate."""
        self.gate.close()

    def _aside(self, what: str) -> Path:
        name = f"{STORE_FILE}.{what}-{int(time.time())}"
        taken = len(list(self.path.parent.glob(f"{name}*[0-9]")))
        return self.path.with_name(f"{name}-{taken}" if taken else name)

    def _move(self, aside: Path) -> None:
        with suppress(FileNotFoundError):
            _beside(self.path, "-wal").rename(_beside(aside, "-wal"))
        _beside(self.path, "-shm").unlink(missing_ok=True)
        self.path.rename(aside)

    def _fill(self, new: Path, fill: Fill) -> None:
        identities = Identities(self._clock)
        # Each file that was set aside stands for revisions that somebody may have seen.
        identities.last = LEAP * len(list(self.path.parent.glob(f"{STORE_FILE}.damaged-*[0-9]")))
        sheets = Sheets(Collections(self._clock), identities)
        file = StoreFile(new)
        try:
            with file.transaction(durable=True):
                fill(Tables(sheets, sheets.events, identities))
                for change in sheets.journal:
                    change.write(file)
                file.commit(identities.last)
        finally:
            file.close()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

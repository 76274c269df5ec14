"""The file that the state is in: its schema, its transactions, and rows as texts. For one thread at a time.

Each change of an object replaces its row under a new revision, so that what is new since a revision is one walk along the
primary key. Deletions leave a tombstone with the last state; only so many are kept, and who was away for longer reads everything.
Each row carries a checksum, since SQLite notices damage only to what it needs itself.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast
from zlib import crc32

from attrs import astuple, frozen

__all__ = ["KEPT_TOMBSTONES", "VERSION", "DamagedError", "EventRow", "GoneRow", "News", "ObjectRow", "StoreFile", "is_damage"]

KEPT_TOMBSTONES: Final = 10_000
"""For so many revisions deletions can be read; a reader that is further behind reads everything."""
VERSION: Final = 2
"""Version of the schema, in the file's `user_version` and in its counter: two that do not agree are damage."""
_PATIENCE: Final = 5.0
"""Seconds for which a transaction waits for those of other processes."""
_PAUSE: Final = 0.0004
_CHECKPOINT_AFTER: Final = 200
"""Commits of this process after which the log is put into the file, when nobody waits for it."""
_CHECKPOINT_AT_ONCE: Final = 8_000
"""Pages in the log after which SQLite does so in a commit."""
_ERROR: Final = 1
_BUSY: Final = 5
_READ_ONLY: Final = 8
_DAMAGE: Final = frozenset({11, 24, 26, 522})
"""Codes of SQLite: CORRUPT, FORMAT, NOTADB; and IOERR_SHORT_READ: a file ends before what should be in it."""
_FOREIGN_SCHEMA: Final = ("no such ", "table ")
"""How SQLite's complaints begin where our statements meet a schema that is not ours."""
_SCHEMA: Final = (
    "CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL, version INTEGER NOT NULL) STRICT",
    f"INSERT INTO counter VALUES (0, 0, {VERSION})",  # noqa: S608 - a constant
    """CREATE TABLE objects (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        document TEXT NOT NULL, checksum INTEGER NOT NULL, UNIQUE (kind, namespace, name)) STRICT""",
    """CREATE TABLE tombstones (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        last INTEGER NOT NULL, document TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT""",
    "CREATE TABLE events (revision INTEGER PRIMARY KEY, document TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT",
    f"PRAGMA user_version = {VERSION}",
)


class DamagedError(sqlite3.DatabaseError):
    """The file does not hold what was written to it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault, so that trying again does not help."""
    code: object = getattr(error, "sqlite_errorcode", 0)
    if isinstance(error, DamagedError) or not isinstance(code, int):
        return isinstance(error, DamagedError)
    return code in _DAMAGE or code & 0xFF in _DAMAGE or (code == _ERROR and str(error).startswith(_FOREIGN_SCHEMA))


@frozen
class ObjectRow:
    """An object as stored; `document` is JSON."""

    revision: int
    kind: str
    namespace: str
    name: str
    uid: str
    document: str


@frozen
class GoneRow:
    """An object that was deleted at `revision`; `document` is its last state, of revision `last`."""

    revision: int
    kind: str
    namespace: str
    name: str
    uid: str
    last: int
    document: str


@frozen
class EventRow:
    """An event as stored."""

    revision: int
    document: str


News: TypeAlias = ObjectRow | GoneRow | EventRow
"""Something that was stored after a certain revision."""
_Value: TypeAlias = int | str


class StoreFile:
    """An open store. Raises sqlite3.Error; a transaction that failed is rolled back. version: that of its schema."""

    def __init__(self, path: Path) -> None:
        """Open a file that is there."""
        self._path = path
        address = f"{path.absolute().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._connection.text_factory = _text
        self._execute = self._connection.execute
        self._durable = False
        self._commits = 0
        try:
            self._execute("PRAGMA synchronous = NORMAL")
            self._execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_AT_ONCE}")
            self.version = self._number("PRAGMA user_version")
            self._execute("PRAGMA busy_timeout = 0")
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path) -> None:
        """Make an empty store; there must be no such file. It is durable once this returned."""
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")
        finally:
            connection.close()

    def close(self) -> None:
        """Close it; the last one to do so puts everything into the one file."""
        self._connection.close()

    def check(self) -> None:
        """Look for damage in the whole file; raise DamagedError. Rows are looked at when they are read."""
        self._check_mode()
        with self.transaction(writing=False):
            (found,) = cast("tuple[str]", self._execute("PRAGMA integrity_check(1)").fetchone())
            if found != "ok":
                raise DamagedError(found)
            revision, version = cast("tuple[int, int]", self._execute("SELECT revision, version FROM counter").fetchone() or (0, 0))
            newest = max(self._number(f"SELECT coalesce(max(revision), 0) FROM {table}") for table in ("objects", "tombstones", "events"))  # noqa: S608 - constants
            if version != self.version or revision < newest:
                message = f"its version is {self.version} or {version}, its last revision {newest} or {revision}"
                raise DamagedError(message)

    def _check_mode(self) -> None:
        """Find damage in the header that makes SQLite take the file for one that it may not write, or with another kind of log."""
        (mode,) = cast("tuple[str]", self._execute("PRAGMA journal_mode").fetchone())
        if mode != "wal":
            message = f"its journal mode is {mode}"
            raise DamagedError(message)
        try:
            with self.transaction():
                self._execute("UPDATE counter SET revision = revision")  # and never committed
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == _READ_ONLY and os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK):
                raise DamagedError(str(error)) from error
            raise

    @contextmanager
    def transaction(self, *, writing: bool = True, durable: bool = False) -> Generator[None]:
        """Begin a transaction, which ends with `commit` or else changes nothing.

        durable: once it is committed it outlives a power loss, too.
        """
        self._end()
        self._sync_writes(durable=durable)
        self._begin("IMMEDIATE" if writing else "DEFERRED")
        try:
            yield
        finally:
            self._end()

    def commit(self, revision: int) -> None:
        """End the transaction; `revision` is the last that was given out in it."""
        self._execute("UPDATE counter SET revision = ?", (revision,))
        self._execute("COMMIT")
        self._commits += 1

    def tidy(self, *, at_once: bool = False) -> None:
        """Put the log into the file if it has grown; for a moment at which nobody waits.

        at_once: in any case, so that the next change finds room in the log where the disk has none.
        """
        if at_once or self._commits >= _CHECKPOINT_AFTER:
            self._commits = 0
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")

    def counted_version(self) -> int | None:
        """Return the version that stands beside the counter; None where it cannot be read."""
        try:
            return self._number("SELECT version FROM counter")
        except sqlite3.Error:
            return None

    def revision(self) -> int:
        """Return the last revision that was given out."""
        return self._number("SELECT revision FROM counter")

    def foreign_commits(self) -> int:
        """Return a number that changes when another process changed something."""
        return self._number("PRAGMA data_version")

    def since(self, revision: int) -> list[News]:
        """Return what was stored and deleted after a revision, in this order."""
        news: list[News] = [*self._objects(revision), *self._gone(revision), *self._events(revision)]
        return sorted(news, key=lambda row: row.revision)

    def everything(self) -> list[ObjectRow | EventRow]:
        """Return all objects, those first that changed longest ago, and all events."""
        return [*self._objects(0), *self._events(0)]

    def put(self, row: ObjectRow) -> None:
        """Store an object in place of the one of its name."""
        values: tuple[_Value, ...] = astuple(row)
        self._execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, _checksum(values)))

    def remove(self, row: GoneRow) -> None:
        """Delete an object, and say so to those who read what is new."""
        self._execute("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", (row.kind, row.namespace, row.name))
        values: tuple[_Value, ...] = astuple(row)
        self._execute("INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, _checksum(values)))
        self._execute("DELETE FROM tombstones WHERE revision <= ?", (row.revision - KEPT_TOMBSTONES,))

    def add_event(self, row: EventRow, kept: int) -> None:
        """Store an event, and forget all but the last `kept`."""
        values: tuple[_Value, ...] = astuple(row)
        self._execute("INSERT INTO events VALUES (?, ?, ?)", (*values, _checksum(values)))
        self._execute("DELETE FROM events WHERE revision <= (SELECT revision FROM events ORDER BY revision DESC LIMIT 1 OFFSET ?)", (kept,))

    def _objects(self, revision: int) -> list[ObjectRow]:
        return [ObjectRow(*cast("tuple[int, str, str, str, str, str]", values)) for values in self._rows("objects", revision)]

    def _gone(self, revision: int) -> list[GoneRow]:
        return [GoneRow(*cast("tuple[int, str, str, str, str, int, str]", values)) for values in self._rows("tombstones", revision)]

    def _events(self, revision: int) -> list[EventRow]:
        return [EventRow(*cast("tuple[int, str]", values)) for values in self._rows("events", revision)]

    def _rows(self, table: Literal["objects", "tombstones", "events"], revision: int) -> Generator[tuple[_Value, ...]]:
        rows = self._execute(f"SELECT * FROM {table} WHERE revision > ? ORDER BY revision", (revision,))  # noqa: S608 - a constant
        for *values, checksum in cast("list[tuple[_Value, ...]]", rows.fetchall()):
            if _checksum(values) != checksum:
                message = f"a row of {table} is not as it was written: {values[:4]}"
                raise DamagedError(message)
            yield tuple(values)

    def _number(self, query: str) -> int:
        row = cast("tuple[object] | None", self._execute(query).fetchone())
        if row is None or not isinstance(row[0], int):
            message = f"{query} gives no number"
            raise DamagedError(message)
        return row[0]

    def _end(self) -> None:
        """Take back a transaction that is open still, also one of before that a failing disk did not let go."""
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _sync_writes(self, *, durable: bool) -> None:
        if durable != self._durable:
            self._execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _begin(self, how: Literal["IMMEDIATE", "DEFERRED"]) -> None:
        # SQLite's own waiting pauses for up to 100 ms between two looks; a transaction takes less than one.
        patience = time.monotonic() + _PATIENCE
        while True:
            try:
                self._execute(f"BEGIN {how}")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != _BUSY or time.monotonic() > patience:
                    raise
                time.sleep(_PAUSE)
            else:
                return


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _checksum(values: tuple[_Value, ...] | list[_Value]) -> int:
    return crc32(repr(tuple(values)).encode(errors="backslashreplace"))

"""The file that the state is in: its schema, its transactions, and rows as texts. For one thread at a time.

Each change of an object replaces its row under a new revision, so that what is new since a revision is one walk along the
primary key. Deletions leave a tombstone with the last state; only so many are kept, and who was away for longer reads everything.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from attrs import frozen

__all__ = ["KEPT_TOMBSTONES", "EventRow", "GoneRow", "News", "ObjectRow", "StoreFile"]

KEPT_TOMBSTONES: Final = 10_000
"""For so many revisions deletions can be read; a reader that is further behind reads everything."""
_VERSION: Final = 1
_PATIENCE: Final = 5.0
"""Seconds for which a transaction waits for those of other processes."""
_PAUSE: Final = 0.0004
_BUSY: Final = 5
_SCHEMA: Final = (
    "CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT",
    "INSERT INTO counter VALUES (0, 0)",
    """CREATE TABLE objects (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        document TEXT NOT NULL, UNIQUE (kind, namespace, name)) STRICT""",
    """CREATE TABLE tombstones (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        last INTEGER NOT NULL, document TEXT NOT NULL) STRICT""",
    "CREATE TABLE events (revision INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT",
)


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


class StoreFile:
    """An open store. Raises sqlite3.Error; a transaction that failed is rolled back."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it where it is missing."""
        self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._execute = self._connection.execute
        self._durable = False
        self._execute("PRAGMA journal_mode = WAL")
        self._execute("PRAGMA synchronous = NORMAL")
        with self.transaction():
            if self._number("PRAGMA user_version") == 0:
                for statement in _SCHEMA:
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {_VERSION}")
                self._execute("COMMIT")
        self._execute("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close it; the last one to do so puts everything into the one file."""
        self._connection.close()

    @contextmanager
    def transaction(self, *, writing: bool = True, durable: bool = False) -> Generator[None]:
        """Begin a transaction, which ends with `commit` or else changes nothing.

        durable: once it is committed it outlives a power loss, too.
        """
        self._sync_writes(durable=durable)
        self._begin("IMMEDIATE" if writing else "DEFERRED")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")

    def commit(self, revision: int) -> None:
        """End the transaction; `revision` is the last that was given out in it."""
        self._execute("UPDATE counter SET revision = ?", (revision,))
        self._execute("COMMIT")

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
        values = (row.revision, row.kind, row.namespace, row.name, row.uid, row.document)
        self._execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", values)

    def remove(self, row: GoneRow) -> None:
        """Delete an object, and say so to those who read what is new."""
        self._execute("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", (row.kind, row.namespace, row.name))
        values = (row.revision, row.kind, row.namespace, row.name, row.uid, row.last, row.document)
        self._execute("INSERT INTO tombstones VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._execute("DELETE FROM tombstones WHERE revision <= ?", (row.revision - KEPT_TOMBSTONES,))

    def add_event(self, row: EventRow, kept: int) -> None:
        """Store an event, and forget all but the last `kept`."""
        self._execute("INSERT INTO events VALUES (?, ?)", (row.revision, row.document))
        self._execute("DELETE FROM events WHERE revision <= (SELECT revision FROM events ORDER BY revision DESC LIMIT 1 OFFSET ?)", (kept,))

    def _objects(self, revision: int) -> list[ObjectRow]:
        rows = self._execute("SELECT revision, kind, namespace, name, uid, document FROM objects WHERE revision > ?", (revision,))
        return [ObjectRow(*row) for row in rows]

    def _gone(self, revision: int) -> list[GoneRow]:
        columns = "revision, kind, namespace, name, uid, last, document"
        return [GoneRow(*row) for row in self._execute(f"SELECT {columns} FROM tombstones WHERE revision > ?", (revision,))]  # noqa: S608 - a constant

    def _events(self, revision: int) -> list[EventRow]:
        return [EventRow(*row) for row in self._execute("SELECT revision, document FROM events WHERE revision > ?", (revision,))]

    def _number(self, query: str) -> int:
        (number,) = cast("tuple[int]", self._execute(query).fetchone())
        return number

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

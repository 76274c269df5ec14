"""Stores of the one older version that is still read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, cast

from attrs import frozen

from akri.platforms.local.sqlite.file import EventRow, ObjectRow

__all__ = ["Former", "read_former"]

_VERSION: Final = 1
"""It had no checksums, and its counter no version."""


@frozen
class Former:
    """All that a store of an older version holds."""

    version: int
    rows: tuple[ObjectRow | EventRow, ...]
    revision: int


def read_former(path: Path) -> Former | None:
    """Read a store of the older version; None if it is another one, or cannot be read whole. Nobody else has it open."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                return None
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return None
            objects = connection.execute("SELECT revision, kind, namespace, name, uid, document FROM objects ORDER BY revision").fetchall()
            events = connection.execute("SELECT revision, document FROM events ORDER BY revision").fetchall()
            (revision,) = cast("tuple[int]", connection.execute("SELECT revision FROM counter").fetchone())
    except (sqlite3.Error, TypeError):
        return None
    return Former(_VERSION, (*(ObjectRow(*row) for row in objects), *(EventRow(*row) for row in events)), revision)

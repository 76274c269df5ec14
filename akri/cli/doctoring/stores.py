"""Examines the store: whether it can be read, what version it is, and whether it is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from akri.cli.doctoring.findings import Finding, ok, problem
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.sqlite.file import VERSION

__all__ = ["examine_store"]


def examine_store(folder: StateFolder) -> Iterator[Finding]:
    """Read the store from one end to the other, without writing into it."""
    path = folder.store
    if not path.exists():
        yield ok("store", "there is none yet: 'akri up' makes it")
        return
    advice = "akri up sets a damaged store aside and builds it anew out of applied/ and brokers/; until then keep a copy of the folder"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                said = f"{path} has version {version}, and this release knows versions up to {VERSION}"
                yield problem("store", said, "install the release that made it, or a later one")
                return
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            objects = connection.execute("SELECT count(*) FROM objects").fetchone()[0] if version else 0
    except sqlite3.Error as error:
        yield problem("store", f"{path} cannot be read: {error}", advice)
        return
    if answer == "ok":
        yield ok("store", f"version {version}, {objects:,} object{'' if objects == 1 else 's'}, whole")
    else:
        yield problem("store", f"{path} is damaged: {answer}", advice)

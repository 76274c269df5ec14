"""The end of a run: `akri down`, and then what may be left and what may be broken."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.integration.chaos.cast import Cast, reap
from tests.integration.chaos.victims import leftovers

__all__ = ["damage", "end_all"]

_PATIENCE: Final = 5.0


async def end_all(state: Path, cast: Cast, folder: Path) -> tuple[str, ...]:
    """Run `akri down`; say what failed, and which processes are left after a moment."""
    words = (sys.executable, "-c", "from akri.cli.main import main; main()", "down", "--state", str(state), "--grace", "3")
    done = await asyncio.to_thread(cast.command, *words)
    failed = () if done.returncode == 0 else (f"akri down: exit code {done.returncode}: {done.stdout}{done.stderr}",)
    deadline = time.monotonic() + _PATIENCE
    while True:
        reap(cast)
        left = leftovers(folder, cast.token)
        if not left or time.monotonic() > deadline:
            return (*failed, *left)
        await asyncio.sleep(0.1)


def damage(state: Path) -> tuple[str, ...]:
    """Say what is wrong with the store's file, and which files were set aside because of damage."""
    return (*(f"set aside: {path.name}" for path in sorted(state.glob("store.sqlite.*"))), *_check(state / "store.sqlite"))


def _check(path: Path) -> Iterator[str]:
    try:
        with closing(sqlite3.connect(path)) as connection:
            yield from (text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok")
    except sqlite3.Error as error:
        yield f"{path.name}: {error}"

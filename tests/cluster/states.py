"""Where clusters keep their state, and what removes all that one of them left on the machine.

Below `${XDG_STATE_HOME:-~/.local/state}/akri/cluster`: `up` belongs to `./dev cluster`, `run-<process id>-<digits>` to one pytest
run, which holds a lock on it for its life. A run folder that nobody holds was left by a crash; the next run removes it with what
was made for it. Names of interfaces and cgroups follow from the folder's path, and processes carry it: the folder is enough to find all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.cluster import cgroups
from tests.cluster.network import Network, short_id
from tests.cluster.processes import end_left

__all__ = ["clean", "clean_stale", "exclusive", "root", "run_folder", "up_folder"]


def root() -> Path:
    """Where the state folders are."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "akri" / "cluster"


def up_folder() -> Path:
    """The state folder of `./dev cluster`."""
    return root() / "up"


@contextmanager
def run_folder() -> Generator[Path]:
    """A new state folder, held until the end of the block or of the process. It is not removed: see `clean`."""
    folder = root() / f"run-{os.getpid()}-{secrets.token_hex(2)}"
    with exclusive("lock"):  # else others could take it for a stale one
        folder.mkdir(parents=True)
        handle = (folder / "lock").open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
    with handle:
        yield folder


@contextmanager
def exclusive(name: str) -> Generator[None]:
    """Wait until no other process is in a block of this name. Do not await inside: others of the same loop would wait for ever."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


async def clean(state: Path) -> None:
    """Remove all that was made for a state folder, in whatever state it is, and the folder. Nothing to do if there is nothing."""
    await end_left(state)
    if os.geteuid() == 0 and shutil.which("ip"):  # else no network can have been made
        await Network(state).remove()
        await cgroups.remove(short_id(state))
    await asyncio.to_thread(_remove, state)


async def clean_stale() -> list[Path]:
    """Remove what runs left that ended without doing so themselves; returns their folders."""
    stale = _take_stale()
    for folder, lock in stale.items():
        with lock:
            await clean(folder)
    return list(stale)


def _take_stale() -> dict[Path, IO[str]]:
    """The folders of ended runs, with the locks that are now held on them: nobody else removes them at the same time."""
    taken: dict[Path, IO[str]] = {}
    with exclusive("lock"):
        for folder in sorted(root().glob("run-*")):
            lock = (folder / "lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                taken[folder] = lock
    return taken


def _remove(state: Path) -> None:
    """Remove a folder, its lock last: until then nobody else takes it for a stale one."""
    if not state.exists():
        return
    for entry in state.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
    shutil.rmtree(state)

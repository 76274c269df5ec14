"""Processes of this machine: who is who over their ends and the reuse of their ids, how to wait for them, how to end all of a kind.

Linux 5.3 or newer: a process is held by a pidfd while it is looked at, so that what is signalled is what was looked at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.platforms.local.container_records import ProcessIdentity

__all__ = ["MARKER", "boot_id", "end_marked", "ended", "send_signal"]

MARKER: Final = "AKRI_CONTAINER"
"""Environment variable of all that runs for a container: the path of the container's record."""

_PROC: Final = Path("/proc")
_ROUND: Final = 0.01
_GONE: Final = frozenset("ZX")
_STATE, _PARENT, _BEGAN = 0, 1, 19


@frozen
class _Seen:
    parent: int
    began: int
    gone: bool


@cache
def boot_id() -> str:
    """Identity of the present boot of this machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _seen(pid: int) -> _Seen | None:
    with suppress(OSError, ValueError, IndexError):
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return _Seen(int(fields[_PARENT]), int(fields[_BEGAN]), fields[_STATE] in _GONE)
    return None


def _open(process: ProcessIdentity) -> int | None:
    """Return a pidfd of this very process while it lives."""
    if process.boot != boot_id():
        return None
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    seen = _seen(process.pid)
    if seen is not None and seen.began == process.began and not seen.gone:
        return handle
    os.close(handle)
    return None


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to this very process; False if it has ended."""
    handle = _open(process)
    if handle is None:
        return False
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


async def ended(process: ProcessIdentity) -> None:
    """Return when this very process has ended."""
    handle = _open(process)
    if handle is None:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    with suppress(ChildProcessError):
        # An orphan's end is taken in by the first process of the machine (or of its container), and that may be this one.
        os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - does not wait


def end_marked(place: Path, roots: Iterable[ProcessIdentity] = (), *, pipe: int = 0, seconds: float = 5.0) -> frozenset[int]:
    """Kill all that runs for the record `place` or one below it, has this pipe, or descends from that or from `roots`.

    Goes on until nothing is left, but not for longer than `seconds`; returns the ids of those that could not be ended.
    Blocks: call it in a thread.
    """
    deadline = time.monotonic() + seconds
    roots = tuple(roots)
    while True:
        left = tuple(_belonging(os.fsencode(place), roots, pipe))
        for process in left:
            with suppress(PermissionError):
                send_signal(process, signal.SIGKILL)
        if not left or time.monotonic() > deadline:
            return frozenset(process.pid for process in left)
        time.sleep(_ROUND)


def _belonging(place: bytes, roots: tuple[ProcessIdentity, ...], pipe: int) -> Iterator[ProcessIdentity]:
    boot = boot_id()
    table = {pid: seen for pid in _pids() if (seen := _seen(pid)) is not None and not seen.gone}
    wanted = {pid for pid in table if _is_marked(pid, place) or (pipe and _has_pipe(pid, pipe))}
    wanted |= {root.pid for root in roots if root.boot == boot and root.pid in table and table[root.pid].began == root.began}
    found: set[int] = set()
    while wanted - found:
        found |= wanted
        wanted = {pid for pid, seen in table.items() if seen.parent in found}
    for pid in found - {os.getpid()}:
        yield ProcessIdentity(pid, table[pid].began, boot)


def _pids() -> Iterator[int]:
    with os.scandir(_PROC) as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def _is_marked(pid: int, place: bytes) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    mark = b"\0" + MARKER.encode() + b"=" + place
    start = (b"\0" + environment).find(mark)
    return start >= 0 and environment[start + len(mark) - 1 : start + len(mark)] in {b"", b"\0", b"/"}


def _has_pipe(pid: int, pipe: int) -> bool:
    try:
        with os.scandir(_PROC / str(pid) / "fd") as entries:
            return any(_target(entry) == f"pipe:[{pipe}]" for entry in entries)
    except OSError:
        return False


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return str(Path(entry.path).readlink())
    except OSError:
        return ""

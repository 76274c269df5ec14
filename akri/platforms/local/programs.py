"""The programs that run on a state folder: found by the locks that they hold, asked to end, and in the end made to.

A process id alone is never trusted: a process is asked only while it has the very lock file open.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import holder
from akri.ports import Clock

__all__ = ["Program", "end_programs", "programs"]

_LOOK: Final = 0.1
_KILL_PATIENCE: Final = 5.0


@frozen
class Program:
    """A process that holds locks of a folder. controller: it is `akri up`. nodes: those that it runs. pid: 0 if it is not known."""

    pid: int
    controller: bool
    nodes: tuple[NodeName, ...]
    locks: tuple[Path, ...]

    @property
    def name(self) -> str:
        """What it is, for people."""
        what = "akri up" if self.controller else f"akri node --name {', '.join(self.nodes)}"
        return f"{what} (process {self.pid})" if self.pid else what


def programs(folder: StateFolder) -> tuple[Program, ...]:
    """List the programs that run on a folder, the controller's first. Raises OSError."""
    held: dict[int, list[tuple[Path, NodeName | None]]] = {}
    locks: list[tuple[Path, NodeName | None]] = [(folder.controller_lock, None), *((part.lock, name) for name, part in folder.nodes())]
    for path, node in locks:
        pid = holder(path)
        if pid is not None:
            held.setdefault(pid, []).append((path, node))
    return tuple(_program(pid, parts) for pid, parts in held.items())


def _program(pid: int, parts: Iterable[tuple[Path, NodeName | None]]) -> Program:
    held = tuple(parts)
    nodes = tuple(node for _, node in held if node is not None)
    return Program(pid, len(nodes) < len(held), nodes, tuple(path for path, _ in held))


async def end_programs(folder: StateFolder, clock: Clock, patience: float) -> Sequence[str]:
    """Ask all programs of a folder to end, kill those that do not within so many seconds; tell in sentences what was done.

    Raises OSError.
    """
    said: list[str] = []
    for number, seconds, done in (
        (signal.SIGTERM, patience, "{} ended"),
        (signal.SIGKILL, _KILL_PATIENCE, "{} did not end when it was asked to and was killed"),
    ):
        asked = [program for program in programs(folder) if _send(program, number)]
        until = clock.now() + seconds
        while asked and clock.now() < until:
            ended = [program for program in asked if not any(holder(path) == program.pid for path in program.locks)]
            said += [done.format(program.name) for program in ended]
            asked = [program for program in asked if program not in ended]
            await clock.sleep(_LOOK if asked else 0.0)
    said += [f"{program.name} is still there: this user may not end it, or it is not visible from here" for program in programs(folder)]
    return said


def _send(program: Program, number: signal.Signals) -> bool:
    """Send a signal, if the process is the one that has the lock's file open; tell whether it was sent."""
    if program.pid <= 0 or not _has_open(program.pid, program.locks[0]):
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(program.pid, number)
        return True
    return False


def _has_open(pid: int, path: Path) -> bool:
    with suppress(OSError):
        wanted = path.stat()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found = descriptor.stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return True
    return False

"""What there is to kill of brokers, found by what is written down of them and by the command lines of processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.platforms.local.container_records import ProcessIdentity, parse_started, parse_supervisor
from akri.platforms.local.host_processes import MARKER, send_signal

__all__ = ["Container", "containers", "kill_launcher", "leftovers"]

_PROC: Final = Path("/proc")
_LOOK: Final = 0.002


@frozen
class Container:
    """One container that was started: its pod, and its processes as far as they are known."""

    pod: str
    supervisor: ProcessIdentity | None
    broker: ProcessIdentity | None

    def logger(self) -> int | None:
        """Find the process that writes the container's log."""
        if self.supervisor is None:
            return None
        with suppress(OSError):
            children = Path(f"/proc/{self.supervisor.pid}/task/{self.supervisor.pid}/children").read_text().split()
            return next((int(pid) for pid in children if _runs(int(pid), b"supervisor.sh")), None)
        return None

    def kill(self, kind: str) -> int | None:
        """Kill its broker, its supervisor or the writer of its log; return the id, None if there is none."""
        if kind == "logger":
            pid = self.logger()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return pid
        process = self.broker if kind == "broker" else self.supervisor
        return process.pid if process is not None and send_signal(process, signal.SIGKILL) else None


def containers(brokers: Path) -> tuple[Container, ...]:
    """List the containers that were started, in the order of their pods' names for themselves."""
    return tuple(_container(folder) for pod in _folders(brokers) for folder in _folders(pod))


def _folders(place: Path) -> list[Path]:
    """List the folders in a folder, which may go at any moment."""
    with suppress(OSError):
        return sorted(path for path in place.iterdir() if path.is_dir())
    return []


def _container(folder: Path) -> Container:
    started = parse_started(_text(folder / "started"))
    return Container(folder.parent.name, parse_supervisor(_text(folder / "supervisor")), None if started is None else started.process)


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def kill_launcher(brokers: Path, seconds: float) -> tuple[str, int] | None:
    """Wait for a process that is about to become a supervisor, and kill it; return its pod's uid and its id. Blocks."""
    place = f"{MARKER}={brokers}/".encode()
    before = set(_pids())
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        present = set(_pids())
        for pid in present - before:
            with suppress(OSError):
                if _runs(pid, b"launcher.py"):
                    mark = next((word for word in (_PROC / f"{pid}/environ").read_bytes().split(b"\0") if word.startswith(place)), None)
                    if mark is not None:
                        os.kill(pid, signal.SIGKILL)
                        return mark.removeprefix(place).partition(b"/")[0].decode(), pid
        before &= present
        time.sleep(_LOOK)
    return None


def leftovers(folder: Path, token: str) -> tuple[str, ...]:
    """Say which processes belong to a run: by a mark in their environment or command line, by open files, or by having become ours."""
    us = os.getpid()
    signs: tuple[tuple[str, Callable[[int], bool]], ...] = (
        ("environment", lambda pid: any(mark in (_PROC / f"{pid}/environ").read_bytes() for mark in (token.encode(), bytes(folder)))),
        ("command line", lambda pid: any(mark in b"\0".join(_words(pid)) for mark in (token.encode(), bytes(folder)))),
        ("open file", lambda pid: any(str(path).startswith(f"{folder}/") for path in _open_files(pid))),
        ("child", lambda pid: _parent(pid) == us),
    )
    return tuple(told for pid in sorted(_pids()) if pid != us and (told := _told(pid, signs)))


def _told(pid: int, signs: tuple[tuple[str, Callable[[int], bool]], ...]) -> str:
    found: list[str] = []
    for name, applies in signs:
        with suppress(OSError, IndexError):
            if applies(pid):
                found.append(name)
    if not found or _state(pid) in {"Z", "X", ""}:
        return ""
    return f"process {pid} ({b' '.join(_words(pid)).decode(errors='replace')[:120]}) by its {' and '.join(found)}"


def _pids() -> Iterator[int]:
    with os.scandir(_PROC) as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdigit())


def _words(pid: int) -> list[bytes]:
    with suppress(OSError):
        return (_PROC / f"{pid}/cmdline").read_bytes().split(b"\0")
    return []


def _runs(pid: int, program: bytes) -> bool:
    return any(word.endswith(program) for word in _words(pid))


def _stat(pid: int) -> list[str]:
    with suppress(OSError):
        return (_PROC / f"{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def _state(pid: int) -> str:
    return next(iter(_stat(pid)), "")


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _open_files(pid: int) -> Iterator[Path]:
    for path in (_PROC / f"{pid}/fd").iterdir():
        with suppress(OSError):
            yield path.readlink()

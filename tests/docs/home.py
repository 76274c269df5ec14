"""A machine of its own for pages that are one story: it has a name, a disk, processes and a boot, and it can lose its power.

Namespaces of mounts, processes and the host name, on folders that stand for the parts of its disk that the story writes to. Linux, root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import define, field

__all__ = ["PATIENCE", "Home", "Terminal", "home"]

PATIENCE: Final = 90.0
_PARTS: Final = (Path("/opt/akri"), Path("/var/lib/akri"))
# The first process: it makes the machine what it is, and takes in orphans as any first process does.
_FIRST: Final = """
import os, socket, subprocess, sys, time
name, boot, ready, *parts = sys.argv[1:]
socket.sethostname(name)
for part in parts:
    inside, outside = part.split("=")
    subprocess.run(["mount", "--bind", outside, inside], check=True)
subprocess.run(["mount", "--bind", boot, "/proc/sys/kernel/random/boot_id"], check=True)
udev = os.open("/run/udev", os.O_PATH) if os.path.isdir("/run/udev") else None
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
if udev is not None:
    os.mkdir("/run/udev")
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/fd/{udev}", "/run/udev"], check=True)
open(ready, "w").close()
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.05)
"""


@define(eq=False)
class Terminal:
    """A command that runs until it is stopped, and what it wrote."""

    process: subprocess.Popen[bytes]
    output: Path
    read: int = 0

    def said(self) -> str:
        """What it wrote since `turn`."""
        return self.output.read_text(encoding="utf-8", errors="replace")[self.read :]

    def turn(self) -> None:
        """Take what it wrote so far as read."""
        self.read += len(self.said())

    def interrupt(self) -> None:
        """Press Ctrl-C: everything in the terminal gets it."""
        for pid in _family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


@define(eq=False)
class Home:
    """The machine. folder: what its disk is made of, and what else is kept of it; environment: what each shell starts with."""

    folder: Path
    environment: Mapping[str, str]
    _first: subprocess.Popen[bytes] | None = field(init=False, default=None)
    _terminals: list[Terminal] = field(init=False, factory=list[Terminal])

    def boot(self) -> None:
        """Switch it on. Each boot has an id of its own."""
        (self.folder / "boot").write_text(f"{uuid.uuid4()}\n")
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        for name in ("cwd", "variables"):
            (self.folder / name).unlink(missing_ok=True)
        parts = [f"{part}={self._disk(part)}" for part in _PARTS]
        own = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        words = [*own, sys.executable, "-I", "-S", "-c", _FIRST, "home", str(self.folder / "boot"), str(ready), *parts]
        said = self.folder / "first"
        with said.open("wb") as file:
            self._first = subprocess.Popen(words, stdout=file, stderr=file)
        self.until(ready.exists, "the machine runs", said.read_text)

    def cut_power(self) -> None:
        """Switch it off as a power cut does: every process is gone at once."""
        if self._first is not None:
            os.kill(self._pid(), signal.SIGKILL)
            self._first.wait(PATIENCE)
            self._first = None
        for terminal in self._terminals:
            terminal.process.wait(PATIENCE)

    def run(self, command: str) -> tuple[int, str]:
        """Run a command in the shell; folder and variables stay as it leaves them. Returns its exit code, and all that it wrote."""
        done = subprocess.run(
            self._words(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    def start(self, command: str) -> Terminal:
        """Run a command in a terminal of its own, where the shell is."""
        output = self.folder / f"terminal-{len(self._terminals)}"
        with output.open("wb") as file:
            process = subprocess.Popen(self._words(command), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._terminals.append(Terminal(process, output))
        return self._terminals[-1]

    def until(self, condition: Callable[[], bool], what: str, told: Callable[[], str] = str) -> None:
        """Wait for something. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                message = f"within {PATIENCE:g} s it did not happen that {what}: {told()}"
                raise TimeoutError(message)
            time.sleep(0.05)

    def place(self, path: Path) -> Path:
        """Tell where a file of the machine is outside of it."""
        part = next((part for part in _PARTS if path.is_relative_to(part)), None)
        return path if part is None else self._disk(part) / path.relative_to(part)

    @property
    def working_folder(self) -> Path:
        """Where the shell is, seen from outside."""
        return self.place(Path((self.folder / "cwd").read_text().strip()))

    def _disk(self, part: Path) -> Path:
        disk = self.folder / part.name / part.parent.name
        disk.mkdir(parents=True, exist_ok=True)
        return disk

    def _pid(self) -> int:
        assert self._first is not None
        return _family(self._first.pid)[1]

    def _words(self, command: str) -> list[str]:
        cwd, variables = self.folder / "cwd", self.folder / "variables"
        script = (
            f'[ ! -e {cwd} ] || cd "$(cat {cwd})"; [ ! -e {variables} ] || . {variables}\n{command}\n'
            f"code=$?; pwd >{cwd}; export -p >{variables}; exit $code"
        )
        enter = ("nsenter", "--target", str(self._pid()), "--mount", "--uts", "--pid")
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return [*enter, "env", "-i", *given, "sh", "-c", script]


def _family(pid: int) -> list[int]:
    """A process and all that descend from it, the elders first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


@contextmanager
def home(folder: Path, environment: Mapping[str, str]) -> Generator[Home]:
    """Switch a machine on, and off at the end; nothing of it stays."""
    machine = Home(folder, environment)
    with ExitStack() as stack:
        for part in _PARTS:
            if not part.exists():
                part.mkdir(parents=True)
                stack.callback(part.rmdir)
        stack.callback(machine.cut_power)
        machine.boot()
        yield machine

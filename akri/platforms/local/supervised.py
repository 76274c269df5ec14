"""One container's process under its supervisor, whichever program started it: started, found again, waited for, ended.

The supervisor (supervisor.sh) lives on when this program ends. The lock in the container's folder says whether there is one,
the files beside it say what became of the process (container_records.py).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.platforms.local.container_records import Alive, ContainerState, Ended, Lost, NeverStarted, container_state, parse_pipe
from akri.platforms.local.host_processes import MARKER, boot_id, end_marked, ended, send_signal
from akri.platforms.local.logs import MAXIMUM_LOG
from akri.platforms.local.processes import Command

__all__ = ["Launch", "RunningAlreadyError", "Supervised", "environment_script"]

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_SUPERVISOR: Final = Path(__file__).with_name("supervisor.sh")
_LOCK: Final = "lock"
_REMOVAL: Final = "remove.sh"
_RECORDS: Final = ("supervisor", "started", "ended")
_LOOK_EVERY: Final = 0.05
_LOCK_PATIENCE: Final = 1.0
_KILL_PATIENCE: Final = 5.0
_START_PATIENCE: Final = 2.0
_LAUNCH_PATIENCE: Final = 60.0
_REMOVAL_PATIENCE: Final = 30.0
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Variables that some shell keeps for itself: an assignment fails, or does something else.
_OF_THE_SHELL: Final = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "LINENO", "OPTIND", "PPID", "SHELLOPTS", "UID", "_"})


class RunningAlreadyError(Exception):
    """The container's lock is held: it runs."""


@frozen
class Launch:
    """One start: what to run, where its output goes, and the numbers of container_records.Started.

    environment_file, removal: texts of files that are there while it runs (runtimes.ImageStart); empty ones are not.
    """

    command: Command
    log: Path
    attempt: int = 0
    restarts: int = 0
    environment_file: str = ""
    removal: str = ""


class Supervised:
    """The process of one container. folder: the container's, in the record of its pod; nothing else names the container."""

    def __init__(self, folder: Path, shell: str = "/bin/sh") -> None:
        """Nothing is read or made yet. shell: the POSIX shell that runs the supervisor."""
        self.folder = folder
        self._shell = shell

    def look(self) -> ContainerState:
        """Say what is known of it at this moment."""
        locked = self._locked()
        supervisor, started, end = (_text(self.folder / name) for name in _RECORDS)
        return container_state(locked=locked, supervisor=supervisor, started=started, ended=end)

    async def start(self, launch: Launch) -> None:
        """Start it. Raises RunningAlreadyError if it runs, and OSError if the machine refuses.

        When this is cancelled the start goes on nevertheless, and `look` tells of it soon after.
        """
        await asyncio.to_thread(self._launch, launch)

    async def wait(self) -> Ended | Lost | NeverStarted:
        """Wait until its supervisor has ended, and return what is left of it."""
        while isinstance(state := self.look(), Alive):
            if state.supervisor is not None:
                await ended(state.supervisor)
            if isinstance(self.look(), Alive):
                await asyncio.sleep(_LOOK_EVERY)
        return state

    async def terminate(self) -> None:
        """Ask it to end: SIGTERM to its first process alone, as a container's first process gets it."""
        deadline = time.monotonic() + _START_PATIENCE
        while isinstance(state := self.look(), Alive):
            if state.started is not None:
                with suppress(PermissionError):
                    send_signal(state.started.process, signal.SIGTERM)
                return
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(_LOOK_EVERY)

    def ended_at(self) -> float | None:
        """When its last end was written down, seconds since the epoch; None if that is not known."""
        with suppress(OSError):
            return (self.folder / "ended").stat().st_mtime
        return None

    async def kill(self) -> frozenset[int]:
        """Kill it and everything that it started; return the ids of what could not be ended."""
        state = self.look()
        if isinstance(state, Alive) and state.started is not None:
            with suppress(PermissionError):
                send_signal(state.started.process, signal.SIGKILL)
            with suppress(TimeoutError):
                async with asyncio.timeout(_KILL_PATIENCE):
                    await self.wait()
        return await self.clean_up()

    async def clean_up(self) -> frozenset[int]:
        """End what an end left behind that its supervisor did not see through; return the ids of what could not be ended."""
        if (self.folder / _REMOVAL).exists():
            await asyncio.to_thread(self._remove)
        state = self.look()
        if isinstance(state, NeverStarted) or (isinstance(state, Ended) and state.clean):
            return frozenset()
        known = (None if isinstance(state, Ended) else state.supervisor, state.started.process if state.started else None)
        roots = [process for process in known if process is not None]
        pipe = parse_pipe(_text(self.folder / "supervisor"), boot_id())
        return await asyncio.to_thread(end_marked, self.folder, roots, pipe=pipe)

    def _locked(self) -> bool:
        try:
            descriptor = os.open(self.folder / _LOCK, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _launch(self, launch: Launch) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            lock = stack.enter_context(_descriptor(self.folder / _LOCK))
            _take(lock)
            for name in _RECORDS:
                (self.folder / name).unlink(missing_ok=True)
            self._write("environment", launch.environment_file)
            self._write(_REMOVAL, launch.removal)
            environment = stack.enter_context(_environment({**launch.command.environment, MARKER: str(self.folder)}))
            ends = os.pipe()
            for end in ends:
                stack.callback(os.close, end)
            try:
                self._spawn(launch, (environment, *ends, lock))
            except subprocess.TimeoutExpired as error:
                message = f"its supervisor did not start within {_LAUNCH_PATIENCE:g} s"
                raise OSError(message) from error

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        if text:
            with os.fdopen(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)

    def _remove(self) -> None:
        """End what a container runtime has of it; it is not among the supervisor's processes."""
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 - written by this program
                ["/bin/sh", str(self.folder / _REMOVAL)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_REMOVAL_PATIENCE,
                check=False,
            )

    def _spawn(self, launch: Launch, descriptors: tuple[int, ...]) -> None:
        tools = os.environ.get("PATH", os.defpath)
        session = shutil.which("setsid", path=tools)
        script = (_SUPERVISOR, self.folder, launch.log, MAXIMUM_LOG, launch.attempt, launch.restarts, tools)
        arguments = (
            *descriptors,
            self.folder / "supervisor",
            *shlex.split(self._shell),
            *script,
            *((session,) if session else ()),
            *launch.command.arguments,
        )
        done = subprocess.run(  # noqa: S603 - to run what a user configured is what this is for
            [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, arguments)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=launch.command.working_directory or None,
            env={"PATH": tools, MARKER: str(self.folder)},
            timeout=_LAUNCH_PATIENCE,
            check=False,
        )
        if done.stderr or done.returncode:
            raise OSError(f"its supervisor did not start: {done.stderr.decode('utf-8', 'replace').strip() or done.returncode}")


def environment_script(environment: Mapping[str, str], env: str) -> str:
    """Write an environment as a script for a POSIX shell.

    What a shell cannot have as a variable goes through the program `env`, where other users see it for a moment.
    """
    lines: list[str] = []
    for name, value in environment.items():
        if _NAME.fullmatch(name) and name not in _OF_THE_SHELL:
            lines.append(f"export {name}={shlex.quote(value)}\n")
        else:
            lines.append(f'set -- {shlex.quote(env)} {shlex.quote(f"{name}={value}")} "$@"\n')
    return "".join(lines)


@contextmanager
def _descriptor(path: Path) -> Generator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _environment(environment: Mapping[str, str]) -> Generator[int]:
    """Keep the environment in memory, where nobody but the owner reads it."""
    script = environment_script(environment, shutil.which("env") or "/usr/bin/env")
    descriptor = os.memfd_create("environment")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(script.encode("utf-8", "surrogateescape"))
        yield descriptor
    finally:
        os.close(descriptor)


def _take(lock: int) -> None:
    """Take the lock; somebody who only looks holds it for a moment."""
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RunningAlreadyError from None
            time.sleep(_LOOK_EVERY)
        else:
            return


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""

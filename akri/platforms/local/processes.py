"""A broker's container as a child process: started, heard, ended, and never left behind, not even when this program is killed.

Each child leads a process group of its own, in which a watching shell blocks on a pipe that only this program holds open.
When the pipe closes, for whatever reason, the shell kills the group.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from attrs import frozen

from akri.core.errors import InvalidValueError

__all__ = ["ChildProcess", "Command"]

_SHELL: Final = "/bin/sh"
# The pipe arrives as standard input. The watching shell must not hold the output open, or its end would never be seen.
_WATCHED: Final = """
exec 3<&0 0</dev/null
(trap '' HUP INT TERM; read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"""
_CHUNK: Final = 65536
_DRAIN: Final = 1.0


@frozen
class Command:
    """What to run. place: where the command stands in the spec, for messages. The environment is all that the child gets."""

    place: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str = ""

    def check(self) -> None:
        """Raise InvalidValueError if there is no command, no such program or no such working directory."""
        if not self.arguments:
            raise InvalidValueError(self.place, [], "a command: this platform runs processes, not images")
        directory = Path(self.working_directory or ".")
        if not directory.is_dir():
            raise InvalidValueError(self.place.replace("command", "workingDir"), self.working_directory, "a directory that exists")
        program = self.arguments[0]
        path = self.environment.get("PATH", "")
        named = "/" in program
        found = shutil.which(str(directory / program) if named else program, path=path)
        if found is None:
            searched = "" if named else f" (looked in PATH {path!r})"
            raise InvalidValueError(self.place, program, f"a program that exists and may be run{searched}")


class ChildProcess:
    """A running child. Whoever starts one calls `close` at the end, in any case."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int, reader: asyncio.Task[None]) -> None:
        """Take what `start` made."""
        self._process = process
        self._lifeline: int | None = lifeline
        self._reader = reader

    @classmethod
    async def start(cls, command: Command, output: Callable[[bytes], None]) -> Self:
        """Start a child; what it writes to either output goes to the callable. Raises InvalidValueError, OSError."""
        command.check()
        child_lifeline, lifeline = os.pipe()
        output_read, child_output = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                _SHELL,
                "-c",
                _WATCHED,
                _SHELL,
                *command.arguments,
                stdin=child_lifeline,
                stdout=child_output,
                stderr=child_output,
                env=dict(command.environment),
                cwd=command.working_directory or None,
                start_new_session=True,
            )
        except BaseException:
            os.close(lifeline)
            os.close(output_read)
            raise
        finally:
            os.close(child_lifeline)
            os.close(child_output)
        return cls(process, lifeline, asyncio.create_task(_read(output_read, output)))

    @property
    def pid(self) -> int:
        """Process id, and the id of its process group."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the end; return the exit code, or the negative number of the signal that ended it."""
        return await self._process.wait()

    def terminate(self) -> None:
        """Ask the child to end: SIGTERM, to it alone, as a container's first process gets it."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the child and everything in its process group, by closing the pipe and, without waiting for that, by signal."""
        if self._lifeline is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self._lifeline)
        self._lifeline = None

    async def close(self) -> None:
        """Kill what is left of the group and hear what it wrote last."""
        self.kill()
        await self.wait()
        await asyncio.wait({self._reader}, timeout=_DRAIN)
        self._reader.cancel()


async def _read(descriptor: int, output: Callable[[bytes], None]) -> None:
    stream = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0))
    try:
        while chunk := await stream.read(_CHUNK):
            output(chunk)
    finally:
        transport.close()

"""The handler under test: one that runs already, or a process of ours; with the agent's socket that it registers at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from attrs import frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName
from akri.discovery.registration import SOCKET_NAME, RegistrationServer
from akri.discovery.wire import Registration
from akri.ports import Clock

__all__ = ["Subject", "Target", "endpoint_of"]

_WORDS: Final = 400


@frozen
class Target:
    """What to test: a `command` to start, or an `endpoint` where a handler listens.

    folder: where the agent's socket is made; None for a new one, and for an endpoint none. The process gets it as its
    DISCOVERY_HANDLERS_DIRECTORY, and no POD_IP; otherwise it has our environment.
    """

    command: tuple[str, ...] = ()
    endpoint: Registration | None = None
    folder: Path | None = None


def endpoint_of(text: str) -> Registration | None:
    """Read `/run/x.sock`, `unix:/run/x.sock`, `http://10.1.2.3:10000` or `https://...`; None for what is no endpoint."""
    if text.startswith(("http://", "https://")):
        return Registration(HandlerName("handler"), text, network=True, shared=False)
    path = Path(text.removeprefix("unix:"))
    if text.startswith("unix:") or (path.is_absolute() and path.is_socket()):
        return Registration(HandlerName("handler"), str(path), network=False, shared=False)
    return None


class Subject:
    """The handler while it is tested. `registrations`: all that came, in order."""

    def __init__(self, target: Target, clock: Clock) -> None:
        """Take what to test."""
        self.target: Final = target
        self.registrations: Final[list[Registration]] = []
        self._clock = clock
        self._folder = target.folder
        self._output: IO[bytes] | None = None
        self._resources = contextlib.ExitStack()
        self._server: RegistrationServer | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._news = asyncio.Event()

    @property
    def endpoint(self) -> Registration | None:
        """Where it listens, as far as that is known."""
        return self.target.endpoint or (self.registrations[-1] if self.registrations else None)

    @property
    def has_agent(self) -> bool:
        """Whether it can register with us."""
        return self._folder is not None

    @property
    def pid(self) -> int | None:
        """Of the process, if it is ours and runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        """Start the process. Raises InvalidValueError if there is an agent already, or no such command."""
        if self._folder is not None and (self._folder / SOCKET_NAME).exists():
            raise InvalidValueError("folder", str(self._folder), f"one without {SOCKET_NAME}: it may be that of a running agent")
        with contextlib.ExitStack() as resources:
            if self.target.command:
                # A short path, for a unix socket's holds 107 bytes.
                folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="akri-", ignore_cleanup_errors=True))
                self._folder = self._folder or Path(folder)
                self._output = resources.enter_context(tempfile.TemporaryFile())
                await self._start(self._output)
            self._resources = resources.pop_all()
        return self

    async def _start(self, output: IO[bytes]) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "POD_IP"}
        environment |= {"DISCOVERY_HANDLERS_DIRECTORY": str(self._folder)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.target.command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise InvalidValueError("command", self.target.command[0], f"a program that can be run ({error.strerror})") from error

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process, whatever it does, and those that it started."""
        await self.stop_agent()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        self._resources.close()

    async def start_agent(self) -> None:
        """Make the agent's socket."""
        if self._folder is not None:
            self._server = RegistrationServer(self._folder, self._take, self._clock)
            await self._server.__aenter__()

    async def stop_agent(self) -> None:
        """Remove the agent's socket."""
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(None, None, None)

    async def registers(self, more_than: int, seconds: float) -> bool:
        """Wait for more registrations than there were; tell whether one came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self.registrations) <= more_than and not self.ended():
                    self._news.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), 0.5)
        return len(self.registrations) > more_than

    async def ends_within(self, seconds: float) -> str:
        """Give it time to end without being told to; say how it did, "" if it did not."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        return self.ended()

    def ended(self) -> str:
        """Say how the process ended; "" while it runs, or if it is not ours."""
        if self._process is None or self._process.returncode is None or self._output is None:
            return ""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - _WORDS))
        words = self._output.read().decode(errors="replace").strip()
        return f"the process ended with {self._process.returncode}" + (f", its last words: {words!r}" if words else "")

    async def terminated(self, seconds: float) -> bool:
        """Send SIGTERM; tell whether the process ended in time."""
        if self._process is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self._process.returncode is not None

    def open_things(self) -> tuple[int, int]:
        """Count the open descriptors and the threads of the process. Raises OSError where that cannot be seen."""
        folder = Path(f"/proc/{self.pid}")
        return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))

    def _take(self, registration: Registration) -> None:
        self.registrations.append(registration)
        self._news.set()

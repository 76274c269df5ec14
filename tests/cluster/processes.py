"""The processes of a test cluster: started, stopped, killed, paused, and found again after a crash of what started them.

Each carries the state folder of its cluster in its environment (`MARK`). Children inherit it, containerd's shims too, so
that `end_left` finds all of them by looking through /proc: no record can be missing or name a process id that has been given
to another program since. The records (`<state>/processes/<name>`) are there for a later run that goes on with a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["MARK", "Process", "ProcessError", "end_left", "eventually", "marked"]

MARK = "AKRI_TEST_CLUSTER"
_POLL = 0.02


class ProcessError(Exception):
    """A process ended, or did not become what it was waited for; the text ends in the last lines of its log."""


class Process:
    """One program, in a session of its own, writing both outputs to the end of one log file.

    `argv` may begin with nsenter or unshare: both end in exec, so the process id stays. `state` is the state folder of the
    cluster; `environment` is added to that of this process. Nothing belongs to an event loop: any loop may give orders.
    A process that an earlier run recorded under the same name and that is still alive is taken over.
    """

    def __init__(
        self, name: str, argv: Sequence[str], *, state: Path, log: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.state = state
        self.log = log or state / "logs" / f"{name}.log"
        self._environment = dict(environment or {})
        self._record = state / "processes" / name
        self._pid, self._started = self._recorded()

    @property
    def pid(self) -> int | None:
        """The process id; None before the first start and after the end."""
        return self._pid if self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it runs, paused or not."""
        if self._pid is None:
            return False
        _reap(self._pid)
        # One that ended before its start time was read has none.
        if self._started is not None and _start_time(self._pid) == self._started:
            return True
        if self._recorded() == (self._pid, self._started):  # else someone has started it anew meanwhile
            self._record.unlink(missing_ok=True)
        self._pid = None
        return False

    def start(self) -> None:
        """Start it. Raises ProcessError if it runs, OSError if there is no such program."""
        if self.alive:
            raise ProcessError(f"{self.name} runs already, as process {self._pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self._environment, MARK: str(self.state)}
        files = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # The spawned process is given back to the default signals: pytest or a shell may have ignored some.
        defaults = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE}
        pid = os.posix_spawnp(self.argv[0], self.argv, environment, file_actions=files, setsid=True, setsigdef=defaults)
        self._pid, self._started = pid, _start_time(pid)
        if self._started is not None:
            self._record.write_text(json.dumps({"pid": pid, "started": self._started, "argv": self.argv}), encoding="utf-8")

    async def stop(self, grace: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; returns when it has ended. Nothing to do if it does not run."""
        self.signal(signal.SIGTERM)
        self.resume()
        if not await self.ended(grace):
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        self.signal(signal.SIGKILL)
        if not await self.ended(10.0):
            raise ProcessError(f"{self.name} (process {self._pid}) did not end within 10 s of SIGKILL")

    def pause(self) -> None:
        """Stop it from running (SIGSTOP) until `resume`: connections stay open, nothing is answered."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self.signal(signal.SIGCONT)

    async def restart(self, grace: float = 10.0) -> None:
        """Stop and start it."""
        await self.stop(grace)
        self.start()

    async def ended(self, seconds: float) -> bool:
        """Whether it has ended, at the latest after `seconds`."""
        end = asyncio.get_running_loop().time() + seconds
        while self.alive:
            if asyncio.get_running_loop().time() >= end:
                return False
            await asyncio.sleep(_POLL)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to those of its children that stayed in its group."""
        if self.alive and self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    async def ready(self, check: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Wait until `check` is true. Raises ProcessError, with the end of the log, if the process ends first or time runs out."""

        async def ready_or_ended() -> bool:
            if not self.alive:
                raise ProcessError(f"{self.name} ended while it was starting; the end of {self.log}:\n{self.tail()}")
            return await check()

        try:
            await eventually(ready_or_ended, seconds=seconds, what=f"{self.name} to be ready")
        except TimeoutError as error:
            raise ProcessError(f"{error}; the end of {self.log}:\n{self.tail()}") from error

    def _recorded(self) -> tuple[int | None, int | None]:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            return int(record["pid"]), int(record["started"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or one that a crash left half written
            return None, None


async def eventually(check: Callable[[], Awaitable[bool]], *, seconds: float, what: str, every: float = 0.05) -> None:
    """Wait until `check` is true; raises TimeoutError, naming `what` was waited for, after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    while not await check():
        if asyncio.get_running_loop().time() >= end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(every)


def marked(state: Path) -> list[int]:
    """Ids of the processes that were started for this state folder, or for one inside it."""
    exact = f"{MARK}={state}".encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _start_time(int(entry.name)) is not None:
            with contextlib.suppress(OSError):  # it ended, or is another user's
                variables = (entry / "environ").read_bytes().split(b"\0")
                if any(variable == exact or variable.startswith(exact + b"/") for variable in variables):
                    found.append(int(entry.name))
    return found


async def end_left(state: Path, *, seconds: float = 20.0) -> int:
    """Kill every process that was started for this state folder; returns how many there were.

    Raises TimeoutError if some are still there after `seconds`.
    """
    seen: set[int] = set()
    looks_without = 0

    async def none_left() -> bool:
        nonlocal looks_without
        left = marked(state)
        seen.update(left)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _reap(pid)
        # In the middle of exec a process has no environment for a moment: one look is not enough.
        looks_without = 0 if left else looks_without + 1
        return looks_without == 3

    await eventually(none_left, seconds=seconds, what=f"the processes of {state} to end")
    return len(seen)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # a former run's child, or reaped
        os.waitpid(pid, os.WNOHANG)


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells it from a later one of the same id. None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])

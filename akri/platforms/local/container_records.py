"""What a supervisor writes about its container, read back: see supervisor.sh for who writes which file and when. Pure.

A text that is cut off (the disk was full, or the machine lost power) counts as not written.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import frozen

__all__ = [
    "Alive",
    "ContainerState",
    "Ended",
    "Lost",
    "NeverStarted",
    "ProcessIdentity",
    "Started",
    "container_state",
    "parse_ended",
    "parse_pipe",
    "parse_started",
    "parse_stat",
    "parse_supervisor",
]

_WORDS_OF_START: Final = 4
_BEGAN: Final = 19


@frozen
class ProcessIdentity:
    """A process for good: ids are used again, but not with the same start. began: clock ticks after the boot with id `boot`."""

    pid: int
    began: int
    boot: str


@frozen
class Started:
    """A start of a container. attempt: how many starts in a row came soon after a former end; restarts: how many there were in all.

    uptime: seconds after the boot of the machine; process: the command's.
    """

    attempt: int
    restarts: int
    uptime: float
    process: ProcessIdentity


@frozen
class Ended:
    """The end of a container's process. code: its exit code, 128 + n for signal n. clean: nothing that it started was left then.

    ran: seconds from its start, None where that is not known.
    """

    code: int
    clean: bool
    started: Started | None = None
    ran: float | None = None


@frozen
class NeverStarted:
    """Nothing ever ran."""


@frozen
class Alive:
    """A supervisor has it. started: None while it is about to start; supervisor: None where its record cannot be read."""

    supervisor: ProcessIdentity | None
    started: Started | None


@frozen
class Lost:
    """It was started, and its supervisor ended without a word: it was killed, or the machine went down."""

    supervisor: ProcessIdentity | None
    started: Started


ContainerState: TypeAlias = NeverStarted | Alive | Ended | Lost
"""What can be known of a container from its record."""


def parse_stat(text: str, boot: str) -> ProcessIdentity | None:
    """Read a process' identity from its /proc/PID/stat; None if the text is cut off or something else."""
    pid, _, rest = text.partition(" ")
    fields = rest.rpartition(")")[2].split()
    if not pid.isdigit() or len(fields) <= _BEGAN + 1 or not fields[_BEGAN].isdigit():
        return None
    return ProcessIdentity(int(pid), int(fields[_BEGAN]), boot)


def parse_started(text: str) -> Started | None:
    """Read `started`."""
    heading, _, stat = text.partition("\n")
    words = heading.split()
    if len(words) != _WORDS_OF_START or not text.endswith("\n"):
        return None
    attempt, restarts, boot, uptime = words
    process = parse_stat(stat, boot)
    seconds = _seconds(uptime)
    if process is None or seconds is None or not (attempt.isdecimal() and restarts.isdecimal()):
        return None
    return Started(int(attempt), int(restarts), seconds, process)


def parse_ended(text: str, started: Started | None) -> Ended | None:
    """Read `ended`; None while it only keeps the room."""
    words = text.split()
    if not words or not words[0].isdecimal() or not text.endswith("\n"):
        return None
    uptime = _seconds(words[1]) if len(words) > 1 else None
    ran = None if uptime is None or started is None else max(uptime - started.uptime, 0.0)
    return Ended(int(words[0]), "swept" in words, started, ran)


def parse_supervisor(text: str) -> ProcessIdentity | None:
    """Read `supervisor`, which the launcher writes: the boot's id and the /proc/PID/stat of what becomes the supervisor."""
    boot, _, stat = text.partition("\n")
    return parse_stat(stat, boot)


def parse_pipe(text: str, boot: str) -> int:
    """Read from `supervisor` the inode of the pipe that the container's processes write to; 0 if it is not known in this boot."""
    lines = text.splitlines()
    return int(lines[2]) if len(lines) > 2 and lines[0] == boot and lines[2].isascii() and lines[2].isdecimal() else 0


def container_state(*, locked: bool, supervisor: str, started: str, ended: str) -> ContainerState:
    """Conclude from the lock and the texts of the files, empty for one that is not there."""
    watcher = parse_supervisor(supervisor)
    start = parse_started(started)
    if locked:
        return Alive(watcher, start)
    end = parse_ended(ended, start)
    if end is not None:
        return end
    return NeverStarted() if start is None else Lost(watcher, start)


def _seconds(text: str) -> float | None:
    whole, _, part = text.partition(".")
    return float(text) if whole.isdecimal() and (not part or part.isdecimal()) else None

"""The programs of a run: each is started again a moment after its end, as a service manager would do it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field

__all__ = ["Cast", "Member", "become_subreaper", "reap"]

_ROOT: Final = Path(__file__).parents[3]
_SUBREAPER: Final = 36
_TOLD: Final = 2000


@define(eq=False)
class Member:
    """One program. due: when it is to be started again; None while it runs. killed: that it ended is our doing."""

    name: str
    words: Sequence[str]
    output: Path
    process: subprocess.Popen[bytes] | None = None
    due: float | None = None
    killed: bool = False

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None


@define(eq=False)
class Cast:
    """All programs. token: a mark in the environment of each and of all that they start. ended: those that ended by themselves."""

    folder: Path
    token: str
    members: list[Member] = field(factory=list[Member])
    ended: list[str] = field(factory=list[str])

    def add(self, name: str, words: Sequence[str]) -> None:
        """Start a program."""
        member = Member(name, words, self.folder / f"{name}.out")
        self.members.append(member)
        self._start(member)

    def kill(self, member: Member, after: float) -> int | None:
        """Kill a program; it is started again after so many seconds. Returns the id, None if it does not run."""
        if member.process is None or not member.runs:
            return None
        member.killed = True
        member.process.kill()
        member.process.wait()
        member.due = time.monotonic() + after
        return member.process.pid

    def keep(self) -> None:
        """Start again whatever ended."""
        for member in self.members:
            if member.process is not None and member.due is None and not member.runs:
                if not member.killed:
                    self.ended.append(f"{member.name} with exit code {member.process.returncode}: {_tail(member.output)}")
                member.due = time.monotonic() + 1
            if member.due is not None and member.due <= time.monotonic():
                self._start(member)

    def end(self) -> None:
        """Kill all programs, for good."""
        for member in self.members:
            member.killed, member.due = True, None
            if member.process is not None:
                member.process.kill()
                member.process.wait()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(words, env=self._environment(), capture_output=True, text=True, timeout=120, check=False)

    def _start(self, member: Member) -> None:
        with member.output.open("ab") as output:
            member.process = subprocess.Popen(
                member.words, cwd=_ROOT, env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        member.due, member.killed = None, False

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "AKRI_CHAOS": self.token}


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-_TOLD:] if path.exists() else ""


def become_subreaper() -> None:
    """Let everything that is started from here, and loses its parent, become our child: then nothing can hide at the end."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")


def reap(cast: Cast) -> None:
    """Take in the dead that have become our children; those that we started are waited for where that is."""
    own = {member.process.pid for member in cast.members if member.process is not None}
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    for pid in map(int, path.read_text().split()):
        if pid not in own:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

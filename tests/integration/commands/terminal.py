"""A terminal of a given size in which a command runs; what a person would see, without what steers the terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

import pexpect

from tests.guards.tree import ROOT

__all__ = ["PROGRAM", "in_terminal", "lines_of", "run_in_terminal", "visible"]

PROGRAM: Final = (sys.executable, "-m", "tests.integration.commands.program")
"""`akri` over a store with a bit of everything."""
_STEERING: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
_PATIENCE: Final = 50


@contextmanager
def in_terminal(
    command: Sequence[str], *, columns: int = 120, rows: int = 40, environment: dict[str, str] | None = None
) -> Generator[pexpect.spawn[str]]:
    """Run a command in a terminal for as long as the block lasts; then it is ended, if it did not end by itself."""
    variables = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(environment or {})}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        if name not in (environment or {}):
            variables.pop(name, None)
    size = (rows, columns)
    child: pexpect.spawn[str] = pexpect.spawn(
        command[0], [*command[1:]], cwd=str(ROOT), env=variables, dimensions=size, encoding="utf-8", timeout=_PATIENCE, echo=False
    )
    try:
        yield child
    finally:
        child.close(force=True)


def run_in_terminal(*words: str, columns: int = 120, environment: dict[str, str] | None = None) -> tuple[int | None, str]:
    """Run `akri` to its end; its exit code and everything that it sent to the terminal."""
    with in_terminal([*PROGRAM, *words], columns=columns, environment=environment) as child:
        child.expect(pexpect.EOF)
        said = child.before or ""
        child.close()
        return child.exitstatus, said.replace("\r\n", "\n")


def visible(said: str) -> str:
    """Leave out what steers the terminal and colours."""
    return _STEERING.sub("", said)


def lines_of(said: str) -> list[str]:
    """The lines that a person sees, without spaces at their ends."""
    return [line.rstrip() for line in visible(said).replace("\r", "").split("\n")]

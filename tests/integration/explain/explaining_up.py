"""`akri up` on a state folder of its own, and what `akri explain` says of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from tests.integration.standalone.programs import PATIENCE, State, akri, state

__all__ = ["Explained", "Machine", "machine"]

_CABINET = Path(__file__).parent / "cabinet.py"


@define(eq=False)
class Explained:
    """What the program printed: the lines of the first finding, and its exit code."""

    code: int
    text: str

    @property
    def first(self) -> str:
        """The line that names the fault."""
        return self.text.splitlines()[0] if self.text else ""

    @property
    def second(self) -> str:
        """The line that says what to do."""
        return self.text.splitlines()[1].strip()


@define(eq=False)
class Machine:
    """A machine called `gateway` that runs `akri up`."""

    state: State

    def up(self, *documents: str) -> None:
        """Start `akri up` with these Configurations."""
        file = self.state.folder / "all.yaml"
        file.write_text("---\n".join(textwrap.dedent(document) for document in documents))
        self.state.start("up", "-f", file, "--node", "gateway")

    def explain(self, *words: str) -> Explained:
        """Run `akri explain` to its end."""
        done = akri("explain", *words, "--state", self.state.path)
        assert "Traceback" not in done.stderr, done.stderr
        return Explained(done.returncode, done.stdout)

    def until(self, first: str, *words: str) -> Explained:
        """Ask until the first line matches a pattern. Raises AssertionError with the last answer."""
        return self.until_it(lambda found: re.search(first, found.first) is not None, *words)

    def until_it(self, right: Callable[[Explained], bool], *words: str) -> Explained:
        """Ask until the answer is right. Raises AssertionError with the last one."""
        end = time.monotonic() + PATIENCE
        while True:
            found = self.explain(*words)
            if right(found):
                return found
            assert time.monotonic() < end, found.text + self.state.said()[-2000:]
            time.sleep(0.3)

    @contextmanager
    def cabinet(self, name: str = "cabinet") -> Generator[Path]:
        """Run a handler program of this name; each file in the folder that is given is a device."""
        folder = self.state.folder / name
        folder.mkdir()
        handlers = self.state.path / "nodes" / "gateway" / "handlers"
        environment = {**os.environ, "DISCOVERY_HANDLERS_DIRECTORY": str(handlers)}
        program = subprocess.Popen([sys.executable, str(_CABINET), name], env=environment)
        try:
            yield folder
        finally:
            program.kill()
            program.wait()


@contextmanager
def machine() -> Generator[Machine]:
    """Make a machine; nothing runs yet, and nothing afterwards."""
    with state() as made:
        yield Machine(made)

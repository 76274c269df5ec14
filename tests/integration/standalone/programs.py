"""`akri` as users run it: programs of their own over one state folder, and brokers that keep account of themselves.

A broker writes a line whenever it starts, and holds a lock for its life: one that finds the lock held reports a violation.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

from akri.clock import SystemClock
from akri.core.instance import Instance
from akri.platforms.local.sqlite.store import SqliteStore
from akri.scheduling.model import Phase

__all__ = ["PATIENCE", "State", "Stored", "akri", "state"]

PATIENCE = 45.0
_AKRI = (sys.executable, "-c", "from akri.cli.main import main; main()")
# Of one device there is one broker on each node.
_BROKER = """\
place=$DEBUG_ECHO_DESCRIPTION@$NODE
exec 9>>"{folder}/$place.lock"
flock -n 9 || echo $place $$ >>{folder}/violations
echo $$ >>{folder}/$DEBUG_ECHO_DESCRIPTION.starts
echo I have $DEBUG_ECHO_DESCRIPTION
exec sleep {number}
"""


def akri(*arguments: str | Path, text: str | None = None, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*_AKRI, *map(str, arguments)]
    return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=55, check=False)


@frozen
class Stored:
    """What a store holds: Instances by device id, phases of pods by name, whether nodes are ready."""

    instances: Mapping[str, Instance]
    pods: Mapping[str, Phase]
    nodes: Mapping[str, bool]

    @property
    def uids(self) -> Mapping[str, str]:
        """Which Instance each device has."""
        return {device: one.metadata.uid for device, one in self.instances.items()}

    @property
    def usages(self) -> Mapping[str, str]:
        """Every slot that is held, and by whom."""
        return {slot: text for one in self.instances.values() for slot, text in one.device_usage.items() if text}


@define(eq=False)
class State:
    """A state folder, what runs on it, and the accounts of its brokers. number: how long brokers sleep, which nobody else does."""

    folder: Path
    number: int = field(factory=lambda: random.randrange(10**7, 10**8))
    programs: list[subprocess.Popen[bytes]] = field(factory=list[subprocess.Popen[bytes]])

    @property
    def path(self) -> Path:
        """The state folder."""
        return self.folder / "s"

    @property
    def accounts(self) -> Path:
        """Where brokers write."""
        return self.folder / "accounts"

    def configuration(self, name: str = "echo", devices: int = 2, **spec: object) -> Path:
        """Write a Configuration of debugEcho whose brokers keep account; devices are `NAME-0` and so on."""
        self.accounts.mkdir(exist_ok=True)
        script = self.accounts / "broker.sh"
        script.write_text(_BROKER.format(folder=self.accounts, number=self.number))
        more = "".join(f"  {key}: {value}\n" for key, value in spec.items())
        file = self.folder / f"{name}.yaml"
        file.write_text(
            f"apiVersion: akri.sh/v0\nkind: Configuration\nmetadata:\n  name: {name}\nspec:\n{more}"
            f"  discoveryHandler:\n    name: debugEcho\n    discoveryDetails: |\n"
            f"      descriptions: {[f'{name}-{index}' for index in range(devices)]}\n"
            "  brokerSpec:\n    brokerPodSpec:\n      restartPolicy: Always\n      containers:\n      - name: broker\n"
            f'        command: ["sh", "{script}"]\n'
            "        env:\n        - name: NODE\n          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}\n"
            '        resources:\n          limits:\n            "{{PLACEHOLDER}}": "1"\n'
        )
        return file

    def start(self, command: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start `akri COMMAND` on this folder; its output goes to a file that `said` reads."""
        words = [*_AKRI, command, "--state", str(self.path), *map(str, arguments)]
        with (self.folder / "output").open("ab") as output:
            program = subprocess.Popen(words, stdout=output, stderr=output)
        self.programs.append(program)
        return program

    def said(self) -> str:
        """What all programs wrote so far."""
        path = self.folder / "output"
        return path.read_text() if path.exists() else ""

    def until(self, condition: Callable[[], bool], what: str = "it is so") -> None:
        """Wait for a condition. Raises TimeoutError with what the programs said."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                message = f"within {PATIENCE} s it did not happen that {what}: {self.said()[-3000:]}"
                raise TimeoutError(message)
            time.sleep(0.05)

    def brokers(self) -> list[int]:
        """Process ids of all brokers that run."""
        wanted = f"sleep\0{self.number}\0".encode()
        found: list[int] = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes() == wanted:
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return sorted(found)

    def starts(self) -> dict[str, list[int]]:
        """Process ids under which the broker of each device was started."""
        return {path.stem: [int(line) for line in path.read_text().split()] for path in sorted(self.accounts.glob("*.starts"))}

    def violations(self) -> list[str]:
        """Brokers that found another one at work on their device."""
        path = self.accounts / "violations"
        return path.read_text().splitlines() if path.exists() else []

    def stored(self) -> Stored:
        """Read what is in the store, as one more process."""

        async def read() -> Stored:
            async with SqliteStore(self.path, SystemClock(), must_exist=True) as store:
                return Stored(
                    {one.device_id or "": one for one in store.instances},
                    {one.metadata.key.name: one.phase for one in store.pods},
                    {str(one.name): one.ready for one in store.nodes},
                )

        return asyncio.run(read())

    def kill(self, program: subprocess.Popen[bytes]) -> None:
        """End a program as a power cut would."""
        program.send_signal(signal.SIGKILL)
        program.wait(PATIENCE)

    def end(self, program: subprocess.Popen[bytes]) -> int:
        """Ask a program to end, and return its exit code."""
        program.send_signal(signal.SIGTERM)
        return program.wait(PATIENCE)


@contextmanager
def state() -> Generator[State]:
    """A new state folder with a short path. Whatever happened, nothing runs on it afterwards."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        made = State(Path(folder))
        try:
            yield made
        finally:
            for program in made.programs:
                program.kill()
                program.wait()
            left = akri("down", "--state", made.path, "--grace", "0") if made.path.exists() else None
            for pid in made.brokers():
                os.kill(pid, signal.SIGKILL)
            assert left is None or left.returncode == 0, left.stderr

"""A state folder that `akri up` runs on, and what is measured of it; see standalone.py."""

from __future__ import annotations

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define

from akri.testing.loop import loop_device

__all__ = ["idle", "plugged", "started"]

PATIENCE: Final = 120.0
INSTANCES: Final = 1000
BROKERS: Final = 100
IDLE_SECONDS: Final = 20.0
PLUGS: Final = 20
_AKRI: Final = (sys.executable, "-c", "from akri.cli.main import main; main()")


@define(eq=False)
class _Folder:
    """A new folder, what `akri up` on it wrote, and when each line was seen."""

    path: Path

    def configuration(self, name: str, handler: str, details: str, broker: Sequence[str] = ()) -> Path:
        """Write a Configuration."""
        command = ", ".join(f'"{word}"' for word in broker)
        container = f"containers: [{{name: main, command: [{command}], resources: {{limits: {{'{{{{PLACEHOLDER}}}}': '1'}}}}}}]"
        more = f"  brokerSpec:\n    brokerPodSpec:\n      {container}\n" if broker else ""
        file = self.path / f"{name}.yaml"
        file.write_text(
            f"apiVersion: akri.sh/v0\nkind: Configuration\nmetadata:\n  name: {name}\nspec:\n"
            f"  discoveryHandler:\n    name: {handler}\n    discoveryDetails: |\n      {details}\n{more}"
        )
        return file

    @contextmanager
    def up(self, *files: Path) -> Generator[_Up]:
        """Run `akri up`; its brokers go on at the end."""
        arguments = [word for file in files for word in ("-f", str(file))]
        began = time.monotonic()
        command = [*_AKRI, "up", "--state", str(self.path / "s"), "--node", "n", *arguments]
        with (self.path / "output").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
            try:
                yield _Up(process, self.path / "output", began)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)


@define(eq=False)
class _Up:
    """A running `akri up`."""

    process: subprocess.Popen[bytes]
    output: Path
    began: float

    def until(self, condition: Callable[[str], bool]) -> float:
        """Wait until what it wrote meets a condition; answer the seconds since its start."""
        while time.monotonic() - self.began < PATIENCE:
            if condition(self.output.read_text(errors="replace")):
                return time.monotonic() - self.began
            time.sleep(0.005)
        sys.exit(f"it did not happen: {self.output.read_text()[-2000:]}")

    def until_counted(self, words: str, number: int) -> float:
        """Wait until it wrote some words so many times; as `until`."""
        return self.until(lambda said: said.count(words) == number)

    @property
    def processor(self) -> float:
        """Processor time so far of all its threads, in seconds."""
        times = [int((thread / "schedstat").read_text("ascii").split()[0]) for thread in Path(f"/proc/{self.process.pid}/task").iterdir()]
        return sum(times) / 1e9

    @property
    def resident(self) -> float:
        """Resident memory in MiB."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def _folder() -> Generator[_Folder]:
    path = Path(tempfile.mkdtemp(prefix="akri-"))
    try:
        yield _Folder(path)
    finally:
        subprocess.run([*_AKRI, "down", "--state", str(path / "s"), "--grace", "0"], check=True, capture_output=True)
        shutil.rmtree(path)


def _number() -> str:
    return str(random.SystemRandom().randrange(10**7, 10**8))


def started(*, processor: bool) -> None:
    """Print the seconds from the start until 1,000 known Instances are served and 100 brokers adopted, or the processor time of it."""
    with _folder() as folder:
        few = folder.configuration("few", "debugEcho", f"descriptions: {[f'few-{one}' for one in range(BROKERS)]}", ("sleep", _number()))
        many = folder.configuration("many", "debugEcho", f"descriptions: {[f'many-{one}' for one in range(INSTANCES - BROKERS)]}")
        with folder.up(few, many) as up:
            up.until(lambda said: said.count("-pod  running") == BROKERS and said.count("device found") == INSTANCES)
            time.sleep(5.0)
        with folder.up() as up:
            seconds = up.until(lambda said: "all that was known is served" in said)
            spent = up.processor
            if f"{INSTANCES:,} devices, {BROKERS} brokers on this node" not in up.output.read_text():
                sys.exit("it did not know what it should")
    print(spent if processor else seconds)


def idle(*, processor: bool) -> None:
    """Print the resident memory of `akri up` with two devices and their brokers, or the processor time it takes, in percent of one core."""
    with _folder() as folder:
        echo = folder.configuration("echo", "debugEcho", "descriptions: [foo0, foo1]", ("sleep", _number()))
        with folder.up(echo) as up:
            up.until(lambda said: said.count("-pod  running") == 2)
            time.sleep(5.0)
            before = up.processor
            if processor:
                time.sleep(IDLE_SECONDS)
            print((up.processor - before) / IDLE_SECONDS * 100 if processor else up.resident)


def plugged(*, broker: bool) -> None:
    """Print the 95th percentile of the seconds from a plugged block device to its Instance, or to its broker's start, of 20."""
    figures: list[float] = []
    with _folder() as folder:
        rule = f'KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{folder.path}/*.img"'
        disks = folder.configuration("disk", "udev", f"udevRules: ['{rule}']", ("sleep", _number()))
        with folder.up(disks) as up:
            up.until(lambda said: "Configuration applied" in said)
            time.sleep(3.0)
            for number in range(1, PLUGS + 1):
                file = folder.path / f"{number}.img"
                file.write_bytes(bytes(1024 * 1024))
                with loop_device(file):
                    begun = time.monotonic() - up.began
                    figures.append(up.until_counted("-pod  running" if broker else "device found", number) - begun)
                up.until_counted("-pod  removed", number)
    print(statistics.quantiles(figures, n=20)[-1])

"""The tutorial is one story: its commands run in order, on a machine that loses its power in the middle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import define, field

from akri.core.device import Local
from akri.core.ids import DeviceId, NodeName
from akri.core.naming import digest
from akri.testing.loop import LoopDevice, loop_device, loop_devices_refused
from tests.docs.examples import ROOT, STORIES, Example, commands, examples
from tests.docs.home import Home, Terminal, home

PAGE = STORIES[0]
NODE = NodeName("home")
NUMBER = 7
"""Of the loop device in the page; here it is another one."""
# What differs from one time to the next: durations, process ids, times, and with them the widths of columns.
VOLATILE = (
    (re.compile(r"\b(\d+(\.\d+)? ?(ms|min|s|m|h|d))+\b"), "0s"),
    (re.compile(r"process \d+"), "process 0"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "00:00:00"),
    (re.compile(r" +"), " "),
    (re.compile(r" +$", re.MULTILINE), ""),
)


def name_of(number: int) -> str:
    return digest(DeviceId(f"/devices/virtual/block/loop{number}"), Local(NODE))


def steady(text: str) -> str:
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text.strip()


@define(eq=False)
class Story:
    """The reader of the page: a machine, a stick, and the terminal in which something runs."""

    machine: Home
    stick: LoopDevice
    terminal: Terminal | None = None
    uids: list[str] = field(factory=list[str])

    def read(self, example: Example) -> None:
        """Do what a block says, and see what it shows."""
        match example.kind, example.more:
            case "console", "":
                for command, code, expected in commands(example):
                    self.run(example, self.here(command), code, self.here(expected))
            case "console", "running":
                self.watch(example)
            case "console", "ctrl-c":
                assert self.terminal is not None
                self.terminal.turn()
                self.terminal.interrupt()
                self.sees(example, self.here(example.body).splitlines())
            case "console", "reboot":
                self.machine.cut_power()
                with suppress(OSError):  # nothing is behind it
                    self.stick.detach()
                self.machine.boot()
            case kind, "":
                assert kind in {"python", "yaml"}, f"{example}: a story has no examples of kind {kind!r}"
                name = example.body.partition("\n")[0].removeprefix("# ")
                (self.machine.working_folder / name).write_text(self.here(example.body), encoding="utf-8")
            case _:
                raise AssertionError(example)

    def run(self, example: Example, command: str, code: int, expected: str) -> None:
        """Run a command to its end."""
        self.prepare(command)
        got, said = self.machine.run(command)
        assert (got, steady(said)) == (code, steady(expected)), f"{example}: {command}\n{said}"
        if command == "akri get instances":
            self.uids.append(self.machine.run("akri get instances -o json | grep '\"uid\"'")[1])

    def watch(self, example: Example) -> None:
        """Start a command that goes on, or go on with the one that runs, until it has written all that is shown, in any order."""
        lines = self.here(example.body).splitlines()
        if lines[0].startswith("$ "):
            self.terminal = self.machine.start(lines.pop(0).removeprefix("$ "))
        self.sees(example, lines)

    def sees(self, example: Example, lines: list[str]) -> None:
        """Wait until the terminal shows these lines."""
        terminal = self.terminal
        assert terminal is not None, f"{example}: nothing runs"
        wanted = {steady(line) for line in lines}
        self.machine.until(lambda: wanted <= set(map(steady, terminal.said().splitlines())), f"{example} is seen", terminal.said)

    def prepare(self, command: str) -> None:
        """Let an installation find what it needs without a network: what the tests run with."""
        if "pip install" in command:
            packages = next(path for path in sys.path if path.endswith("site-packages"))
            (target,) = self.machine.place(Path("/opt/akri")).glob("lib/python3*/site-packages")
            (target / "dependencies.pth").write_text(f"{packages}\n")

    def here(self, text: str) -> str:
        """Say it as it is on this machine."""
        text = text.replace(f"/dev/loop{NUMBER}", str(self.stick.node)).replace(f"block/loop{NUMBER}", f"block/loop{self.stick.number}")
        return text.replace(name_of(NUMBER), name_of(self.stick.number))


def environment(folder: Path) -> Mapping[str, str]:
    """A root shell's, with the Python of the tests first, and nobody on the network."""
    python = Path(os.path.realpath(sys.executable)).parent
    return {
        "PATH": f"{python}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "AKRI_TUTORIAL": str(folder),
    }


def clone(folder: Path) -> Path:
    """What somebody has who cloned the project, with what is not committed yet."""
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "-c", "-o", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def marked(mark: str) -> list[int]:
    """Processes with these words in their environment."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(loop_devices_refused()), reason=loop_devices_refused() or "-")
def test_the_tutorial_is_true_from_the_first_command_to_the_last(tmp_path: Path) -> None:
    sources = clone(tmp_path / "clone")
    with loop_device() as stick, home(tmp_path, environment(tmp_path)) as machine:
        story = Story(machine, stick)
        machine.run(f"cd {sources}")
        for example in examples(PAGE):
            story.read(example)
        before, after = story.uids
        assert before == after != "", "after the power cut it is the same Instance"
        assert machine.run("ls /run") == (0, "udev\n" if Path("/run/udev").is_dir() else "")
        left: Callable[[], list[int]] = lambda: marked("AKRI_CONTAINER=/var/lib/akri/local")  # noqa: E731
        machine.until(lambda: left() == [], "no process of a broker is left")
    assert marked(f"AKRI_TUTORIAL={tmp_path}") == []


def test_the_names_in_the_page_are_those_that_its_stick_would_have() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"\bstick-([0-9a-f]{6})\b", text)) == {name_of(NUMBER)}
    assert text.count("\n```") == 2 * len(examples(PAGE)), "a fence that is not closed, or indented"


@pytest.mark.skipif(bool(loop_devices_refused()), reason=loop_devices_refused() or "-")
def test_a_story_that_is_not_true_is_found_and_a_power_cut_spares_nobody(tmp_path: Path) -> None:
    with loop_device() as stick, home(tmp_path, environment(tmp_path)) as machine:
        story = Story(machine, stick)
        for body in ("$ echo a\nb\n", "$ false\n"):
            with pytest.raises(AssertionError):
                story.read(Example(PAGE, 1, "console", body))
        story.read(Example(PAGE, 1, "console", "$ cd /opt/akri && export A=1\n$ pwd; echo $A; uname -n\n/opt/akri\n1\nhome\n"))
        first = machine.run("cat /proc/sys/kernel/random/boot_id")
        story.read(Example(PAGE, 1, "console", "$ setsid sleep 87654 >/dev/null 2>&1 & exit 0\n"))
        story.read(Example(PAGE, 1, "console", "$ echo late; exec sleep 87655\nlate\n", "running"))
        assert marked(f"AKRI_TUTORIAL={tmp_path}") != []
        story.read(Example(PAGE, 1, "console", "$ reboot\n", "reboot"))
        assert marked(f"AKRI_TUTORIAL={tmp_path}") == []
        assert first != machine.run("cat /proc/sys/kernel/random/boot_id")
        assert machine.run("echo $A") == (0, "\n")


@pytest.mark.parametrize("age", ["5s", "5m10s", "3h20m", "12d", "0.2 s", "250 ms"])
def test_ages_differ_from_one_time_to_the_next(age: str) -> None:
    assert steady(f"stick  1/1   {age}  ") == steady("stick 1/1 1m") != steady(f"stick  1/2   {age}")

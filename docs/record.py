"""Draws the pictures of the commands: `python docs/record.py` runs the real program in a terminal and writes docs/pictures/*.svg.

One machine without a cluster is started in a new state folder, with a Configuration that goes well and one that does not. Ages
and other words that differ from run to run are replaced by fixed ones of the same width, so that a picture changes only if
the program does.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Final

import pexpect
from rich.console import Console
from rich.text import Text

__all__ = ["PICTURES", "record", "words"]

PICTURES: Final = Path(__file__).parent / "pictures"
"""Where the pictures are."""
_AKRI: Final = str(Path(sys.executable).with_name("akri"))
_COLUMNS: Final = 108
_PATIENCE: Final = 120.0
_OLD: Final = 10.0
"""Seconds after which every age has two digits."""
_CONFIGURATIONS: Final = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: echo
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions: [foo0, foo1, foo2]
  capacity: 2
  brokerSpec:
    brokerPodSpec:
      containers:
      - name: broker
        command: [sleep, infinity]
        resources:
          limits:
            "{{PLACEHOLDER}}": 1
---
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: cameras
spec:
  discoveryHandler:
    name: thermometer
    discoveryDetails: ""
"""
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TEXT: Final = re.compile(r"<text [^>]*>([^<]*)</text>")
_AGE: Final = re.compile(r"\b(?:\d+[smhd])+\b")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def record(folder: Path) -> Mapping[str, str]:
    """Record all pictures into a folder; what each shows, by its name. Raises TimeoutError if the machine does not come up."""
    shown: dict[str, str] = {}
    with _machine() as environment:
        for name, words_ in {"get": ["get", "all"], "explain": ["explain", "cameras"]}.items():
            shown[name] = _run(words_, environment)
        shown["top"] = _frame(environment)
    folder.mkdir(parents=True, exist_ok=True)
    for name, said in shown.items():
        picture = _picture(name, said)
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
    return {name: words(folder / f"{name}.svg") for name in shown}


def words(picture: Path) -> str:
    """Read the words of a picture, in the order of its lines."""
    return "\n".join(unescape(text).replace("\xa0", " ").strip() for text in _TEXT.findall(picture.read_text(encoding="utf-8")))


@contextmanager
def _machine() -> Generator[dict[str, str]]:
    """Run `akri up` until its brokers run; give the environment in which the commands find it. At the end nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        state = Path(folder) / "state"
        file = Path(folder) / "configurations.yaml"
        file.write_text(_CONFIGURATIONS, encoding="utf-8")
        variables = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
        environment = {**variables, "AKRI_STATE": str(state), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        running = subprocess.Popen([_AKRI, "up", "-f", str(file), "--node", "gateway"], env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait(lambda: _settled(environment))
            time.sleep(_OLD)
            yield environment
        finally:
            subprocess.run([_AKRI, "down", "--grace", "1"], env=environment, stdout=subprocess.DEVNULL, check=False, timeout=_PATIENCE)
            running.terminate()
            running.wait(_PATIENCE)


def _settled(environment: Mapping[str, str]) -> bool:
    done = subprocess.run([_AKRI, "get", "akric"], env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    return "3/3" in done.stdout and "HandlerMissing" in done.stdout


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the machine did not come up")
        time.sleep(0.5)


def _run(command: list[str], environment: dict[str, str]) -> str:
    child: pexpect.spawn[str] = pexpect.spawn(
        _AKRI, command, env=environment, dimensions=(60, _COLUMNS), encoding="utf-8", timeout=_PATIENCE, echo=False
    )
    child.expect(pexpect.EOF)
    child.close()
    return (child.before or "").replace("\r\n", "\n").rstrip()


def _frame(environment: dict[str, str]) -> str:
    """Take the picture that `akri top` last drew before it was ended; each begins at the upper left corner."""
    child: pexpect.spawn[str] = pexpect.spawn(
        _AKRI, ["top"], env=environment, dimensions=(30, _COLUMNS), encoding="utf-8", timeout=_PATIENCE, echo=False
    )
    child.expect("q quits")
    said = f"{child.before}q quits"
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    return said.rpartition("\x1b[H")[2].replace("\r\n", "\n")


def _picture(name: str, said: str) -> str:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard", legacy_windows=False)
    lines = [Text.from_ansi(_steady(line), end="") for line in said.split("\n")]
    for line in lines:
        line.rstrip()
        console.print(line, overflow="fold")
    drawn = console.export_svg(title=f"akri {name}", unique_id=f"akri-{name}")
    # The program's font is not fetched from anywhere: whoever looks at it has one of fixed width.
    return _FONT_FACE.sub("", drawn)


def _steady(line: str) -> str:
    """Replace what differs from run to run: ages, times."""
    line = _TIME.sub("2030-01-02T03:04:05Z", line)
    return _AGE.sub(lambda age: "12s".ljust(len(age[0]))[: max(len(age[0]), 3)], line)


if __name__ == "__main__":
    record(PICTURES)

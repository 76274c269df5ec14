"""Finds the examples in our pages and runs them. docs/index.md tells writers of pages what each kind of example means."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["COVERED", "ROOT", "STORIES", "Example", "commands", "examples", "pages", "run_command", "run_page"]

ROOT: Final = Path(__file__).parents[2]
STORIES: Final = (ROOT / "docs" / "tutorial.md",)
"""Pages whose examples need a machine of their own: test_tutorial.py."""
COVERED: Final[Mapping[str, tuple[str, str]]] = {
    "./dev demo": ("tests/integration/standalone/test_demo.py", "samples/demo.py"),
    "./dev test": (".ci/run", "./dev test"),
    "./dev check": ("tests/guards/test_dev.py", "check"),
    "./dev fix": ("tests/guards/test_dev.py", "fix"),
    "./dev bench": ("tests/guards/test_dev.py", "bench"),
    "./dev mutate": ("tests/guards/test_dev.py", "mutate"),
    "./dev help": ("tests/guards/test_dev.py", "help"),
    "cd samples/handlers/go && go build -o folder-handler .": ("tests/integration/conformance/go_handler.py", '"build"'),
    """akri conformance --details '{"folder": "/run/cameras"}' -- ./folder-handler""": (
        "tests/integration/conformance/test_our_handlers.py",
        "folder_handler()",
    ),
    "akri up -f echo.yaml": ("tests/integration/standalone/test_up.py", '"up"'),
}
"""Commands that are too long for a page's test: the file that runs each, and words in it that show so."""
_GO: Final = ROOT / "samples" / "handlers" / "go" / "main.go"
_SERVED: Final = "served"
_FENCE: Final = re.compile(r"^```(?P<kind>[\w-]*)(?P<more>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE: Final = re.compile(r"^# (?P<name>[\w-]+\.(?:yaml|py))$")
_PROMPT: Final = "$ "
_ANYTHING: Final = "..."
_EXIT: Final = re.compile(r"  # exit (?P<code>\d+)$")


@frozen
class Example:
    """One fenced block: its kind, what is in it, and the line of the page where it starts. more: words after the kind."""

    page: Path
    line: int
    kind: str
    body: str
    more: str = ""

    def __str__(self) -> str:
        """Print where it is."""
        return f"{self.page.name}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read, but for those that are one story."""
    return [page for page in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))) if page not in STORIES]


def examples(page: Path) -> list[Example]:
    """Fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Example(page, text.count("\n", 0, found.start()) + 1, found["kind"], found["body"], found["more"].strip())
        for found in _FENCE.finditer(text)
    ]


def run_page(page: Path, folder: Path) -> None:
    """Run a page's examples in order, in one folder, and compare what they print with what the page says."""
    found = examples(page)
    environment: dict[str, str] = {}
    for example, following in zip(found, [*found, None][1:], strict=True):
        _keep(example, folder)
        match example.kind:
            case "env":
                environment = dict(line.split("=", 1) for line in example.body.splitlines())
            case "python" if example.more == _SERVED:
                _check_served(example, found)
            case "python":
                expected = following.body if following and following.kind == "text" else None
                _run_python(example, folder, environment, expected)
            case kind:
                assert kind in _CHECKS, f"{example}: examples of kind {kind!r} are not tested: docs/index.md lists those that are"
                _CHECKS[kind](example, folder)


def _check_shell(example: Example, _folder: Path) -> None:
    uncovered = [line for line in example.body.splitlines() if _command(line) not in COVERED]
    assert not uncovered, f"{example}: no test runs {uncovered}: use console, or name the test in COVERED"


def _check_go(example: Example, _folder: Path) -> None:
    assert example.body in _GO.read_text(encoding="utf-8"), f"{example}: is not a part of {_GO.name}"


def _show(_example: Example, _folder: Path) -> None:
    """Text is compared with what the block before it prints."""


def _command(line: str) -> str:
    return line.partition("#")[0].strip()


def _keep(example: Example, folder: Path) -> None:
    """An example whose first line is a comment with a file name is kept under that name for those that follow."""
    first = example.body.partition("\n")[0]
    if name := _FILE.match(first):
        (folder / name["name"]).write_text(example.body, encoding="utf-8")


def run_command(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command with our environment's programs first, its words and errors in one text."""
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})}
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=50,
    )


def _check_served(example: Example, page: Sequence[Example]) -> None:
    """A program that runs until it is stopped is kept, and a console of the page runs it."""
    name = _FILE.match(example.body.partition("\n")[0])
    assert name is not None, f"{example}: a served program needs a file name in its first line"
    compile(example.body, name["name"], "exec")
    assert any(one.kind == "console" and f"python {name['name']}" in one.body for one in page), f"{example}: no console runs it"


def _run_python(example: Example, folder: Path, environment: Mapping[str, str], expected: str | None) -> None:
    done = run_command([sys.executable, "-c", example.body], folder, environment)
    assert done.returncode == 0, f"{example}:\n{done.stdout}"
    if expected is not None:
        assert done.stdout == expected, str(example)


def _run_console(example: Example, folder: Path) -> None:
    for command, code, expected in commands(example):
        done = run_command(["sh", "-c", command], folder)
        assert done.returncode == code, f"{example}: {command}\n{done.stdout}"
        pattern = ".*".join(re.escape(part) for part in expected.split(_ANYTHING))
        assert re.fullmatch(pattern, done.stdout, re.DOTALL), f"{example}: {command} printed\n{done.stdout}"


def commands(example: Example) -> Iterator[tuple[str, int, str]]:
    """Give the commands of a console with the exit codes and the words that they should end with."""
    for part in f"\n{example.body}".split(f"\n{_PROMPT}")[1:]:
        command, _, expected = part.partition("\n")
        code = _EXIT.search(command)
        words = f"{expected.rstrip()}\n" if expected.strip() else ""
        yield _EXIT.sub("", command), int(code["code"]) if code else 0, words


def _check_yaml(example: Example, folder: Path) -> None:
    """Configurations and Instances must be valid; other documents are not ours to judge, and pages show none."""
    file = folder / f"line-{example.line}.yaml"
    file.write_text(example.body, encoding="utf-8")
    done = run_command(["akri", "validate", file.name], folder)
    assert done.returncode == 0, f"{example}: {shlex.join(['akri', 'validate'])}\n{done.stdout}"


_CHECKS: Final[Mapping[str, Callable[[Example, Path], None]]] = {
    "console": _run_console,
    "go": _check_go,
    "sh": _check_shell,
    "text": _show,
    "yaml": _check_yaml,
}
"""What is done with the kinds of examples that need nothing but themselves."""

"""`akri edit` with an editor that is a script: what it shows, and what becomes of what was written."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.editing import checked, heading, without_heading
from akri.cli.group import cli
from akri.cli.where import Opener
from akri.core.codec import read_configuration
from akri.core.configuration import Configuration
from akri.core.errors import Problem
from akri.ports import UserPlatform
from tests.unit.cli.scene import Scene, configuration_document, key


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files of this process go where the test looks."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


class Editor:
    """A script that does one thing at each call, and keeps what it was shown."""

    def __init__(self, folder: Path, *steps: str) -> None:
        self.folder = folder
        cases = "\n".join(f"{number}) {step or ':'};;" for number, step in enumerate(steps))
        self.script = folder / "editor"
        self.script.write_text(
            f'#!/bin/sh\nnumber=$(ls {folder} | grep -c seen)\ncp "$1" {folder}/seen.$number\ncase $number in\n{cases}\nesac\n'
        )
        self.script.chmod(0o700)

    def run(self, scene: Scene, *words: str, opener: Opener | None = None) -> Result:
        environment = {"VISUAL": "", "EDITOR": str(self.script)}
        return CliRunner(env=environment).invoke(cli, ["edit", *words], obj=opener or scene.opener)

    def seen(self, number: int) -> str:
        return (self.folder / f"seen.{number}").read_text()


def capacity(scene: Scene) -> int:
    stored = scene.store.configuration(key("echo"))
    assert isinstance(stored, Configuration)
    return stored.capacity


def test_what_is_written_is_stored(tmp_path: Path) -> None:
    scene, editor = Scene(), Editor(tmp_path, "sed -i 's/capacity: 2/capacity: 4/' $1")
    done = editor.run(scene, "echo")

    assert (done.exit_code, done.stdout) == (0, "configuration.akri.sh/echo edited\n")
    assert capacity(scene) == 4
    assert "    discoveryDetails: |\n      # two of them\n" in editor.seen(0)
    assert "uid" not in editor.seen(0)


def test_mistakes_open_the_editor_again_and_are_named(tmp_path: Path) -> None:
    scene = Scene()
    editor = Editor(tmp_path, "sed -i 's/capacity: 2/capacity: 0/' $1", "sed -i 's/capacity: 0/capacity: 3/' $1")
    done = editor.run(scene, "akric/echo")

    assert (done.exit_code, capacity(scene)) == (0, 3)
    said = re.search(r"#   line (\d+): spec\.capacity: 0 is not valid", editor.seen(1))
    assert said is not None
    assert editor.seen(1).splitlines()[int(said[1]) - 1] == "  capacity: 0"


def test_leaving_without_a_change_changes_nothing(tmp_path: Path) -> None:
    scene = Scene()
    done = Editor(tmp_path, "").run(scene, "echo")

    assert (done.exit_code, done.stdout) == (0, "Nothing was changed.\n")
    assert list(tmp_path.glob("akri-edit-*")) == []


def test_giving_up_keeps_what_was_written(tmp_path: Path) -> None:
    scene = Scene()
    done = Editor(tmp_path, "sed -i 's/capacity: 2/capacity: many/' $1", "").run(scene, "echo")

    kept = list(tmp_path.glob("akri-edit-*"))
    assert done.exit_code == 1
    assert done.stderr == f"Error: what was written was not stored; it is kept in {kept[0]}\n"
    assert "capacity: many" in kept[0].read_text()
    assert capacity(scene) == 2


def test_a_name_cannot_be_changed(tmp_path: Path) -> None:
    editor = Editor(tmp_path, "sed -i 's/name: echo/name: other/' $1", "")

    assert editor.run(Scene(), "echo").exit_code == 1
    assert "it is default/other now: expected default/echo, names cannot be changed" in editor.seen(1)


def test_a_change_of_somebody_else_is_not_lost_unseen(tmp_path: Path) -> None:
    scene = Scene()
    editor = Editor(tmp_path, "sed -i 's/capacity: 2/capacity: 4/' $1", "echo '# mine' >> $1")
    done = editor.run(scene, "echo", opener=meddling(scene))

    assert done.exit_code == 0
    assert "somebody else changed this Configuration meanwhile" in editor.seen(1)
    assert capacity(scene) == 4


def meddling(scene: Scene) -> Opener:
    """Let somebody else change the Configuration while the editor is open: before the second look."""
    looks = iter(range(100))

    @asynccontextmanager
    async def opened(_state: Path) -> AsyncGenerator[UserPlatform]:
        if next(looks) == 1:
            await scene.user.apply(read_configuration(configuration_document("echo", capacity=9)))
        yield scene.user

    return Opener(opened)


@pytest.mark.parametrize(("body", "said"), [("", "expected a Configuration"), ("a: b", "is missing"), ("{", "not valid YAML")])
def test_what_is_no_configuration_is_a_problem(body: str, said: str) -> None:
    found, problems = checked(body, key("echo"))

    assert found is None
    assert any(said in str(problem) for problem in problems)


def test_the_heading_is_left_out_again() -> None:
    above = heading(key("echo"), [Problem("", "a line\nand \x1b[31manother")])

    assert all(line.startswith("#") for line in above.splitlines())
    assert "\x1b" not in above
    assert without_heading(f"{above}a: b\n# c\n") == "a: b\n# c\n"


def test_one_that_is_not_there_is_named() -> None:
    done = CliRunner().invoke(cli, ["edit", "nope"], obj=Scene().opener)

    assert (done.exit_code, done.stderr) == (1, "Error: there is no configuration nope in namespace default\n")
    assert CliRunner().invoke(cli, ["edit", "one", "two"], obj=Scene().opener).exit_code == 2

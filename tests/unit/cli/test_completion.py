"""`akri completion`, and what a shell offers after a Tab."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from akri.cli.group import cli
from akri.cli.where import Opener
from akri.core.errors import OutcomeUnknownError
from akri.ports import UserPlatform
from tests.unit.cli.scene import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def offered(opener: Opener, *words: str) -> list[str]:
    """What there is after some words, the last of which is not complete."""
    *before, incomplete = words
    return [item.value for item in ShellComplete(cli, {"obj": opener}, "akri", "_AKRI_COMPLETE").get_completions(before, incomplete)]


def test_commands_and_options(scene: Scene) -> None:
    assert offered(scene.opener, "de") == ["delete", "describe"]
    assert "--watch" in offered(scene.opener, "get", "--")
    assert offered(scene.opener, "get", "akrii", "-o", "w") == ["wide"]


def test_kinds_and_then_names_of_that_kind(scene: Scene) -> None:
    assert offered(scene.opener, "get", "") == ["all", "brokers", "configurations", "instances", "nodes", "reports"]
    assert offered(scene.opener, "get", "akrii", "") == ["echo-8120fe", "echo-a19705"]
    assert offered(scene.opener, "describe", "nodes", "node-b") == ["node-b"]
    assert offered(scene.opener, "get", "things", "") == []


def test_names_alone(scene: Scene) -> None:
    assert offered(scene.opener, "env", "echo-8") == ["echo-8120fe"]
    assert offered(scene.opener, "delete", "") == ["echo"]
    assert offered(scene.opener, "edit", "-n", "site", "") == ["cameras"]
    assert offered(scene.opener, "get", "-A", "akric", "") == ["cameras", "echo"]
    assert "node-a-echo-8120fe-pod" in offered(scene.opener, "logs", "")


def test_where_nobody_can_be_asked_nothing_is_offered() -> None:
    class Away(AbstractAsyncContextManager[UserPlatform]):
        async def __aenter__(self) -> UserPlatform:
            raise OutcomeUnknownError("away")

        async def __aexit__(self, *_: object) -> None:
            """Never reached."""

    assert offered(Opener(lambda _: Away()), "env", "") == []
    assert offered(Opener(lambda _: Away()), "get", "akrii", "") == []


@pytest.mark.parametrize(("shell", "words"), [("bash", "complete -o"), ("zsh", "#compdef akri"), ("fish", "complete --no-files")])
def test_each_shell_has_its_script(shell: str, words: str, tmp_path: Path) -> None:
    done = CliRunner(env={"PATH": str(tmp_path)}).invoke(cli, ["completion", shell])

    assert done.exit_code == 0
    assert words in done.stdout
    assert "_AKRI_COMPLETE" in done.stdout
    assert done.stderr == ""


def test_another_shell_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2

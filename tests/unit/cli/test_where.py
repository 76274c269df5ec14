"""Where commands look, and the one place where errors become sentences."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import Exit, cli
from akri.cli.where import Opener, default_state
from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.ports import UserPlatform
from tests.guards.tree import ROOT
from tests.unit.cli.scene import Scene


class Failing(AbstractAsyncContextManager[UserPlatform]):
    """A platform that cannot be opened."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def __aenter__(self) -> UserPlatform:
        raise self.error

    async def __aexit__(self, *_: object) -> None:
        """Never reached."""


def run(error: BaseException, *words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli, ["get", "akrii", *words], obj=Opener(lambda _: Failing(error)))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OutcomeUnknownError("the store is away"), "the store is away"),
        (NotPermittedError("not \x1b[31mgranted"), "not \\x1b[31mgranted"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied"),
        (sqlite3.OperationalError("disk I/O error"), "the store cannot be used: disk I/O error"),
        (ExceptionGroup("both", [OutcomeUnknownError("one"), ExceptionGroup("", [OutcomeUnknownError("two")])]), "one; two"),
    ],
)
def test_what_the_world_does_is_one_sentence(error: Exception, sentence: str) -> None:
    done = run(error)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {sentence}\n")


def test_a_fault_of_our_own_says_where_it_can_be_reported() -> None:
    done = run(KeyError("surprise"))

    assert done.exit_code == 1
    assert done.stderr == (
        "Error: a fault of akri itself: KeyError: 'surprise'. Please report it, with what is printed if AKRI_DEBUG=1 is set\n"
    )


def test_the_trace_is_there_for_those_who_ask() -> None:
    assert isinstance(run(KeyError("surprise"), "-v").exception, KeyError)
    assert isinstance(run(KeyError("surprise"), AKRI_DEBUG="1").exception, KeyError)
    assert isinstance(run(OutcomeUnknownError("away"), "-v").exception, OutcomeUnknownError)


def test_an_interruption_has_an_exit_code_of_its_own() -> None:
    assert run(KeyboardInterrupt()).exit_code == Exit.INTERRUPTED


def test_the_folder_comes_from_the_option_then_the_environment_then_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    scene = Scene()

    @asynccontextmanager
    async def opened(state: Path) -> AsyncGenerator[UserPlatform]:
        asked.append(state)
        yield scene.user

    runner = CliRunner(env={"AKRI_STATE": str(tmp_path / "variable")})
    runner.invoke(cli, ["get", "akrii", "--state", str(tmp_path / "option")], obj=Opener(opened))
    runner.invoke(cli, ["get", "akrii"], obj=Opener(opened))
    CliRunner(env={"AKRI_STATE": None}).invoke(cli, ["get", "akrii"], obj=Opener(opened))
    assert asked == [tmp_path / "option", tmp_path / "variable", default_state()]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/x/state")
    assert default_state() == Path("/x/state/akri")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/x/home")
    assert default_state() == Path("/x/home/.local/state/akri")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_state() == Path("/var/lib/akri/local")


@pytest.mark.parametrize(
    "command", [["get", "akrii"], ["describe", "x"], ["env", "x"], ["logs", "x"], ["top"], ["delete", "x"], ["edit", "x"]]
)
def test_a_folder_without_a_store_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*command, "--state", str(tmp_path)])

    assert done.exit_code == 1
    assert (
        done.stderr == f"Error: {tmp_path} holds no state of akri: begin it with 'akri up', or name its folder with --state or AKRI_STATE\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_went_away_ends_a_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tests.integration.commands.program", "get", "all", "-A"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)

    assert (done.returncode, done.stderr) == (Exit.READER_GONE, "")

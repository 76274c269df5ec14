"""The `akri` command starts fast, lists what there is, and says what is missing instead of failing with a stack trace."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import click
from click.testing import CliRunner

from akri.cli.group import ENTRY_POINTS, CommandGroup, cli


def group(**entries: str) -> CommandGroup:
    made = CommandGroup("akri")
    made.entries = {name: EntryPoint(name, value, ENTRY_POINTS) for name, value in entries.items()}
    return made


def test_validate_is_always_there() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert "validate" in result.output


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(cli, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("akri, version ")


def test_a_command_that_does_not_exist_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["no-such-command"])
    assert result.exit_code == 2
    assert "No such command 'no-such-command'" in result.output


def test_commands_come_from_entry_points() -> None:
    result = CliRunner().invoke(group(check="akri.cli.validate:validate"), ["check", "--help"])
    assert result.exit_code == 0
    assert "Check the Configurations in FILEs" in result.output


def test_a_command_that_cannot_be_loaded_says_so() -> None:
    commands = group(gone="akri.no_such_module:x", lost="akri.cli.group:no_such_name", odd="akri.cli.group:ENTRY_POINTS")
    listed = CliRunner().invoke(commands, ["--help"])
    assert listed.exit_code == 0
    assert listed.output.count("(not available: ") == 3
    for name, words in (("gone", "No module named 'akri.no_such_module'"), ("lost", "no_such_name"), ("odd", "is no click command")):
        result = CliRunner().invoke(commands, [name, "--some", "argument"])
        assert result.exit_code == 1
        assert f"Error: '{name}' cannot be used: " in result.output
        assert words in result.output
        assert "pip install 'akri[all]'" in result.output


def test_commands_are_loaded_when_they_are_used() -> None:
    assert group().get_command(click.Context(cli), "x") is None
    program = "import sys, akri.cli.group; sys.exit('akri.cli.validate' in sys.modules or 'ruamel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_click_the_command_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from akri.cli.main import main; main()"
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "akri: the Python package 'click' is missing: pip install 'akri[cli]'\n"


def test_main_runs_the_command() -> None:
    program = "import sys; sys.argv = ['akri', 'validate', '-']; from akri.cli.main import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, input="kind: Secret\napiVersion: v1\n"
    )
    assert (result.returncode, result.stdout) == (0, "standard input:1: 'Secret' is not a Configuration and was not checked\n")

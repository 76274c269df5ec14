"""docs/commands.md is what the commands say of themselves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import cast

import click
import pytest

from akri.cli.group import cli
from tests.docs.examples import ROOT


def written() -> str:
    spec = importlib.util.spec_from_file_location("write_commands", ROOT / "docs" / "write_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["write_commands"] = module
    spec.loader.exec_module(module)
    return cast("Callable[[], str]", module.page)()


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == written(), "it is old: python docs/write_commands.py"


def commands() -> list[str]:
    return cli.list_commands(click.Context(cli))


@pytest.mark.parametrize("name", commands())
def test_each_help_has_examples_and_exit_codes(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    said = command.get_help(click.Context(command, info_name=name, parent=click.Context(cli, info_name="akri")))

    assert "Examples" in said
    assert "Exit codes: " in said
    assert f"  akri {name}" in said or f"$(akri {name}" in said
    assert len(command.get_short_help_str(200)) > 10

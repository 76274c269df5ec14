"""The group of commands: our own, and those that runtimes add through the entry points `akri.commands`.

A command's module is loaded when the command is used, so that `akri validate` starts without what `akri up` needs.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

__all__ = ["ENTRY_POINTS", "CommandGroup", "cli"]

ENTRY_POINTS: Final = "akri.commands"
"""Entry-point group: the name is the command's, the object a click command."""
_OWN: Final = {name: EntryPoint(name, f"akri.cli.{name}:{name}", ENTRY_POINTS) for name in ("conformance", "discover", "validate")}


class CommandGroup(click.Group):
    """Commands by name, loaded at first use."""

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Every command that there is, loaded or not."""
        return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)} | _OWN

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in alphabetical order."""
        return sorted(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; None if there is none of this name. One that cannot be loaded says so when it is run."""
        entry = _OWN.get(cmd_name) or self.entries.get(cmd_name)
        if entry is None:
            return None
        try:
            command = getattr(import_module(entry.module), entry.attr)
        except (ImportError, AttributeError) as error:
            return _unavailable(entry.name, error)
        return command if isinstance(command, click.Command) else _unavailable(entry.name, TypeError(f"{entry.value} is no click command"))


def _unavailable(name: str, error: Exception) -> click.Command:
    def explain() -> None:
        message = f"'{name}' cannot be used: {error}. Something is not installed: pip install 'akri[all]'"
        raise click.ClickException(message)

    any_arguments = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=explain, short_help=f"(not available: {error})", context_settings=any_arguments)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="akri", prog_name="akri")
def cli() -> None:
    """Find leaf devices and share them between workloads."""

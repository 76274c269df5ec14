"""The group of commands: our own, and those that runtimes add through the entry points `akri.commands`.

A command's module is loaded when the command is used, so that `akri validate` starts without what `akri up` needs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

import click

from akri.cli.text import harmless
from akri.cli.where import VERBOSE

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["DEBUG_VARIABLE", "ENTRY_POINTS", "CommandGroup", "Exit", "cli"]

ENTRY_POINTS: Final = "akri.commands"
"""Entry-point group: the name is the command's, the object a click command."""
DEBUG_VARIABLE: Final = "AKRI_DEBUG"
"""Environment variable that asks for stack traces, as -v does."""
_NAMES: Final = (
    "apply",
    "completion",
    "conformance",
    "delete",
    "describe",
    "discover",
    "doctor",
    "down",
    "edit",
    "env",
    "explain",
    "get",
    "logs",
    "top",
    "validate",
)

_BRIEF: Final = frozenset({"apply", "completion", "delete", "describe", "edit", "env", "explain", "get", "logs", "top"})
"""Commands that end soon; those of them that follow something switch the garbage collection on when they begin to."""


class Exit(IntEnum):
    """Exit codes that every command has; some have more, which their help lists."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130
    READER_GONE = 141


class CommandGroup(click.Group):
    """Commands by name, loaded at first use. The one place where an error becomes a sentence and an exit code."""

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """The commands of others, loaded or not."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and our own commands do not need it

        return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in alphabetical order."""
        return sorted({*self.entries, *_NAMES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; None if there is none of this name. One that cannot be loaded says so when it is run."""
        if cmd_name not in _BRIEF:
            gc.enable()  # `main` switched it off
        if cmd_name in _NAMES:
            return _loaded(cmd_name, f"akri.cli.{cmd_name}", cmd_name)
        entry = self.entries.get(cmd_name)
        return None if entry is None else _loaded(entry.name, entry.module, entry.attr)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; say in one sentence what went wrong."""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (KeyboardInterrupt, EOFError):
            click.echo(err=True)
            raise click.exceptions.Exit(Exit.INTERRUPTED) from None
        except Exception as error:
            if ctx.meta.get(VERBOSE) or os.environ.get(DEBUG_VARIABLE):
                raise
            causes = list(_causes(error))
            if any(isinstance(cause, BrokenPipeError) for cause in causes):
                _silence()
                raise click.exceptions.Exit(Exit.READER_GONE) from None
            raise click.ClickException("; ".join(dict.fromkeys(map(_sentence, causes)))) from None
        return result


def _loaded(name: str, module: str, attribute: str) -> click.Command:
    try:
        command = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        return _unavailable(name, error)
    return command if isinstance(command, click.Command) else _unavailable(name, TypeError(f"{module}:{attribute} is no click command"))


def _causes(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for one in cast("ExceptionGroup[Exception]", error).exceptions:
            yield from _causes(one)
    else:
        yield error


def _sentence(error: Exception) -> str:
    """Say what happened: errors that the world causes in their own words, all others as a fault of this program."""
    from akri.core.errors import AkriError  # noqa: PLC0415 - only now

    if isinstance(error, OSError) and error.strerror:
        return harmless(": ".join(str(part) for part in (error.filename, error.strerror) if part))
    if isinstance(error, AkriError | OSError):
        return harmless(str(error))
    if type(error).__module__ == "sqlite3":
        return harmless(f"the store cannot be used: {error}")
    told = harmless(f"{type(error).__name__}: {error}")
    return f"a fault of akri itself: {told}. Please report it, with what is printed if {DEBUG_VARIABLE}=1 is set"


def _silence() -> None:
    """Let nothing complain at exit that the standard output is closed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


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

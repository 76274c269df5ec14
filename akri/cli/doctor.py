"""`akri doctor`: looks at everything that 'akri up' needs on this machine, and says what to do where it is not well."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import click

from akri.cli.where import state_option

__all__ = ["doctor"]

_EPILOG: Final = """\b
Examples:
  akri doctor
  akri doctor --state /srv/akri
  sudo -u akri akri doctor -o json

\b
It changes nothing, and it looks with the eyes of the user who runs it: for a service, run it as the service's user.

\b
Exit codes: 0 there is no problem, 1 there is one (with --strict: or a warning), 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@state_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
@click.option("--strict", is_flag=True, help="Let the exit code tell of warnings as well.")
def doctor(*, state: Path, output: str, strict: bool) -> None:
    """Examine this machine and the state folder: rights, space, locks, store, sockets, device nodes, udev, runtimes, leftovers."""
    from akri.cli.doctoring.examination import examined  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.cli.doctoring.findings import Level, documents, lines, summary, worst  # noqa: PLC0415
    from akri.cli.tables import Screen  # noqa: PLC0415

    findings = examined(state.absolute(), os.environ)
    if output == "json":
        click.echo(json.dumps(documents(findings), indent=2))
    else:
        for line in lines(findings, Screen.of()):
            click.echo(line)
        click.echo(summary(findings))
    level = worst(findings)
    if level is Level.PROBLEM or (strict and level is Level.WARNING):
        raise click.exceptions.Exit(1)

"""`akri get`: what there is, in columns or as documents."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.completing import complete_things
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["get"]

_EPILOG: Final = """\b
Kinds, and the short names of kubectl:
  configurations (akric)  what is looked for, and how that goes
  instances (akrii)       devices: who sees them, how many slots are held
  brokers                 what runs for the devices: pods and jobs
  reports                 what discovery said, one for each Configuration and node
  nodes                   the machines
  all                     each of these

\b
Examples:
  akri get akric
  akri get instances -o wide
  akri get akric,akrii,brokers -A
  akri get instance echo-8120fe -o yaml
  akri get broker/echo-8120fe-pod -o json
  akri get instances --watch
  akri get instances -A -o name | grep cameras

\b
With --watch the first column says what happened: + there is one more, ~ one changed, - one is gone. With -o json each change is one
line, {"type": "ADDED" | "MODIFIED" | "DELETED", "object": {...}}.

\b
Exit codes: 0 done, also if there is nothing to print, 1 one that was named is not there or something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Print what there is, in columns or as documents.")
@click.argument("what", metavar="KIND[,KIND...] [NAME...]", nargs=-1, required=True, shell_complete=complete_things)
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml", "name"]), default="table", show_default=True, help="How to print."
)
@in_namespace
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@click.option("-w", "--watch", is_flag=True, help="Go on, and print what changes, until Ctrl-C.")
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="With --watch: end after so many seconds.")
@on_platform
def get(
    place: Place, *, what: tuple[str, ...], output: str, namespace: str, all_namespaces: bool, watch: bool, seconds: float | None
) -> None:
    """Print what there is: KIND, or KIND and NAMEs, or KIND/NAME.

    On a terminal columns are coloured (NO_COLOR is respected) and cut to its width; in a pipe they are printed whole.
    """
    from akri.cli.getting import Asked, shown, watched  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.cli.kinds import chosen  # noqa: PLC0415
    from akri.core.errors import InvalidValueError  # noqa: PLC0415

    try:
        asked = Asked(chosen(what), "" if all_namespaces else namespace, output)
    except InvalidValueError as error:
        raise click.UsageError(str(error)) from error
    if watch and len(asked.kinds) > 1:
        message = "--watch follows one kind at a time"
        raise click.UsageError(message)
    if watch:
        place.follow(lambda platform: watched(platform, asked), seconds)
    else:
        click.get_current_context().exit(place.run(lambda platform: shown(platform, asked)))

"""`akri explain`: say what is wrong with something, why, and what to do."""

from __future__ import annotations

from typing import Final

import click
from click.core import ParameterSource

from akri.cli.completing import complete_names
from akri.cli.where import Opener, Place, on_platform

__all__ = ["explain"]

_EPILOG: Final = """\b
NAME is that of a Configuration, of an Instance or of a broker; KIND/NAME says which is meant, and NAMESPACE/NAME or -n where it is.
What was deleted is explained by its events as long as they are kept.

\b
For each thing that is wrong, the worst first:
  the first line names it, with the names of those concerned;
  the second says what to do;
  the others show it: who said what, when, with numbers.

\b
Examples:
  akri explain cameras
  akri explain instance/cameras-8120fe
  akri explain broker/cameras-8120fe-pod -n factory
  akri explain cameras -o json

\b
Exit codes: 0 nothing is wrong, 1 something is, or nobody could be asked, 2 wrong usage, 3 there is nothing of this name.
"""


@click.command(epilog=_EPILOG)
@click.argument("name", metavar="NAME", shell_complete=complete_names("configurations", "instances", "brokers"))
@click.option("-n", "--namespace", default="", metavar="NAME", help="The namespace to look in.  [default: the one that has the name]")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
@on_platform
def explain(place: Place, *, name: str, namespace: str, output: str) -> None:
    """Say what is wrong with a Configuration, an Instance or a broker, why, and what to do."""
    from akri.cli.diagnosing import explained, where_is  # noqa: PLC0415 - `akri --help` must not load all this

    context = click.get_current_context()
    given = context.get_parameter_source("state") is ParameterSource.COMMANDLINE
    where = where_is(place.state, given=given, local=context.find_object(Opener) is None)
    context.exit(place.run(lambda platform: explained(platform, name, namespace, where, as_json=output == "json")))

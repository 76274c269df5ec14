"""`akri describe`: everything that is known about one thing."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.completing import complete_things
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["describe"]

_EPILOG: Final = """\b
Examples:
  akri describe echo-8120fe
  akri describe configuration cameras
  akri describe broker/node-a-echo-8120fe-pod
  akri describe nodes

\b
Exit codes: 0 done, 1 there is no such thing or something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Print all that is known about something.")
@click.argument("what", metavar="KIND [NAME...] | KIND/NAME... | NAME...", nargs=-1, required=True, shell_complete=complete_things)
@in_namespace
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@on_platform
def describe(place: Place, *, what: tuple[str, ...], namespace: str, all_namespaces: bool) -> None:
    """Print all that is known about things: of a kind, or by name alone where no kind is named.

    Of a Configuration: its conditions, what each node's handlers said, its devices and brokers. Of an Instance: its slots and who
    holds them. Of a broker: its containers. And the last events about each.
    """
    from akri.cli.describing import described  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.cli.kinds import Chosen, Kind, chosen, kind_of  # noqa: PLC0415
    from akri.core.errors import InvalidValueError  # noqa: PLC0415

    try:
        by_kind = "/" in what[0] or "," in what[0] or what[0] == "all" or kind_of(what[0]) is not None
        asked = chosen(what) if by_kind else (Chosen(tuple(Kind), what),)
    except InvalidValueError as error:
        raise click.UsageError(str(error)) from error
    click.get_current_context().exit(place.run(lambda platform: described(platform, asked, "" if all_namespaces else namespace)))

"""`akri top`: a live view of devices, slots, brokers and handlers."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.where import Place, on_platform

__all__ = ["top"]

_EPILOG: Final = """\b
Keys: q ends it, the arrows, Page Up and Page Down move in the list of devices.

\b
Examples:
  akri top
  akri top -n site
  akri top --once | less

\b
Exit codes: 0 ended, by q or Ctrl-C too, 1 something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Watch devices, slots, brokers and handlers.")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Show this namespace alone.  [default: all]")
@click.option("--once", is_flag=True, help="Print one picture and end; so it does in a pipe.")
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@on_platform
def top(place: Place, *, namespace: str, once: bool, seconds: float | None) -> None:
    """Show what goes on: handlers, devices and their slots, brokers, events. It is drawn anew whenever something changes."""
    import sys  # noqa: PLC0415

    from akri.cli.topping import shown_live, shown_once  # noqa: PLC0415 - `akri --help` must not load all this

    if once or not sys.stdout.isatty():
        place.run(lambda platform: shown_once(platform, namespace))
    else:
        place.follow(lambda platform: shown_live(platform, namespace), seconds)

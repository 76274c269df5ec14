"""`akri logs`: what a broker wrote."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.completing import complete_names
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["logs"]

_EPILOG: Final = """\b
Examples:
  akri logs echo-8120fe-pod
  akri logs echo-8120fe
  akri logs echo-8120fe-pod -f --tail 20
  akri logs echo-8120fe-pod -c sidecar
  akri logs echo-8120fe-pod --previous

\b
Exit codes: 0 done, 1 there is no such broker or log, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Print what a broker wrote.")
@click.argument("broker", shell_complete=complete_names("brokers", "instances"))
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the broker has ended or Ctrl-C.")
@click.option("-c", "--container", default="", metavar="NAME", help="A container of it.  [default: its first main one]")
@click.option("-p", "--previous", is_flag=True, help="What the pod of this name before the present one wrote.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="The last N lines alone.  [default: all that is kept]")
@in_namespace
@on_platform
def logs(place: Place, *, broker: str, follow: bool, container: str, previous: bool, tail: int | None, namespace: str) -> None:
    """Print what BROKER wrote: a pod, the last pod of a job, or the broker of an Instance.

    On a terminal control characters are shown as escapes, those that only colour excepted; in a pipe lines come as they were written.
    """
    from akri.cli.logging_out import Reading, printed_log  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.core.ids import ObjectKey  # noqa: PLC0415

    if follow and previous:
        message = "--previous has ended, there is nothing to follow"
        raise click.UsageError(message)
    reading = Reading(ObjectKey(namespace, broker.rpartition("/")[2]), container, previous=previous, tail=tail, follow=follow)
    if follow:
        place.follow(lambda platform: printed_log(platform, reading))
    else:
        place.run(lambda platform: printed_log(platform, reading))

"""`akri env`: the environment that a broker gets with a device."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.completing import complete_names
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["env"]

_EPILOG: Final = """\b
Examples:
  akri env echo-8120fe
  akri env echo-8120fe -c main
  akri env echo-8120fe -o env > device.env
  akri env echo-8120fe -o json

\b
Exit codes: 0 done, 1 there is no such Instance or something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Print the environment that a broker gets.")
@click.argument("instance", shell_complete=complete_names("instances"))
@click.option("-c", "--container", default="", metavar="NAME", help="A container of the broker.  [default: its first one]")
@click.option("-o", "--output", type=click.Choice(["table", "env", "json"]), default="table", show_default=True, help="How to print.")
@in_namespace
@on_platform
def env(place: Place, *, instance: str, container: str, output: str, namespace: str) -> None:
    """Print the environment that a broker of INSTANCE gets, and who sets what of it.

    Each property of the device is there as KEY and as KEY_<DIGEST>. In a container with several devices KEY is that of the first
    Instance in the order of names: programs read KEY_<DIGEST> then. What comes from Secrets and ConfigMaps is named, not shown.
    """
    from akri.cli.environing import printed_environment  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.core.ids import ObjectKey  # noqa: PLC0415

    place.run(lambda platform: printed_environment(platform, ObjectKey(namespace, instance.rpartition("/")[2]), container, output))

"""`akri down`: ends everything that runs on a state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from akri.cli.where import state_option

__all__ = ["down"]

_EPILOG: Final = """\b
Examples:
  akri down
  akri down --state /srv/akri --grace 2

\b
Exit codes: 0 nothing runs any more, 1 something could not be ended, 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@state_option
@click.option("--grace", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds that brokers have to end.")
def down(*, state: Path, grace: float) -> None:
    """End everything that runs on a state folder: 'akri up', all nodes and all brokers.

    What was applied and found stays there; 'akri up' begins with it.
    """
    from akri.cli.ending import run_down  # noqa: PLC0415 - `akri --help` must not load all this

    run_down(state, grace)

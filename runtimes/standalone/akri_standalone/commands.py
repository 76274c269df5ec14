"""The commands that this runtime adds to `akri`: their options and help. What they do is loaded when they are run, in `main`."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

__all__ = ["up"]

_EPILOG = """\b
Examples:
  akri up -f samples/debug-echo.yaml
  akri up -f cameras.yaml -f disks.yaml --node gateway
  akri up -f cameras.yaml --for 60

\b
Exit codes: 0 ended as asked, 1 no Configuration was usable or something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Configurations to apply, YAML or JSON, '-' for the standard input. May be given several times.",
)
@click.option("--node", help="Name of this machine as a node.  [default: its host name]")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for sockets and brokers' logs.  [default: a new temporary one]",
)
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.  [default: run until Ctrl-C]"
)
@click.option("-v", "--verbose", is_flag=True, help="Log what the parts do, on the standard error.")
def up(files: tuple[str, ...], node: str | None, state: Path | None, seconds: float | None, verbose: bool) -> None:  # noqa: FBT001 - click's
    """Find devices on this machine and run a broker for each, without any cluster.

    Everything is in memory: when it ends, brokers end too and nothing is left.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error
    from akri_standalone.main import run_up  # noqa: PLC0415 - `akri --help` must not load all this

    run_up(files, node=node, state=state, seconds=seconds)

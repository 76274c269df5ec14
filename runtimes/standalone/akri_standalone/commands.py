"""The commands that this runtime adds to `akri`: their options and help. What they do is loaded when they are run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click
from click.core import ParameterSource

from akri.cli.where import state_option

if TYPE_CHECKING:
    from akri_standalone.main import Wanted

__all__ = ["node", "up"]

_Command = TypeVar("_Command", bound=Callable[..., object])

_UP: Final = """\b
Examples:
  akri up -f samples/debug-echo.yaml
  akri up
  akri up --temporary -f cameras.yaml --for 60

\b
Exit codes: 0 ended as asked, 1 no Configuration was usable or something failed, 2 wrong usage.
"""
_NODE: Final = """\b
Examples:
  akri node --name line-2
  akri node --name line-2 --state /srv/akri

\b
Exit codes: 0 ended as asked, 1 something failed, 2 wrong usage.
"""


def _running(command: _Command) -> _Command:
    command = click.option("-v", "--verbose", is_flag=True, help="Log what the parts do, on the standard error.")(command)
    return click.option(
        "--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.  [default: run until Ctrl-C]"
    )(command)


@click.command(epilog=_UP)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Configurations to apply, YAML or JSON, '-' for the standard input. May be given several times.",
)
@click.option("--node", help="Name of this machine as a node.  [default: its host name]")
@state_option
@click.option("--temporary", is_flag=True, help="Keep everything in memory, in a new folder; at the end no broker and no file is left.")
@_running
@click.pass_context
def up(
    context: click.Context, *, files: tuple[str, ...], node: str | None, state: Path, temporary: bool, seconds: float | None, verbose: bool
) -> None:
    """Find devices on this machine and run a broker for each, without any cluster.

    What is applied and found is kept in the state folder. Brokers outlive this command: when it is started again, it takes them
    up, and 'akri down' ends them.
    """
    if temporary and context.get_parameter_source("state") is ParameterSource.COMMANDLINE:
        message = "--temporary makes a folder of its own, so there is no --state with it"
        raise click.UsageError(message)
    _log(verbose=verbose)
    from akri_standalone.main import run_up  # noqa: PLC0415 - `akri --help` must not load all this

    run_up(files, _wanted(context, node, None if temporary else state, seconds))


@click.command(epilog=_NODE)
@click.option("--name", required=True, help="Name of the node, another one than that of 'akri up' and of each other 'akri node'.")
@state_option
@_running
@click.pass_context
def node(context: click.Context, *, name: str, state: Path, seconds: float | None, verbose: bool) -> None:
    """Add a node to what 'akri up' runs on this machine: a process of its own with the same state folder.

    It looks for the devices of all Configurations, and runs brokers of its own. They outlive it as those of 'akri up' do.
    """
    _log(verbose=verbose)
    from akri_standalone.main import run_node  # noqa: PLC0415 - as above

    run_node(_wanted(context, name, state, seconds))


def _wanted(context: click.Context, node: str | None, state: Path | None, seconds: float | None) -> Wanted:
    from akri.platforms.local.folder import StateFolder  # noqa: PLC0415 - as above
    from akri_standalone.main import Wanted, wanted_node  # noqa: PLC0415 - as above

    named = context.get_parameter_source("state") is ParameterSource.COMMANDLINE
    hint = f" --state {state}" if named else ""
    return Wanted(wanted_node(node), None if state is None else StateFolder.at(state), seconds, hint)


def _log(*, verbose: bool) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error

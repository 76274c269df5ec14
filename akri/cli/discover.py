"""`akri discover`: what a Configuration would find on this machine, and why not more, without a cluster and without an agent."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from akri.core.ids import NodeName
from akri.core.naming import node_name_of

__all__ = ["discover"]

_EPILOG = """\b
Examples:
  akri discover disks.yaml
  akri discover disks.yaml --explain
  akri discover disks.yaml --explain --device /dev/sdb
  akri discover cameras.yaml --watch
  akri discover cameras.yaml --handler /var/lib/akri/myHandler.sock
  akri discover cameras.yaml -o json

\b
Exit codes: 0 each Configuration finds a device, 1 something cannot be used or did not answer, 2 wrong usage,
3 all is well and a Configuration finds nothing.
"""


@click.command(epilog=_EPILOG, short_help="Print which devices Configurations find on this machine.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--watch", is_flag=True, help="Go on, and print what comes (+), goes (-) and changes (~), until Ctrl-C.")
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="With --watch: end after so many seconds.")
@click.option("--explain", is_flag=True, help="udev: say which part of which rule turned which device away.")
@click.option("--device", "only", default="", metavar="TEXT", help="With --explain: devices with this in their path or device node only.")
@click.option("--handler", "endpoint", default="", metavar="ENDPOINT", help="Ask the handler that listens there, a socket or a URL.")
@click.option("--tls", nargs=3, type=click.Path(path_type=Path), metavar="CERTIFICATE KEY AUTHORITIES", help="To speak TLS with.")
@click.option("--shared", is_flag=True, help="With --handler: several nodes reach a device, so its Instance's name has no node in it.")
@click.option("--property", "properties", metavar="NAME=VALUE", multiple=True, help="A discovery property that a Secret would hold.")
@click.option("--node", help="Name of this machine as a node: it is in the names of Instances.  [default: its host name]")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print what is found.")
@click.pass_context
def discover(
    context: click.Context,
    *,
    files: tuple[str, ...],
    watch: bool,
    seconds: float | None,
    explain: bool,
    only: str,
    endpoint: str,
    tls: tuple[Path, Path, Path] | None,
    shared: bool,
    properties: tuple[str, ...],
    node: str | None,
    timeout: float,
    output: str,
) -> None:
    """Print which devices the Configurations in FILEs find on this machine ('-' for the standard input).

    Nothing is changed anywhere. Each device comes with the name of its Instance, its properties and its device nodes, and after
    them what was dropped by which filter.
    """
    if output != "table" and (watch or explain):
        message = f"-o {output} is for what is found, not for --watch and --explain"
        raise click.UsageError(message)
    pairs = dict(_pair(text) for text in properties)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error
    from akri.cli.discovering import Asking, Showing, discovered  # noqa: PLC0415 - `akri --help` must not load all this

    asking = Asking(NodeName(node) if node else node_name_of(socket.gethostname()), endpoint, tls, shared, pairs, timeout)
    context.exit(discovered(files, asking, Showing(output, watch, seconds, explain, only)))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"--property: {text!r} is not valid: expected NAME=VALUE"
        raise click.UsageError(message)
    return name, value

"""`akri discover`: what a Configuration would find on this machine, and why not more, without a cluster and without an agent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error

import click
from attrs import frozen
from ruamel.yaml import YAML

from akri.cli.asking import first, handler_for, opened, properties_of
from akri.cli.checks import Severity, check_files, usable_configurations
from akri.cli.explaining import explained, lines
from akri.cli.finding import Found, changes, document, found, table
from akri.cli.validate import DETAILS_CHECKS, printed, read_file
from akri.core.configuration import Configuration
from akri.core.errors import AkriError
from akri.core.ids import NodeName
from akri.discovery.handler import Handler
from akri.discovery.tls import TlsFiles

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
_UDEV: Final = "udev"


class _Exit(IntEnum):
    FOUND = 0
    FAILED = 1
    NOTHING = 3


@frozen
class _Asking:
    """How to ask."""

    node: NodeName
    endpoint: str
    tls: TlsFiles | None
    shared: bool
    properties: Mapping[str, str]
    timeout: float

    def handler(self, configuration: Configuration) -> Handler:
        """Who is asked."""
        return handler_for(configuration, self.endpoint, self.tls, shared=self.shared)


@click.command(epilog=_EPILOG)
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
    configurations, all_usable = _read(files)
    asking = _Asking(NodeName(node or _host_name()), endpoint, TlsFiles(*tls) if tls else None, shared, _pairs(properties), timeout)
    code = _Exit.FOUND if all_usable and configurations else _Exit.FAILED
    if watch:
        _watch(configurations, asking, seconds)
    else:
        code = max(code, asyncio.run(_once(configurations, asking, output)), key=_worse)
    if explain:
        code = max(code, asyncio.run(_explain(configurations, only)), key=_worse)
    context.exit(code)


def _worse(code: _Exit) -> int:
    return (_Exit.FOUND, _Exit.NOTHING, _Exit.FAILED).index(code)


def _read(files: tuple[str, ...]) -> tuple[tuple[Configuration, ...], bool]:
    """Read what can be used; say on the standard error what cannot."""
    texts: list[tuple[str, str]] = []
    usable = True
    for file in files:
        try:
            texts.append(("standard input" if file == "-" else file, read_file(file)))
        except (OSError, ValueError) as error:
            click.echo(f"{file}: {error}", err=True)
            usable = False
    for finding in check_files(texts, DETAILS_CHECKS):
        if finding.severity is not Severity.NOTE:
            click.echo(printed(finding), err=True)
        usable = usable and finding.severity is not Severity.PROBLEM
    return usable_configurations([text for _, text in texts]), usable


async def _once(configurations: tuple[Configuration, ...], asking: _Asking, output: str) -> _Exit:
    code, results = _Exit.FOUND, list[Found]()
    for configuration in configurations:
        try:
            handler = asking.handler(configuration)
            snapshot = await first(handler, configuration, properties_of(configuration, asking.properties), asking.timeout)
        except AkriError as error:
            _complain(configuration, error)
            code = _Exit.FAILED
            continue
        result = found(configuration, snapshot, asking.node, shared=handler.shared)
        results.append(result)
        reached = _Exit.FAILED if result.problems else _Exit.FOUND if result.devices else _Exit.NOTHING
        code = max(code, reached, key=_worse)
        if output == "table":
            for line in table(result):
                _say(line)
    if output == "json":
        click.echo(json.dumps(document(results), indent=2))
    elif output == "yaml":
        writer = YAML(typ="safe", pure=True)
        writer.default_flow_style = False
        writer.dump(document(results), sys.stdout)  # pyright: ignore[reportUnknownMemberType]
    return code


def _watch(configurations: tuple[Configuration, ...], asking: _Asking, seconds: float | None) -> None:
    async def watching() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [asyncio.create_task(_follow(configuration, asking)) for configuration in configurations]
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(watching())


async def _follow(configuration: Configuration, asking: _Asking) -> None:
    before = Found(configuration)
    try:
        handler = asking.handler(configuration)
        async with opened(handler, configuration, properties_of(configuration, asking.properties)) as stream:
            async for snapshot in stream:
                after = found(configuration, snapshot, asking.node, shared=handler.shared)
                for line in changes(before, after):
                    _say(line)
                before = after
        click.echo(f"{configuration.key}: the handler ended its answers", err=True)
    except AkriError as error:
        _complain(configuration, error)


async def _explain(configurations: tuple[Configuration, ...], only: str) -> _Exit:
    code = _Exit.FOUND
    for configuration in configurations:
        if configuration.discovery.handler != _UDEV:
            click.echo(f"Configuration {configuration.key}: only udev's rules can be explained; other handlers say above what they dropped")
            continue
        try:
            judged = await explained(configuration)
        except AkriError as error:
            _complain(configuration, error)
            code = _Exit.FAILED
            continue
        click.echo(f"Configuration {configuration.key}, explained:")
        for line in lines(judged, only):
            _say(line)
    return code


def _say(line: str) -> None:
    # What devices and handlers say is not trusted: no control character of it reaches the terminal.
    click.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


def _complain(configuration: Configuration, error: AkriError) -> None:
    click.echo(f"{configuration.key}: {error}", err=True)


def _pairs(texts: tuple[str, ...]) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            message = f"--property: {text!r} is not valid: expected NAME=VALUE"
            raise click.UsageError(message)
        pairs[name] = value
    return pairs


def _host_name() -> str:
    """Give this machine's host name in the form that Kubernetes gives a node's name."""
    name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in socket.gethostname().lower())
    return name.strip("-.")[:63] or "localhost"

"""What `akri discover` does: ask, print what is found, follow changes, explain; and what the process ends with."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

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

__all__ = ["Asking", "Showing", "discovered"]

_UDEV: Final = "udev"


class _Exit(IntEnum):
    """What the process ends with."""

    FOUND = 0
    FAILED = 1
    NOTHING = 3


@frozen
class Asking:
    """How to ask. endpoint: of the handler, "" for the one that comes with Akri. tls: certificate, key, authorities."""

    node: NodeName
    endpoint: str
    tls: tuple[Path, Path, Path] | None
    shared: bool
    properties: Mapping[str, str]
    timeout: float

    def handler(self, configuration: Configuration) -> Handler:
        """Who is asked."""
        return handler_for(configuration, self.endpoint, TlsFiles(*self.tls) if self.tls else None, shared=self.shared)


@frozen
class Showing:
    """What to print. output: table, json or yaml. watch: go on, for `seconds` or until told to end. explain: devices whose path

    or device node holds `only`.
    """

    output: str
    watch: bool
    seconds: float | None
    explain: bool
    only: str


def discovered(files: Sequence[str], asking: Asking, showing: Showing) -> int:
    """Do it; answer the exit code that `akri discover --help` lists."""
    configurations, all_usable = _read(files)
    code = _Exit.FOUND if all_usable and configurations else _Exit.FAILED
    if showing.watch:
        code = max(code, _watch(configurations, asking, showing.seconds), key=_worse)
    else:
        code = max(code, asyncio.run(_once(configurations, asking, showing.output)), key=_worse)
    if showing.explain:
        code = max(code, asyncio.run(_explain(configurations, showing.only)), key=_worse)
    return code


def _worse(code: _Exit) -> int:
    return (_Exit.FOUND, _Exit.NOTHING, _Exit.FAILED).index(code)


def _read(files: Sequence[str]) -> tuple[tuple[Configuration, ...], bool]:
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


async def _once(configurations: tuple[Configuration, ...], asking: Asking, output: str) -> _Exit:
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


def _watch(configurations: tuple[Configuration, ...], asking: Asking, seconds: float | None) -> _Exit:
    tasks: list[asyncio.Task[None]] = []

    def stop() -> None:
        for task in tasks:
            task.cancel()

    async def watching() -> None:
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                tasks.extend(group.create_task(_follow(configuration, asking)) for configuration in configurations)
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, stop)
        except TimeoutError:
            pass  # the time of --for is over, and what was seen is printed
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # click knows a reader that went away when it meets one

    asyncio.run(watching())
    return _Exit.FOUND if all(task.cancelled() for task in tasks) else _Exit.FAILED


async def _follow(configuration: Configuration, asking: Asking) -> None:
    """Print what changes. Returns only when there is no more to come, and says why."""
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

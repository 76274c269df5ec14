"""What `akri up` does: reads the files, joins the machine, prints the news, and ends when it is asked to."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from akri.cli.checks import Severity, check_files, usable_configurations
from akri.cli.validate import DETAILS_CHECKS, printed, read_file
from akri.core.configuration import Configuration
from akri.core.errors import AkriError
from akri.core.ids import NodeName, ObjectKey
from akri.discovery.embedded import HANDLER_NAMES, embedded_handlers
from akri_standalone.news import News
from akri_standalone.settings import Settings, default_node
from akri_standalone.wiring import Machine

__all__ = ["run_up"]


def run_up(files: Sequence[str], *, node: str | None, state: Path | None, seconds: float | None) -> None:
    """Run one machine on the Configurations in `files`, for so many seconds or until SIGINT or SIGTERM.

    Raises click.ClickException, whose sentence the user reads.
    """
    configurations = _read(files)
    if not configurations:
        message = "no usable Configuration was given"
        raise click.ClickException(message)
    failures: list[str] = []
    with _folder(state) as folder:
        settings = Settings(folder, NodeName(node) if node else default_node(), embedded_handlers(HANDLER_NAMES))
        try:
            asyncio.run(_run(settings, configurations, seconds))
        except* (AkriError, OSError) as group:
            failures = _sentences(group)
    if failures:
        raise click.ClickException("; ".join(failures))
    _say("akri", "ended; no broker is left")


def _sentences(group: BaseExceptionGroup[AkriError | OSError]) -> list[str]:
    found: list[str] = []
    for error in group.exceptions:
        found.extend(_sentences(error) if isinstance(error, BaseExceptionGroup) else [str(error)])
    return found


def _read(files: Sequence[str]) -> Sequence[Configuration]:
    """Read what can be used; say on the standard error what cannot, and go on without it."""
    texts: list[tuple[str, str]] = []
    for file in files:
        try:
            texts.append(("standard input" if file == "-" else file, read_file(file)))
        except (OSError, ValueError) as error:
            click.echo(f"{file}: {error}", err=True)
    for finding in check_files(texts, DETAILS_CHECKS):
        if finding.severity is not Severity.NOTE:
            click.echo(printed(finding), err=True)
    return usable_configurations([text for _, text in texts])


@contextmanager
def _folder(state: Path | None) -> Generator[Path]:
    if state is not None:
        yield state
        return
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        yield Path(folder)


async def _run(settings: Settings, configurations: Sequence[Configuration], seconds: float | None) -> None:
    machine = Machine(settings, _broker_line)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _say("akri", f"node {settings.node}, sockets and logs in {settings.folder}")
    news = News(machine.store, _say)
    running = asyncio.ensure_future(_together(machine, news, configurations))
    waiting = asyncio.ensure_future(asyncio.wait_for(stop.wait(), seconds))
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    if not running.cancelled():
        running.result()


async def _together(machine: Machine, news: News, configurations: Sequence[Configuration]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in (news.instances(), news.pods(), news.reports(), news.events(), machine.run()):
            group.create_task(work)
        for configuration in configurations:
            await machine.store.apply(configuration)
            _say(configuration.name, f"Configuration applied: looking for devices with {configuration.discovery.handler}")


def _say(about: str, message: str) -> None:
    click.echo(f"{click.style(about, bold=True)}  {message}")


def _broker_line(pod: ObjectKey, _container: str, line: str) -> None:
    click.echo(f"{click.style(f'{pod.name} | ', dim=True)}{line}")

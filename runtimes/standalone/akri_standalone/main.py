"""What `akri up`, `akri node` and `akri down` do: hold the locks, open the store, run the machine, say the news, and end as asked."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import click
from attrs import frozen

from akri.cli.checks import Severity, check_files, usable_configurations
from akri.cli.news import News
from akri.cli.service_manager import READY, STOPPING, tell_service_manager
from akri.cli.validate import DETAILS_CHECKS, printed, read_file
from akri.clock import SystemClock
from akri.core.configuration import Configuration
from akri.core.ids import NodeName, ObjectKey
from akri.discovery.embedded import HANDLER_NAMES, embedded_handlers
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock, LockHeldError, holder
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.stopping import stop_all
from akri.platforms.local.store import LocalStore
from akri_standalone.settings import Settings, default_node
from akri_standalone.wiring import Machine

__all__ = ["Wanted", "run_node", "run_up", "wanted_node"]

_TEMPORARY_GRACE: Final = 10.0
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What is written to a file may not fit on its disk: that ends nobody who works."""
_OPEN_FILES: Final = 65536


@frozen
class Wanted:
    """What a user asked for.

    state: the folder; None for a new one that is removed at the end, with everything in memory. seconds: end after so many.
    hint: what to add to another command so that it works on the same folder, ` --state DIR` or nothing.
    """

    node: NodeName
    state: StateFolder | None
    seconds: float | None = None
    hint: str = ""


def run_up(files: Sequence[str], wanted: Wanted) -> None:
    """Run one machine until SIGINT or SIGTERM, or for so many seconds, on what is in its state and on the Configurations in `files`.

    Raises AkriError and click.ClickException, whose sentences the user reads.
    """
    configurations = _read(files)
    if not configurations and (files or wanted.state is None):
        message = "no usable Configuration was given" if files else "--temporary needs a Configuration: give one with -f FILE"
        raise click.ClickException(message)
    with ExitStack() as stack:
        folder = wanted.state or stack.enter_context(_temporary())
        folder.prepare(wanted.node)
        stack.enter_context(_locked(folder, folder.controller_lock, f"'akri up' runs on {folder.path} already"))
        stack.enter_context(_node_lock(folder, wanted.node))
        asyncio.run(_live(Settings(folder, wanted.node, embedded_handlers(HANDLER_NAMES)), wanted, configurations))
    if wanted.state is None:
        _say("akri", "ended; no broker is left")


def run_node(wanted: Wanted) -> None:
    """Run one more node on a folder that 'akri up' began, until it is asked to end. Raises as `run_up`."""
    folder = wanted.state
    if folder is None or not folder.store.exists():
        path = "" if folder is None else folder.path
        message = f"{path} holds no state of akri: begin it with 'akri up{wanted.hint}'"
        raise click.ClickException(message)
    folder.prepare(wanted.node)
    with _node_lock(folder, wanted.node):
        asyncio.run(_live(Settings(folder, wanted.node, embedded_handlers(HANDLER_NAMES), controlling=False), wanted, ()))


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
def _temporary() -> Generator[StateFolder]:
    with tempfile.TemporaryDirectory(prefix="akri-", ignore_cleanup_errors=True) as folder:
        yield StateFolder.at(Path(folder))


def _node_lock(folder: StateFolder, node: NodeName) -> Lock:
    return _locked(folder, folder.node(node).lock, f"node {node} runs on {folder.path} already")


def _locked(folder: StateFolder, path: Path, what: str) -> Lock:
    try:
        return Lock.take(path)
    except LockHeldError as error:
        who = f" (process {error.pid})" if error.pid else ""
        message = (
            f"{what}{who}: add another node with 'akri node --name NAME', or end everything there with 'akri down', --state {folder.path}"
        )
        raise click.ClickException(message) from error


@asynccontextmanager
async def _store(wanted: Wanted, folder: StateFolder) -> AsyncGenerator[LocalStore]:
    if wanted.state is None:
        yield MemoryStore(SystemClock())
        return
    async with SqliteStore(folder.path, SystemClock()) as store:
        yield store


def _open_many_files() -> None:
    """Allow this process more open files than the usual 1,024, for each device takes four."""
    present, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(present, wanted), most))


async def _live(settings: Settings, wanted: Wanted, configurations: Sequence[Configuration]) -> None:
    _open_many_files()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with _store(wanted, settings.state) as store:
        _begin(settings, wanted, store, len(configurations))
        machine = Machine(settings, store, _broker_line)
        running = asyncio.ensure_future(_together(machine, configurations))
        waiting = asyncio.ensure_future(asyncio.wait_for(stop.wait(), wanted.seconds))
        try:
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tell_service_manager(STOPPING)
            for task in (running, waiting):
                task.cancel()
            await asyncio.gather(running, waiting, return_exceptions=True)
            if wanted.state is None:
                await stop_all(settings.state.path, _TEMPORARY_GRACE)
        if not running.cancelled():
            running.result()
        if wanted.state is not None:
            _end(settings, wanted, store)


def _begin(settings: Settings, wanted: Wanted, store: LocalStore, given: int) -> None:
    if wanted.state is None:
        _say("akri", f"node {settings.node}, everything is in memory; Ctrl-C ends it and all brokers")
    else:
        ends = f"'akri down{wanted.hint}' ends them"
        _say("akri", f"node {settings.node}, state in {settings.state.path}; Ctrl-C ends it but not its brokers, {ends}")
    mine = [pod for pod in store.pods if pod.node == settings.node and not pod.phase.terminal]
    if store.instances:
        known = f"{_count(len(store.configurations), 'Configuration')}, {_count(len(store.instances), 'device')}"
        _say("akri", f"known from before: {known}, {_count(len(mine), 'broker')} on this node")
    elif settings.controlling and not store.configurations and not given:
        _say("akri", f"there is no Configuration yet: apply one with 'akri apply -f FILE{wanted.hint}'")
    if settings.controlling:
        _tell_abandoned(settings, wanted, store)


def _tell_abandoned(settings: Settings, wanted: Wanted, store: LocalStore) -> None:
    """Name nodes that have brokers and no program, for one that was renamed: after their grace others get their slots."""
    having = {pod.node for pod in store.pods if pod.bound and not pod.phase.terminal} - {settings.node}
    for name in sorted(having):
        if holder(settings.state.node(name).lock) is None:
            again, ends = f"'akri node --name {name}{wanted.hint}' takes them up", f"'akri down{wanted.hint}' ends all"
            _say("akri", f"node {name} has brokers and does not run: {again}, {ends}")


def _end(settings: Settings, wanted: Wanted, store: LocalStore) -> None:
    left = sum(pod.node == settings.node and pod.bound and not pod.phase.terminal for pod in store.pods)
    if left:
        again = "akri up" if settings.controlling else f"akri node --name {settings.node}"
        go_on = "goes on" if left == 1 else "go on"
        _say("akri", f"ended; {_count(left, 'broker')} {go_on} until '{again}' is back: 'akri down{wanted.hint}' ends all brokers")
    else:
        _say("akri", "ended; no broker is left")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


async def _together(machine: Machine, configurations: Sequence[Configuration]) -> None:
    settings = machine.settings
    news = News(machine.store, _say, node=None if settings.controlling else settings.node, since=time.time())
    async with asyncio.TaskGroup() as group:
        for work in (news.instances(), news.pods(), news.reports(), news.events(), machine.run(), _announce(machine)):
            group.create_task(work)
        for configuration in configurations:
            await machine.store.apply(configuration)
            _say(configuration.name, f"Configuration applied: looking for devices with {configuration.discovery.handler}")


async def _announce(machine: Machine) -> None:
    """Say when everything that was known is served."""
    began, known = time.monotonic(), len(machine.store.instances)
    await machine.serving()
    tell_service_manager(READY)
    if known:
        _say("akri", f"ready after {time.monotonic() - began:.1f} s: all that was known is served")


def _say(about: str, message: str) -> None:
    _print(f"{click.style(about, bold=True)}  {message}")


def _broker_line(pod: ObjectKey, _container: str, line: str) -> None:
    _print(f"{click.style(f'{pod.name} | ', dim=True)}{line}")


def _print(line: str) -> None:
    try:
        click.echo(line)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise


def wanted_node(name: str | None) -> NodeName:
    """Take the name that a user gave, or this machine's."""
    return NodeName(name) if name else default_node()

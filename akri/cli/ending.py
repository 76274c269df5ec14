"""What `akri down` does: ends the programs of a state folder, then every broker, whoever started it; and says what it did."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import click

from akri.clock import SystemClock
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock, LockHeldError
from akri.platforms.local.programs import end_programs, programs
from akri.platforms.local.stopping import stop_all

__all__ = ["run_down"]

_PATIENCE: Final = 30.0
"""Seconds that programs have to end after they were asked to."""


def run_down(state: Path, grace: float) -> None:
    """End everything on a folder; brokers have `grace` seconds. Raises OSError and click.ClickException if something is left."""
    folder = StateFolder.at(state)
    if not folder.path.is_dir():
        click.echo(f"nothing runs: there is no folder {folder.path}")
        return
    said = asyncio.run(end_programs(folder, SystemClock(), _PATIENCE))
    for line in said:
        click.echo(line)
    with ExitStack() as stack:
        # Whoever starts meanwhile, a service manager for one, would start brokers again.
        for path in (folder.controller_lock, *(part.lock for _, part in folder.nodes())):
            with suppress(LockHeldError):
                stack.enter_context(Lock.take(path))
        ended = asyncio.run(stop_all(folder.path, grace))
    if ended or not said:
        click.echo(f"{ended} {'broker' if ended == 1 else 'brokers'} ended" if ended else f"nothing ran on {folder.path}")
    left = programs(folder)
    if left:
        message = f"{left[0].name} runs on"
        raise click.ClickException(message)

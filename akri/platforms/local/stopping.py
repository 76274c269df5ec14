"""Ends all brokers of a state folder, whoever started them: for the end of a temporary one, and when no program runs that knows them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from akri.core.errors import AkriError
from akri.platforms.local.container_records import Alive
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.host_processes import end_marked
from akri.platforms.local.supervised import Supervised

__all__ = ["BrokersLeftError", "running_containers", "stop_all"]


class BrokersLeftError(AkriError):
    """Some processes of brokers could not be ended: they belong to another user, or hang in the kernel."""


def running_containers(state: Path) -> tuple[Supervised, ...]:
    """List the containers that run, of all pods of a state folder."""
    folder = StateFolder.at(state).brokers.resolve()
    found = (Supervised(place) for pod in _folders(folder) for place in _folders(pod))
    return tuple(child for child in found if isinstance(child.look(), Alive))


def _folders(place: Path) -> list[Path]:
    """List the folders in a folder; whoever runs a pod may remove its record at any moment."""
    with suppress(FileNotFoundError):
        return [path for path in place.iterdir() if path.is_dir()]
    return []


async def stop_all(state: Path, grace: float) -> int:
    """End every broker of a state folder: SIGTERM, after `grace` seconds SIGKILL, and everything that they started with them.

    Returns how many containers were ended; raises BrokersLeftError, which names the processes, if something is left. The records
    stay, so the next program knows how each broker ended. No program that runs brokers may be at work on the folder: it would
    start them again.
    """
    children = running_containers(state)
    await asyncio.gather(*(child.terminate() for child in children))
    if children:
        waiting = [asyncio.ensure_future(child.wait()) for child in children]
        _, slow = await asyncio.wait(waiting, timeout=grace)
        for wait in slow:
            wait.cancel()
    await asyncio.gather(*(child.kill() for child in children))
    left = await asyncio.to_thread(end_marked, StateFolder.at(state).brokers.resolve())
    if left:
        raise BrokersLeftError(f"these processes of brokers could not be ended: {', '.join(map(str, sorted(left)))}")
    return len(children)

"""An owner for tasks of objects that are started and stopped, where no `async with TaskGroup` spans their life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

__all__ = ["Tasks"]

_LOG: Final = logging.getLogger(__name__)


class Tasks:
    """Keeps tasks alive, logs how they fail, and ends them all together."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run `work` until it ends or `stop` is called; a failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a task failed", exc_info=error)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

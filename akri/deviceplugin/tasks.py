"""An owner for tasks of objects that are started and stopped, where no `async with TaskGroup` spans their life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final, TypeVar

__all__ = ["Tasks"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Tasks:
    """Keeps tasks alive, logs how they fail, and ends them all together."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        """Run `work` until it ends or `stop` is called; a failure is logged unless somebody else awaits the task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                _LOG.error("a task failed while it was ended", exc_info=result)

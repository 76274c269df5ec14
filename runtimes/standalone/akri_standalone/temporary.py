"""A machine for a while: everything in memory, and at the end neither it nor any broker is left. For demonstrations, tests and trials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from akri.clock import SystemClock
from akri.platforms.local.locks import Lock
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.pod_run import Output, no_output
from akri.platforms.local.stopping import stop_all
from akri_standalone.settings import Settings
from akri_standalone.wiring import Machine

__all__ = ["temporary_machine"]

_GRACE: Final = 5.0


@asynccontextmanager
async def temporary_machine(settings: Settings, output: Output = no_output) -> AsyncGenerator[Machine]:
    """Run a machine as long as the block lasts; its state folder is made where it is missing, and whoever made it removes it.

    Brokers have 5 seconds to end. Raises AkriError where the folder cannot be used, and at the end whatever ended the machine early.
    """
    settings.state.prepare(settings.node)
    with Lock.take(settings.folder.lock):
        machine = Machine(settings, MemoryStore(SystemClock()), output)
        running = asyncio.ensure_future(machine.run())
        try:
            yield machine
        finally:
            running.cancel()
            await asyncio.wait({running})
            await stop_all(settings.state.path, _GRACE)
        if not running.cancelled():
            running.result()

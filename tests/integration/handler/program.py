"""Starts `akri-handler`, looks at its pages, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import define

__all__ = ["COMMAND", "Program", "program"]

COMMAND: Final = (sys.executable, "-c", "from akri_handler.start import main; main()")


@define(eq=False)
class Program:
    """A running `akri-handler`."""

    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """Take its life, as the kernel does for want of memory."""
        self.process.kill()

    async def end(self) -> tuple[int, str]:
        """Ask it to end; give its exit code and what it wrote to the standard error."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        async with asyncio.timeout(20):
            _, words = await self.process.communicate()
        return self.process.returncode or 0, words.decode()


@asynccontextmanager
async def program(*arguments: str, folder: Path | None = None, **environment: str) -> AsyncGenerator[Program]:
    """Run `akri-handler` with these arguments while the block lasts. folder: its DISCOVERY_HANDLERS_DIRECTORY."""
    variables = {"PATH": os.environ["PATH"], **environment}
    if folder is not None:
        variables["DISCOVERY_HANDLERS_DIRECTORY"] = str(folder)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=variables, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    running = Program(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

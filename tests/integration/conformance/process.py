"""A good handler as a process, or with one fault: `python -m tests.integration.conformance.process [FAULT]`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from akri.core.errors import InvalidDocumentError, Problem
from akri.discovery.registration import SOCKET_NAME
from akri.discovery.serving import serve
from akri.discovery.snapshot import Snapshot
from tests.integration.conformance.handlers import BAD, Behaviour, Small

__all__ = ["main"]


def main() -> None:
    """Serve, with the fault that the first argument names."""
    fault = sys.argv[1] if len(sys.argv) > 1 else ""
    folder = Path(os.environ["DISCOVERY_HANDLERS_DIRECTORY"])
    if fault == "impatient" and not (folder / SOCKET_NAME).exists():
        sys.exit("there is no agent")
    if fault == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    small, kept = Small(folder, Behaviour()), list[int]()

    async def discover(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        del properties
        if details == BAD:
            raise InvalidDocumentError("details", [Problem("", "no YAML")])
        if fault == "leaks":
            kept.append(os.open("/dev/null", os.O_RDONLY))
        async for answer in small.behaviour.answers(small, details, 1):
            if isinstance(answer, Snapshot):
                yield answer

    asyncio.run(serve("small", discover, shared=True))


if __name__ == "__main__":
    main()

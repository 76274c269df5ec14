"""`akri-handler`: settings, wiring, signals, and what the process ends with."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error

from akri.clock import SystemClock
from akri.core.errors import AkriError, InvalidDocumentError
from akri.discovery.embedded import embedded_handlers
from akri.discovery.handler import Handler
from akri.discovery.serving import Discover, HandlerServer
from akri_handler.settings import Settings, read_settings

__all__ = ["main", "run"]

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Run the program with the arguments and the environment of this process, and end the process."""
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except InvalidDocumentError as error:
        for problem in error.problems:
            sys.stderr.write(f"akri-handler: {problem}\n")
        sys.exit(2)
    level = logging.INFO if settings.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(run(settings))
    except (AkriError, OSError, ModuleNotFoundError) as error:
        sys.stderr.write(f"akri-handler: {error}\n")
        sys.exit(1)


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError if it cannot listen, DiscoveryError for TLS files or a library that is missing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    handler = _handler(settings, clock)
    async with AsyncExitStack() as stack:
        discover: Discover = handler.discover
        told = None
        if settings.metrics_port is not None:
            from akri_handler.telling import Told  # noqa: PLC0415 - costs memory, and most handlers are not asked for it

            told = Told(settings.name)
            discover = told.counted(discover)
        server = HandlerServer(settings.name, discover, clock, settings.place, shared=handler.shared)
        await stack.enter_async_context(server)
        if told is not None and settings.metrics_port is not None:
            from akri_handler.telling import pages  # noqa: PLC0415 - as above
            from akri_handler.web import serve_pages  # noqa: PLC0415 - as above

            await stack.enter_async_context(serve_pages(settings.metrics_port, pages(server, told)))
        _LOG.info("serving handler=%s endpoint=%s", settings.name, server.registration.endpoint)
        await _until(stop, server)
        _LOG.info("ending handler=%s", settings.name)


def _handler(settings: Settings, clock: SystemClock) -> Handler:
    factories = embedded_handlers([settings.name], debug_echo_shared=settings.shared, debug_echo_availability=settings.availability)
    return factories[settings.name](clock, settings.poll_interval)


async def _until(stop: asyncio.Event, server: HandlerServer) -> None:
    """Keep the handler registered until asked to end."""
    registering = asyncio.create_task(server.keep_registered())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({registering, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if registering.done():
            registering.result()
    finally:
        registering.cancel()
        stopping.cancel()
        await asyncio.gather(registering, stopping, return_exceptions=True)

"""An agent for tests of discovery handlers, ours and other people's: real sockets and the real wire format, and nothing behind them.

async with FakeAgent() as agent:
    handler = await start_my_handler(DISCOVERY_HANDLERS_DIRECTORY=agent.folder)
    async with agent.asking("myHandler", "my: details") as answers:
        snapshot = await anext(answers)
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final, Self

from akri.clock import SystemClock
from akri.core.errors import NotPermittedError
from akri.discovery.registration import RegistrationServer
from akri.discovery.remote import RemoteHandler
from akri.discovery.serving import Place
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles
from akri.discovery.wire import Registration
from akri.ports import Clock

__all__ = ["FakeAgent"]

_PATIENCE: Final = 10.0


class FakeAgent:
    """An agent without a cluster. Use it with `async with`; its folder is deleted at the end.

    folder: what handlers get as DISCOVERY_HANDLERS_DIRECTORY. registrations: all that came, in order, also those of one handler.
    """

    def __init__(self, *, clock: Clock | None = None, tls: TlsFiles | None = None) -> None:
        """Make the folder; nothing is served before `async with` is entered. tls: files for handlers that speak TLS."""
        # Not pytest's tmp_path: a unix socket's path holds 107 bytes.
        self.folder: Final = Path(tempfile.mkdtemp(prefix="akri-"))
        self.registrations: Final[list[Registration]] = []
        self.refuses = False
        """Whether registrations are answered with PERMISSION_DENIED from now on."""
        self._clock: Final[Clock] = SystemClock() if clock is None else clock
        self._tls = tls
        self._server: RegistrationServer | None = None
        self._news = asyncio.Event()

    @property
    def place(self) -> Place:
        """Where a handler of the same process serves: `serve("myHandler", discover, shared=True, place=agent.place)`."""
        return Place(self.folder)

    async def __aenter__(self) -> Self:
        """Begin to take registrations."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and delete the folder."""
        await self.stop()
        shutil.rmtree(self.folder)

    async def start(self) -> None:
        """Make the socket; it is there already unless `stop` removed it."""
        if self._server is None:
            self._server = await RegistrationServer(self.folder, self._take, self._clock).__aenter__()

    async def stop(self) -> None:
        """Remove the socket, as an agent that ends does. Streams that are open go on."""
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(None, None, None)

    async def restart(self) -> None:
        """Be a new agent, which knows no handler. `registrations` still lists the former ones."""
        await self.stop()
        await self.start()

    async def registered(self, name: str, *, times: int = 1, within: float = _PATIENCE) -> Registration:
        """Wait until a handler registered so often; give its last registration. Raises TimeoutError after `within` seconds."""
        await self.until(lambda: sum(one.name == name for one in self.registrations) >= times, within=within)
        return next(one for one in reversed(self.registrations) if one.name == name)

    async def until(self, condition: Callable[[], bool], *, within: float = _PATIENCE) -> None:
        """Wait until a condition over `registrations` holds; raise TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    @asynccontextmanager
    async def asking(
        self, name: str, details: str = "", properties: Mapping[str, bytes] | None = None
    ) -> AsyncGenerator[AsyncIterator[Snapshot]]:
        """Ask the handler of a name, once it registered; the stream is dropped at the end of the block.

        Iterating raises InvalidDocumentError for details that the handler refuses, DiscoveryError for what else it ends with.
        """
        handler = RemoteHandler(await self.registered(name), self._tls)
        async with aclosing(handler.discover(details, properties or {})) as answers:
            yield answers

    def _take(self, registration: Registration) -> None:
        if self.refuses:
            message = f"discovery handler {registration.name} is not allowed here"
            raise NotPermittedError(message)
        self.registrations.append(registration)
        self._news.set()

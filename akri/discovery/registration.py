"""The agent's end of registration: a socket on which handlers make themselves known (discovery.proto, service Registration)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from grpc import aio

from akri import rpc
from akri.core.errors import AkriError, InvalidValueError, NotPermittedError
from akri.discovery.remote import address_of
from akri.discovery.wire import EMPTY, REGISTER, Registration, read_registration
from akri.ports import Clock

if TYPE_CHECKING:
    from akri.rpc import Context

__all__ = ["SOCKET_NAME", "RegistrationServer"]

SOCKET_NAME: Final = "agent-registration.sock"
"""File name of the agent's socket in the folder of discovery handlers."""
_MOST: Final = 1024 * 1024
_LOOK: Final = 1.0
_LOG: Final = logging.getLogger(__name__)


class RegistrationServer:
    """Serves registrations in `folder`, until the end of the block, and again whenever its socket was removed or replaced.

    take: told of each registration whose endpoint can be one; what it raises is the answer, NotPermittedError as PERMISSION_DENIED.
    """

    def __init__(self, folder: Path, take: Callable[[Registration], None], clock: Clock) -> None:
        """Take the folder, which is made if it is missing, and who is told."""
        self.socket: Final = folder / SOCKET_NAME
        self._take = take
        self._clock = clock
        self._server: aio.Server | None = None
        self._inode = 0
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to serve. Raises OSError if the socket cannot be made, InvalidValueError if its path is too long."""
        await self._serve()
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and remove the socket."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self._stop()

    async def _serve(self) -> None:
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self._server = await rpc.serve(rpc.unix(self.socket), {REGISTER: rpc.unary_method(self._register, _status)}, most=_MOST)
        self._inode = self.socket.stat().st_ino

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            # gRPC removes the file of its socket, whoever made the file that is there now: a follower's is put aside first.
            await server.stop(grace=None)
        self.socket.unlink(missing_ok=True)

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(_LOOK)
            try:
                if not self._there():
                    _LOG.warning("the registration socket is gone and is made again socket=%s", self.socket)
                    await self._stop()
                    await self._serve()
            except (AkriError, OSError) as error:
                _LOG.warning("the registration socket cannot be made socket=%s error=%s", self.socket, error)

    def _there(self) -> bool:
        try:
            return self._server is not None and self.socket.stat().st_ino == self._inode
        except OSError:
            return False

    async def _register(self, request: bytes, context: Context) -> bytes:
        del context
        registration = read_registration(request)
        address_of(registration)
        self._take(registration)
        return EMPTY


def _status(error: AkriError) -> str:
    if isinstance(error, InvalidValueError):
        return "INVALID_ARGUMENT"
    if isinstance(error, NotPermittedError):
        return "PERMISSION_DENIED"
    return rpc.status_of(error)

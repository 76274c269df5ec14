"""gRPC as the kubelet and its plugins speak it: on unix sockets, in messages of at most 4 MiB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from grpc import aio

from akri import rpc

if TYPE_CHECKING:
    from akri.rpc import Context, MethodHandler

__all__ = ["MAX_MESSAGE", "connect", "serve", "when_done"]

MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Largest message that the kubelet takes (gRPC's default); we take no larger one either."""


class _TellsWhenDone(Protocol):
    def add_done_callback(self, callback: Callable[[Context], None]) -> None: ...


def when_done(context: Context, tell: Callable[[bool], None]) -> None:
    """Tell, at the end of a call, whether its answer was sent; it was not if the caller was gone by then."""

    def done(ended: Context) -> None:
        tell(ended.done())

    # The cast is for the type stubs: they ask for a class of their own where any callable will do.
    cast("_TellsWhenDone", context).add_done_callback(done)


async def serve(path: Path, methods: Mapping[str, MethodHandler]) -> aio.Server:
    """Serve `methods`, by path, on a unix socket that does not exist yet. Raises OSError if it cannot be bound."""
    return await rpc.serve(rpc.unix(path), methods, most=MAX_MESSAGE)


def connect(path: Path) -> aio.Channel:
    """Open a channel to a unix socket; it connects with the first call."""
    return rpc.connect(rpc.unix(path), most=MAX_MESSAGE)

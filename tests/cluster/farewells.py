"""Loops of tests that end without leaving connections behind which were closed, but whose peer has not said goodbye.

Whoever closes a TLS connection, or a session of aiohttp, is done at once; the connection itself waits up to 30 s for the peer's
close_notify, and asyncio closes it in one of the loop's next turns. A program's loop goes on. A test's loop ends with the test, and
the connection would be found unclosed by the collector of garbage in whatever test comes later. aiohttp's enable_cleanup_closed
would do the same, but not on Python 3.12.8 and newer, nor for a request that is cancelled in the moment when it is connected.

What nobody closed is left as it is: the warning of Python about it is deserved.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from functools import wraps

__all__ = ["install"]

_TURNS = 3  # the connection is lost, then TLS, then whoever used it


def install() -> None:
    """Let every loop of this process cut such connections when it is closed. Repeating it does nothing."""
    close = asyncio.SelectorEventLoop.close
    if not hasattr(close, "__wrapped__"):
        setattr(asyncio.SelectorEventLoop, "close", _after_farewells(close))  # noqa: B010 - no type checker likes the plain way


def _after_farewells(close: Callable[..., None]) -> Callable[[asyncio.BaseEventLoop], None]:
    @wraps(close)
    def closing(loop: asyncio.BaseEventLoop) -> None:
        waiting = [] if loop.is_closed() else [one for one in _connections(loop) if _was_closed(one)]
        if waiting:
            loop.run_until_complete(_cut(waiting))
        close(loop)

    return closing


def _connections(loop: asyncio.BaseEventLoop) -> list[asyncio.Transport]:
    """Return the connections of a loop that are open; asyncio has no public way to ask."""
    return list(vars(loop)["_transports"].values())


def _was_closed(transport: asyncio.Transport) -> bool:
    protocol = transport.get_protocol()
    if isinstance(protocol, SSLProtocol):
        above: asyncio.Transport | None = vars(protocol)["_app_transport"]
        return above is None or above.is_closing()
    return transport.is_closing()


async def _cut(transports: list[asyncio.Transport]) -> None:
    for transport in transports:
        transport.abort()
    for _ in range(_TURNS):
        await asyncio.sleep(0)

"""Passes a running watch on, line by line, and disturbs it where it was ordered to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeAlias, assert_never

import aiohttp
from aiohttp import web
from attrs import define, field

from tests.cluster.proxy_faults import Call, CutWatch, ExpireWatch, HoldWatch, WatchFault

__all__ = ["EXPIRED", "Relay"]

EXPIRED: Final[Mapping[str, object]] = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "too old resource version: 1 (2)",
    "reason": "Expired",
    "code": 410,
}
"""What an API server says when it does not know a resourceVersion any more."""
_Item: TypeAlias = bytes | WatchFault | None


@define(eq=False)
class Relay:
    """One running watch. `order` disturbs it; the lines of the order count from then on."""

    call: Call
    upstream: aiohttp.ClientResponse
    downstream: web.StreamResponse
    request: web.BaseRequest
    _items: asyncio.Queue[_Item] = field(factory=asyncio.Queue[_Item])
    _fault: WatchFault | None = None
    _passed: int = 0

    def order(self, fault: WatchFault) -> None:
        """Let this befall the watch, now or after some lines."""
        self._items.put_nowait(fault)

    async def run(self) -> None:
        """Pass on what comes until either side ends it, or a fault does."""
        reader = asyncio.create_task(self._read())
        try:
            while (item := await self._items.get()) is not None:
                if isinstance(item, bytes):
                    ended = await self._line(item)
                else:
                    self._fault, self._passed = item, 0
                    ended = await self._disturb()
                if ended:
                    return
            if self.upstream.content.exception() is not None:
                self._cut()
        finally:
            reader.cancel()
            connection = self.upstream.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()  # a close would wait for the server's farewell, and outlive the proxy
            self.upstream.close()

    async def _read(self) -> None:
        rest = b""
        with suppress(aiohttp.ClientError, OSError):
            async for piece in self.upstream.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._items.put_nowait(line + b"\n")
        if rest:
            self._items.put_nowait(rest)
        self._items.put_nowait(None)

    async def _line(self, line: bytes) -> bool:
        """Pass on one line; tell whether the watch ended with it."""
        if isinstance(self._fault, CutWatch) and self._fault.in_line and self._passed >= self._fault.after:
            await self.downstream.write(line[: len(line) // 2])
            self._close()
            return True
        await self.downstream.write(line)
        self._passed += 1
        return await self._disturb()

    async def _disturb(self) -> bool:
        """Do what was ordered, if its time has come; tell whether the watch ended with it."""
        fault = self._fault
        if fault is None or self._passed < fault.after:
            return False
        match fault:
            case CutWatch(in_line=True):
                return False
            case CutWatch():
                self._cut()
            case HoldWatch(seconds=seconds):
                await asyncio.sleep(seconds)
                self._cut()
            case ExpireWatch():
                await self.downstream.write(json.dumps({"type": "ERROR", "object": EXPIRED}).encode() + b"\n")
            case _:
                assert_never(fault)
        return True

    def _cut(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()

    def _close(self) -> None:
        """Close so that what was written still arrives."""
        if self.request.transport is not None:
            self.request.transport.close()

"""A proxy before an API server that is as bad as a network can be: slow, cut, silent, late, or answering for the server.

    async with FaultyProxy(server.url, ca_file=server.ca_file) as proxy:
        proxy.orders.add(DropAnswer(), verb="patch", resource="instances")

HTTP/1.1 towards both sides; towards clients plain, or TLS where `tls` is given. Tokens and all other headers are passed on, so that
the server sees who asks. Connections that upgrade (exec, attach) are not passed on.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from attrs import define, field, frozen
from yarl import URL

from tests.cluster.proxy_faults import (
    Answer,
    AtRandom,
    Call,
    Delay,
    DropAnswer,
    DropRequest,
    Fault,
    Late,
    Orders,
    WatchFault,
)
from tests.cluster.proxy_watch import Relay

__all__ = ["FaultyProxy", "Happened"]

_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"})
_REASONS: Final[Mapping[int, str]] = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@define(eq=False)
class Happened:
    """A fault that befell a request. status: the server's answer, None if there is none (yet), or it never got the request."""

    call: Call
    fault: Fault
    status: int | None = None


@frozen
class _Request:
    """A request as it will be sent on."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes
    call: Call


@frozen
class _Reply:
    """A whole answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@define(eq=False)
class FaultyProxy:
    """The proxy. `orders` come before what happens at `random`.

    requests: how many came, by verb and resource. happened: the faults that requests met, in order (not those of running watches);
    of a write that was sent on when nobody waited any more with the server's status.
    """

    upstream: str
    ca_file: Path | None = None
    random: AtRandom | None = None
    tls: ssl.SSLContext | None = None
    orders: Orders = field(factory=Orders)
    requests: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    happened: list[Happened] = field(factory=list[Happened])
    url: str = ""
    _cut_off: bool = False
    _port: int = 0
    _session: aiohttp.ClientSession | None = None
    _runner: web.ServerRunner | None = None
    _relays: set[Relay] = field(factory=set[Relay])
    _tasks: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]])

    async def start(self) -> None:
        """Listen on a free port of this machine; after a stop, on the same one again."""
        context = ssl.create_default_context(cafile=self.ca_file) if self.upstream.startswith("https") else False
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(), auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self.tls)
        await site.start()
        *_, (_, self._port) = (address[:2] for address in self._runner.addresses)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Cut everything and end; requests that are late never arrive."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.cut_connections()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def cut_connections(self) -> int:
        """Cut every connection of every client, with all requests and watches on them; return how many."""
        server = self._runner.server if self._runner is not None else None
        transports = [one.transport for one in server.connections if one.transport is not None] if isinstance(server, web.Server) else []
        for transport in transports:
            transport.abort()
        return len(transports)

    def cut_off(self) -> None:
        """Be unreachable: cut everything, and every new connection at its first request, until `restore`."""
        self._cut_off = True
        self.cut_connections()

    def restore(self) -> None:
        """Be reachable again."""
        self._cut_off = False

    def disturb_watches(self, fault: WatchFault, resource: str | None = None) -> int:
        """Let this befall every running watch (of a resource); return how many there are."""
        relays = [relay for relay in self._relays if resource in {None, relay.call.resource}]
        for relay in relays:
            relay.order(fault)
        return len(relays)

    async def settle(self) -> None:
        """Wait until every request that is under way, the late ones too, has arrived at the server and was answered by it."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call.of(request.method, request.path, request.query)
        self.requests[call.verb, call.resource] += 1
        try:
            if self._cut_off:
                await _cut(request)
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
            url = URL(self.upstream.rstrip("/") + request.raw_path, encoded=True)
            sent = _Request(request.method, url, headers, await request.read(), call)
            return await self._meet(self._fault(call), request, sent)
        except (aiohttp.ClientError, OSError):
            return await _cut(request)  # the server is away, and that is how it looks from here

    def _fault(self, call: Call) -> Fault | None:
        fault = self.orders.next(call)
        # Random numbers are drawn for each request, so that an order does not shift what befalls the later ones.
        drawn = self.random.next(call) if self.random is not None else None
        return fault or drawn

    async def _meet(self, fault: Fault | None, request: web.BaseRequest, sent: _Request) -> web.StreamResponse:
        if fault is None:
            return await self._pass(request, sent, None)
        happened = Happened(sent.call, fault)
        self.happened.append(happened)
        match fault:
            case Delay(before, after):
                await asyncio.sleep(before)
                return await self._pass(request, sent, happened, after)
            case Answer(took_effect=took_effect):
                if took_effect:
                    await self._complete(sent, happened)
                return _instead(fault)
            case DropRequest() | DropAnswer() | Late():
                return await self._lose(fault, request, sent, happened)
            case _:
                return await self._watch(request, sent, fault)

    async def _lose(
        self, fault: DropRequest | DropAnswer | Late, request: web.BaseRequest, sent: _Request, happened: Happened
    ) -> web.StreamResponse:
        match fault:
            case DropRequest():
                pass
            case Late(seconds):
                self._own(asyncio.ensure_future(self._send_late(sent, happened, seconds)))
            case DropAnswer(half=half):
                reply = await self._complete(sent, happened)
                if half:
                    await self._half(request, reply)
        await asyncio.sleep(fault.silence)
        return await _cut(request)

    async def _pass(self, request: web.BaseRequest, sent: _Request, happened: Happened | None, after: float = 0.0) -> web.StreamResponse:
        if sent.call.verb == "watch":
            return await self._watch(request, sent, None)
        reply = await self._complete(sent, happened)
        await asyncio.sleep(after)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def _complete(self, sent: _Request, happened: Happened | None) -> _Reply:
        """Send a request on and take the whole answer; one that meets a fault whatever becomes of the client meanwhile."""
        if happened is None:
            return await self._exchange(sent, None)
        exchange = asyncio.ensure_future(self._exchange(sent, happened))
        self._own(exchange)
        return await asyncio.shield(exchange)

    async def _exchange(self, sent: _Request, happened: Happened | None) -> _Reply:
        async with self._request(sent) as response:
            reply = _Reply(response.status, _kept(response), await response.read())
        if happened is not None:
            happened.status = reply.status
        return reply

    async def _send_late(self, sent: _Request, happened: Happened, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self._exchange(sent, happened)
        except (aiohttp.ClientError, OSError):
            return  # the server is away: then it never arrives

    async def _watch(self, request: web.BaseRequest, sent: _Request, fault: WatchFault | None) -> web.StreamResponse:
        async with self._request(sent) as response:
            if response.status != 200:
                return web.Response(status=response.status, headers=_kept(response), body=await response.read())
            downstream = web.StreamResponse(headers=_kept(response))
            await downstream.prepare(request)
            relay = Relay(sent.call, response, downstream, request)
            if fault is not None:
                relay.order(fault)
            self._relays.add(relay)
            try:
                await relay.run()
            finally:
                self._relays.discard(relay)
        return downstream

    def _request(self, sent: _Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the proxy is not running")
        skip = ("User-Agent", "Accept-Encoding", "Accept", "Content-Type")
        return self._session.request(
            sent.method, sent.url, headers=sent.headers, data=sent.body or None, skip_auto_headers=skip, allow_redirects=False
        )

    async def _half(self, request: web.BaseRequest, reply: _Reply) -> None:
        length = {"Content-Length": str(len(reply.body))}
        downstream = web.StreamResponse(status=reply.status, headers={**reply.headers, **length})
        await downstream.prepare(request)
        await downstream.write(reply.body[: len(reply.body) // 2])

    def _own(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Cut the client's connection; the server then cancels who handles the request, so this does not return."""
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()
    raise AssertionError("cancelled before")


def _kept(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.lower() not in _HOP}


def _instead(fault: Answer) -> web.Response:
    details = {"retryAfterSeconds": fault.retry_after} if fault.retry_after is not None else {}
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"the proxy was told to answer {fault.status}",
        "reason": _REASONS.get(fault.status, "Unknown"),
        "details": details,
        "code": fault.status,
    }
    headers = {"Content-Type": "application/json"}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return web.Response(status=fault.status, headers=headers, body=json.dumps(status).encode())

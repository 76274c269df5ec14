"""The lean client of an API server: requests on dictionaries over one pool of kept connections.

kubernetes-asyncio would cost 40 MiB and decode 28 times slower; the agent needs a dozen kinds of requests. What an answer, or its
absence, proves about a request is decided in `meanings`; here it is sent, and sent again where that is proven to be harmless.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

import aiohttp
from attrs import evolve, frozen

from akri.core.errors import AkriError, OutcomeUnknownError, short
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError, NotSentError, status_error
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.meanings import GiveUp, Meaning, TryAgain, meaning_of_answer, retry_after, step
from akri.ports import Clock

__all__ = ["JSON_PATCH", "MERGE_PATCH", "ApiClient", "Stream"]

JSON_PATCH: Final = "application/json-patch+json"
"""Content type of an RFC 6902 patch."""
MERGE_PATCH: Final = "application/merge-patch+json"
"""Content type of an RFC 7386 patch."""

_JSON: Final = "application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CONNECTIONS: Final = 32
_KEPT_SECONDS: Final = 60.0  # kube-apiserver closes connections that were idle for 90 s
_LARGEST_ANSWER: Final = 128 * 1024 * 1024
_PAGE_SECONDS: Final = 30.0
_LISTS_IN_PAGES: Final = 2
_SHORTEST: Final = 0.001  # aiohttp takes 0 for no time-out
_READING: Final = frozenset({"GET", "HEAD"})
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

_U = TypeVar("_U")


@frozen
class _Call:
    """A request, ready to be sent any number of times."""

    method: str
    path: str
    parameters: Mapping[str, str] | None = None
    content: bytes | None = None
    content_type: str = _JSON
    accept: str = _JSON


@frozen
class _Trouble:
    """A request that was not simply done: what that means, what the caller would be told, and the server's wish to wait."""

    meaning: Meaning
    error: AkriError
    wait: float | None = None


class Stream:
    """The answer to a watch, as pieces of bytes that end when the server says so."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Take an answer whose status is 200."""
        self._response = response

    async def piece(self) -> bytes:
        """Return what came next, b"" at the end. Raises OutcomeUnknownError when the connection is lost or silent for too long."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknownError(_lost("GET", self._response.url.path, error)) from error


class ApiClient:
    """Requests to one API server; an asynchronous context manager. Not thread-safe."""

    def __init__(self, connection: Connection, clock: Clock, *, connections: int = _CONNECTIONS) -> None:
        """Take where the server is, and how many connections to it there may be at once; none is opened before a request needs it."""
        self._connection = connection
        self._clock = clock
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Make the pool."""
        if self._session is None:
            self._session = _session(self._connection, self._connections)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close all connections. What is still under way fails."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def link(self) -> ApiClient:
        """Return a client with one connection of its own, so that its requests reach the same server one after the other."""
        return ApiClient(self._connection, self._clock, connections=1)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        content_type: str = _JSON,
        parameters: Mapping[str, str] | None = None,
        seconds: float = 4.0,
    ) -> JsonObject:
        """Send a request and return the object that the server answers.

        seconds: for everything, repetitions included. Repeated is only what provably was not carried out (429 and 503 with the
        server's Retry-After, no connection, 401 once with a new token), and what only reads (GET).
        Raises ApiStatusError for the server's refusal: the request did nothing. NotSentError where no connection came about.
        OutcomeUnknownError otherwise: no answer, not in time, a 5xx, or not an answer of Kubernetes; a write may have taken effect.
        """
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return await self._carry_out(_Call(method, path, parameters, content, content_type), seconds)

    async def _carry_out(self, call: _Call, seconds: float) -> JsonObject:
        """Send a request until it is done, is not to be tried again, or the time is over."""
        deadline = self._clock.now() + seconds
        failures, renewed = 0, False
        while True:
            answer = await self._once(call, deadline - self._clock.now())
            if not isinstance(answer, _Trouble):
                return answer
            failures += 1
            match step(
                answer.meaning,
                reading=call.method in _READING,
                failures=failures,
                left=deadline - self._clock.now(),
                wait=answer.wait,
                renewed=renewed,
                random=self._clock.random(),
            ):
                case GiveUp():
                    raise answer.error
                case TryAgain(pause, renew):
                    await self._pause(pause, renew=renew)
                    renewed = renewed or renew

    async def list_pages(self, path: str, parameters: Mapping[str, str] | None = None, limit: int = 500) -> tuple[list[JsonObject], str]:
        """Return all objects of a collection and its resourceVersion, from which a watch misses nothing. Raises as `request`."""
        return await self.list_as(_as_it_is, path, parameters, limit=limit)

    async def list_as(
        self,
        take: Callable[[JsonObject], _U],
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        limit: int = 500,
        metadata_only: bool = False,
    ) -> tuple[list[_U], str]:
        """List as `list_pages`, and keep of each object only what `take` makes of it: so no more than one page is in memory.

        metadata_only: let the server leave out spec and status. When the continue token expires (410), the list begins again, and
        for the third time in one piece. The inconsistent token that the server offers then would join pages of two moments, and
        no watch could follow on both.
        """
        call = _Call("GET", path, parameters, accept=_METADATA_LIST if metadata_only else _JSON)
        for _ in range(_LISTS_IN_PAGES):
            try:
                return await self._pages(take, call, limit)
            except ApiStatusError as error:
                if not error.expired:
                    raise
        return await self._pages(take, call, 0)

    async def _pages(self, take: Callable[[JsonObject], _U], call: _Call, limit: int) -> tuple[list[_U], str]:
        taken: list[_U] = []
        parameters = {**(call.parameters or {}), **({"limit": str(limit)} if limit else {})}
        while True:
            answer = await self._carry_out(evolve(call, parameters=parameters), _PAGE_SECONDS)
            items, more, revision = _page(answer, call.path)
            taken += map(take, items)
            if not more:
                return taken, revision
            parameters["continue"] = more

    @asynccontextmanager
    async def stream(self, path: str, parameters: Mapping[str, str], *, silence: float) -> AsyncGenerator[Stream]:
        """Open a watch; tried once. silence: seconds without a byte after which the connection counts as lost. Raises as `request`."""
        timeout = aiohttp.ClientTimeout(total=None, connect=silence, sock_read=silence)
        try:
            url = f"{self._connection.server}{path}"
            response = await self._open().get(url, params=parameters, headers=self._headers(_JSON), timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as error:
            raise _failed("GET", path, error).error from error
        async with response:
            if response.status != 200 or response.content_type != _JSON:
                answer = await _read("GET", path, response)
                if isinstance(answer, _Trouble) and answer.meaning is Meaning.STRANGER:
                    await self._connection.renew()
                raise answer.error if isinstance(answer, _Trouble) else _not_kubernetes(response, b"").error
            yield Stream(response)

    async def _once(self, call: _Call, left: float) -> JsonObject | _Trouble:
        headers = self._headers(call.accept)
        if call.content is not None:
            headers["Content-Type"] = call.content_type
        timeout = aiohttp.ClientTimeout(total=max(left, _SHORTEST), connect=max(left, _SHORTEST))
        url = f"{self._connection.server}{call.path}"
        try:
            async with self._open().request(
                call.method, url, params=call.parameters, data=call.content, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return await _read(call.method, call.path, response)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return _failed(call.method, call.path, error)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            message = "the client is not open: use it as an asynchronous context manager"
            raise RuntimeError(message)
        return self._session

    def _headers(self, accept: str) -> dict[str, str]:
        token = self._connection.token()
        return {"Accept": accept} if token is None else {"Accept": accept, "Authorization": f"Bearer {token}"}

    async def _pause(self, seconds: float, *, renew: bool) -> None:
        if renew:
            await self._connection.renew()
        await self._clock.sleep(seconds)


def _session(connection: Connection, connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=connections, keepalive_timeout=_KEPT_SECONDS, ssl=connection.ssl if connection.ssl is not None else True
    )
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "akri"}, trust_env=False
    )
    # aiohttp sends a PUT or DELETE again when a kept connection breaks. The first one may have taken effect, and the answer
    # to the second would then be a refusal that looks like proof of the contrary. No public switch exists; a test watches this one.
    session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return session


async def _read(method: str, path: str, response: aiohttp.ClientResponse) -> JsonObject | _Trouble:
    """Read an answer whole, and judge it."""
    content = await _content(response)
    document = _decoded(content) if response.content_type == _JSON else None
    wait = retry_after(response.headers.get("Retry-After"))
    meaning = meaning_of_answer(response.status, own=document is not None, asks_to_wait=wait is not None)
    if meaning is Meaning.DONE and document is not None:
        return document
    refusal = status_error(document, response.status, wait)
    if meaning is Meaning.UNKNOWN:
        if refusal is None:
            return _not_kubernetes(response, content)
        return _Trouble(meaning, OutcomeUnknownError(f"{method} {path}: the API server answered {response.status}: {refusal}"))
    text = content[:200].decode(errors="replace").strip()
    return _Trouble(meaning, refusal or ApiStatusError(response.status, response.reason or "", text, wait=wait), wait)


async def _content(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > _LARGEST_ANSWER:
            message = f"an answer of more than {_LARGEST_ANSWER} bytes"
            raise aiohttp.ClientPayloadError(message)
        pieces.append(piece)
    return b"".join(pieces)


def _decoded(content: bytes) -> JsonObject | None:
    """Read an object of the Kubernetes API; None for anything else."""
    try:
        document: Json = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) and isinstance(document.get("kind"), str) else None


def _not_kubernetes(response: aiohttp.ClientResponse, content: bytes) -> _Trouble:
    seen = short(content[:200].decode(errors="replace"))
    where = f"{response.method} {response.url.path}"
    message = f"{where}: no answer of Kubernetes came (status {response.status}, {response.content_type or 'no content type'}): {seen}"
    return _Trouble(Meaning.UNKNOWN, OutcomeUnknownError(message))


def _failed(method: str, path: str, error: Exception) -> _Trouble:
    if isinstance(error, _NOT_SENT):
        return _Trouble(Meaning.NOT_SENT, NotSentError(f"{method} {path}: no connection to the API server: {error}"))
    return _Trouble(Meaning.UNKNOWN, OutcomeUnknownError(_lost(method, path, error)))


def _lost(method: str, path: str, error: Exception) -> str:
    return f"{method} {path}: no answer of the API server: {str(error) or type(error).__name__}"


def _as_it_is(item: JsonObject) -> JsonObject:
    return item


def _page(answer: JsonObject, path: str) -> tuple[list[JsonObject], str, str]:
    """Read a list: its objects, the token of the next page ("" on the last one), and its resourceVersion."""
    metadata, items = answer.get("metadata"), answer.get("items")
    revision = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(revision, str):
        message = f"GET {path}: not a list: {short(answer)}"
        raise OutcomeUnknownError(message)
    found = items if isinstance(items, Sequence) and not isinstance(items, str) else ()
    more = metadata.get("continue")
    return [item for item in found if isinstance(item, Mapping)], more if isinstance(more, str) else "", revision

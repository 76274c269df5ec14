"""Watches of an API server as ports promise them: Reset first and after any loss, and Alive only on proof.

The server's bookmarks prove nothing: cut off from etcd it goes on sending them. So each short watch (a leg) is opened together
with a consistent read, which no server can answer from a stale cache; when the watch has reached the revision of that read,
everything that happened before it was delivered. Each leg has one of two connections to itself, read and watch one after the
other, so that both reach the same server and the read pushes its cache on; the next leg begins before the former ends, so that
nothing waits meanwhile. Figures and alternatives: docs/decisions/watches-that-say-they-are-alive.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Final, Generic, TypeVar

from attrs import frozen

from akri.core.errors import AkriError
from akri.core.metadata import JsonObject
from akri.core.retry import BackOff
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.mirror import Decode, Mirror
from akri.platforms.kubernetes.resources import Resource
from akri.platforms.kubernetes.watch_events import BrokenWatchError, Lines, identity_of, parse_event, revision_of
from akri.ports import Clock, WatchEvent

__all__ = ["watch_objects"]

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)

_LEG: Final = 3
"""Seconds after which the server ends a watch. Its bookmark comes 0 to 2.25 s after the opening; with 2 s none would come."""
_NEXT_LEG: Final = 2.4
"""Seconds after the request for a leg's watch when the next leg begins: the bookmark is overdue, and 2.4 + 2.25 stay below 5."""
_SILENCE: Final = 5.0
"""Seconds without a byte after which a connection counts as lost; the server says at least after 3 s that the watch ended."""
_READ: Final = 3.0
"""Seconds for the consistent read."""
_COMPARED: Final = 1000
"""Objects a second, at most, that are compared where the server's cache does not keep up; so up to 2,400 objects Alive is not late."""
_COMPARISONS: Final = 20
"""Legs that do so, before bookmarks get another chance."""
_DISAGREEMENTS: Final = 4
"""Comparisons in a row that show something unknown, after which the watch counts as broken."""
_BACK_OFF: Final = BackOff(first=0.1, most=10.0, jitter=0.5)
_NO_OBJECT: Final = "metadata.name=0"
_MALFORMED: Final = (AkriError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


async def watch_objects(
    client: ApiClient,
    resource: Resource,
    decode: Decode[_T],
    clock: Clock,
    *,
    namespace: str | None = None,
    label_selector: str = "",
    field_selector: str = "",
) -> AsyncGenerator[WatchEvent[_T]]:
    """Watch a kind of objects, all or those that the selectors choose; never ends by itself and raises nothing.

    decode: makes a value of an object; None, or an exception, which is logged once for each state: it is not there for this watch.
    It gets each state of an object once, and its values should compare equal where nothing changed that the reader wants to know.
    A link that is dead without a sign is noticed after 5 s; Alive fails to come before that.
    """
    mirror = Mirror(_tolerant(resource, decode))
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    scope = _Scope(resource, namespace, {name: text for name, text in selectors.items() if text})
    watch = _Watch(client, scope, mirror, clock)
    runner = asyncio.create_task(watch.run(), name=f"watch {resource.plural}")
    runner.add_done_callback(lambda _: watch.wake.set())
    try:
        while True:
            event = mirror.next()
            if event is not None:
                yield event
            elif runner.done():
                runner.result()
                return
            else:
                watch.wake.clear()
                await watch.wake.wait()
    finally:
        runner.cancel()
        await asyncio.wait({runner})


def _tolerant(resource: Resource, decode: Decode[_T]) -> Decode[_T]:
    def tolerant(document: JsonObject) -> _T | None:
        try:
            return decode(document)
        except _MALFORMED as error:
            _logger.warning("an object cannot be read kind=%s object=%s error=%s", resource.kind, _named(document), error)
            return None

    return tolerant


def _named(document: JsonObject) -> str:
    identity = identity_of(document)
    return f"{identity.key}@{identity.revision}"


@frozen
class _Scope:
    """What is watched."""

    resource: Resource
    namespace: str | None
    selectors: Mapping[str, str]

    @property
    def path(self) -> str:
        return self.resource.collection(self.namespace)

    @property
    def read_path(self) -> str:
        """Where a consistent read costs the server least: it looks in its cache for one key, if it is asked for one name and namespace."""
        return self.resource.collection(self.namespace or "default")


class _Watch(Generic[_T]):
    """Keeps a mirror up to date, leg by leg."""

    def __init__(self, client: ApiClient, scope: _Scope, mirror: Mirror[_T], clock: Clock) -> None:
        self.wake = asyncio.Event()
        self._scope = scope
        self._name = scope.resource.plural
        self._mirror = mirror
        self._clock = clock
        self._links = (client.link(), client.link())
        self._legs: list[asyncio.Task[None]] = []
        self._comparisons = 0
        self._compare_again = 0.0
        self._disagreements = 0

    async def run(self) -> None:
        """Run legs until cancelled."""
        async with self._links[0], self._links[1]:
            try:
                await self._run()
            finally:
                await self._end_legs()

    async def _run(self) -> None:
        turn, failures = 0, 0
        while True:
            error = await self._leg(self._links[turn % 2])
            turn += 1
            if error is None:
                failures = 0
                continue
            failures += 1
            self._mirror.give_up()
            if isinstance(error, ApiStatusError) and error.expired:
                _logger.info("a watch lists again watch=%s because=%s", self._name, error)
                await self._end_legs()
                self._mirror.lose()
            else:
                _logger.warning("a watch failed watch=%s failures=%d error=%s", self._name, failures, error)
            wait = error.wait if isinstance(error, ApiStatusError) else None
            await self._clock.sleep(max(_BACK_OFF.seconds(failures, self._clock.random()), wait or 0.0))

    async def _leg(self, link: ApiClient) -> AkriError | None:
        """Begin a leg, and return when it is time for the next one; the error if it failed before."""
        while len(self._legs) > 1:
            await self._end(self._legs.pop(0))
        asked = asyncio.Event()
        leg = asyncio.create_task(self._follow(link, asked), name=f"leg {self._name}")
        self._legs.append(leg)
        await _first(leg, asked.wait())
        await _first(leg, self._clock.sleep(_NEXT_LEG))
        return _failure(leg)

    async def _end(self, leg: asyncio.Task[None]) -> None:
        leg.cancel()
        await asyncio.wait({leg})
        error = _failure(leg)
        if error is not None:
            _logger.info("a watch broke off watch=%s error=%s", self._name, error)

    async def _end_legs(self) -> None:
        while self._legs:
            await self._end(self._legs.pop())

    async def _follow(self, link: ApiClient, asked: asyncio.Event) -> None:
        """One leg: list or read, then watch until the server ends it."""
        await (self._prove(link) if self._mirror.revision else self._list(link))
        self.wake.set()
        parameters = {
            **self._scope.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._mirror.revision),
            "timeoutSeconds": str(_LEG),
        }
        lines = Lines()
        asked.set()
        async with link.stream(self._scope.path, parameters, silence=_SILENCE) as stream:
            while piece := await stream.piece():
                for line in lines.feed(piece):
                    self._mirror.take(parse_event(line))
                self.wake.set()
        if not lines.complete:
            message = "a watch ended in the middle of a line"
            raise BrokenWatchError(message)

    async def _list(self, link: ApiClient) -> None:
        began = self._clock.now()
        entries, text = await link.list_as(self._mirror.read, self._scope.path, self._scope.selectors)
        self._mirror.reset(entries, _revision(text), began)

    async def _prove(self, link: ApiClient) -> None:
        """Ask for the revision of this moment, which the watch has to reach."""
        began = self._clock.now()
        if self._mirror.waits and not self._comparisons:
            _logger.info("bookmarks do not keep up, comparing lists instead watch=%s", self._name)
            self._comparisons = _COMPARISONS
        if self._comparisons and began >= self._compare_again:
            await self._compare(link, began)
            return
        answer = await link.request("GET", self._scope.read_path, parameters={"fieldSelector": _NO_OBJECT}, seconds=_READ)
        revision = revision_of(answer)
        if revision < self._mirror.revision:
            raise _expired(f"the server is at revision {revision}, the watch was at {self._mirror.revision}")
        self._mirror.expect(revision, began)

    async def _compare(self, link: ApiClient, began: float) -> None:
        """Where the server's cache does not keep up: compare with a list of what there is, which costs more."""
        seen, text = await link.list_as(identity_of, self._scope.path, self._scope.selectors, metadata_only=True)
        self._comparisons -= 1
        self._compare_again = began + len(seen) / _COMPARED
        self._disagreements = 0 if self._mirror.compare(seen, _revision(text), began) else self._disagreements + 1
        if self._disagreements >= _DISAGREEMENTS:
            self._disagreements = 0
            raise _expired("lists go on showing what the watch does not deliver")


async def _first(leg: asyncio.Task[None], other: Awaitable[object]) -> None:
    """Wait for the leg or the other, whichever ends first."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait({leg, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _failure(leg: asyncio.Task[None]) -> AkriError | None:
    """The error by which a leg ended; None while it runs and after a good end. Raises what is no AkriError."""
    if not leg.done() or leg.cancelled():
        return None
    error = leg.exception()
    if error is not None and not isinstance(error, AkriError):
        raise error
    return error


def _expired(message: str) -> ApiStatusError:
    return ApiStatusError(410, "Expired", message)


def _revision(text: str) -> int:
    return revision_of({"metadata": {"resourceVersion": text}})

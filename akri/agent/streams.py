"""One stream: a Configuration asks one handler, and what it answers goes into the Configuration's Presence.

A stream that ends or fails is opened again after a capped back-off, at once when the handler makes itself known again; details
that a handler refuses are asked again only when they change or the handler is a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final, Protocol

from attrs import define, evolve, field

from akri.agent.handlers import Handlers, Source
from akri.clock import wait_for_either, within
from akri.core.configuration import Configuration
from akri.core.errors import AkriError, DiscoveryError, InvalidDocumentError
from akri.core.ids import DeviceId, HandlerName, ObjectKey
from akri.core.presence import Presence
from akri.core.properties import FromSecret, needs, resolve
from akri.core.reports import HandlerReport
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.allowed import restricted
from akri.discovery.handler import Handler
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.ports import Clock, NodePlatform

__all__ = ["Stream", "StreamOwner"]

_logger = logging.getLogger(__name__)
_FETCH_TIMEOUT: Final = 10.0


class StreamOwner(Protocol):
    """Who opened the stream, as far as it knows it."""

    platform: NodePlatform
    clock: Clock
    handlers: Handlers
    presence: dict[ObjectKey, Presence]

    def changed(self, configuration: ObjectKey) -> None:
        """Take in that the Presence or a report of a Configuration changed."""
        ...


@define(eq=False)
class Stream:
    """The stream of one Configuration to one handler. certain: devices that a first answer lacks are gone,

    for the question changed, not the world. closed: another one took its place, or nobody asks any more. report: how it goes.
    """

    owner: StreamOwner
    configuration: Configuration
    source: Source
    certain: bool = field(kw_only=True)
    closed: bool = False
    report: HandlerReport = field(init=False)
    _again: asyncio.Event = field(init=False, factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        """Begin with a report that says that nobody was asked yet."""
        self.report = HandlerReport(self.name, self.address)

    @property
    def key(self) -> ObjectKey:
        """The Configuration."""
        return self.configuration.key

    @property
    def name(self) -> HandlerName:
        """The handler's name."""
        return self.configuration.discovery.handler

    @property
    def address(self) -> str:
        """The handler's endpoint."""
        return self.source.address

    def close(self) -> None:
        """Say nothing more from here on, however long it takes to end: what follows it has its place already."""
        self.lost()
        self.closed = True

    def ask_again(self) -> None:
        """Do not wait any longer, for the handler made itself known."""
        self._again.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        self._report(self.report)
        clock, failures = self.owner.clock, 0
        while True:
            opened = clock.now()
            self._again.clear()
            if await self._ask():
                # An answer alone is no sign of health: a stream that breaks after each one would be opened without end.
                failures = 1 if clock.now() - opened > NETWORK_BACK_OFF.most else failures + 1
                await wait_for_either(clock, NETWORK_BACK_OFF.seconds(failures, clock.random()), self._again)
            else:
                await self._again.wait()

    async def _ask(self) -> bool:
        """Follow one stream to its end; tell whether to ask again without being told to."""
        try:
            handler = self.source.make(self.owner.clock, self.configuration.poll_interval)
            self._change(lambda presence: presence.registered(self.address, shared=handler.shared))
            await self._follow(handler)
        except InvalidDocumentError as error:
            self._failed(str(error))
            return False
        except AkriError as error:
            self._failed(str(error))
            self._silent(str(error))
        except asyncio.CancelledError:
            if self.closed or _cancelling():
                raise
            self._failed(f"discovery handler {self.name} cancelled itself")
        except Exception as error:
            # A handler is other people's code: whatever it raises is its report.
            _logger.exception("discovery failed configuration=%s handler=%s", self.key, self.name)
            self._say(error=f"discovery handler {self.name} failed: {type(error).__name__}: {error}")
        finally:
            self.lost()
        return True

    def _silent(self, error: str) -> None:
        if not self.closed:
            self.owner.handlers.failed(self.address, error)

    async def _follow(self, handler: Handler) -> None:
        fetching = _fetched(self.configuration, self.owner.platform)
        properties = await within(self.owner.clock, _FETCH_TIMEOUT, fetching, f"the discovery properties of Configuration {self.key}")
        self._say(asked_at=self.owner.clock.wall(), error="")
        snapshots = handler.discover(self.configuration.discovery.details, properties)
        try:
            async for snapshot in snapshots:
                self._take(restricted(snapshot, self.owner.handlers.allowed))
        finally:
            if isinstance(snapshots, AsyncGenerator):
                await snapshots.aclose()
        self._failed(f"discovery handler {self.name} ended its answers")

    def _take(self, snapshot: Snapshot) -> None:
        if self.closed:
            return
        self.owner.handlers.answered(self.address)
        gone: set[DeviceId] = set(snapshot.gone_ids)
        endpoint = self.owner.presence[self.key].endpoint(self.address)
        if self.certain and endpoint is not None:
            gone |= {*endpoint.devices, *endpoint.missing}
        now = self.owner.clock.now()
        self._change(lambda presence: presence.answered(self.address, snapshot.devices, now, gone, snapshot.problems))
        self.certain = False
        report = snapshot.report or SourceReport(candidates=len(snapshot.devices))
        self._report(
            HandlerReport(
                name=self.name,
                endpoint=self.address,
                asked_at=self.report.asked_at,
                answered_at=self.owner.clock.wall(),
                devices=len(snapshot.devices),
                candidates=report.candidates,
                dropped=report.dropped,
                message=report.message,
            )
        )

    def lost(self) -> None:
        """Take in that the last answer holds no longer than until now."""
        self._change(lambda presence: presence.lost(self.address, self.owner.clock.now()))

    def _change(self, change: Callable[[Presence], Presence]) -> None:
        if not self.closed:
            self.owner.presence[self.key] = change(self.owner.presence[self.key])
            self.owner.changed(self.key)

    def _failed(self, error: str) -> None:
        _logger.warning("no discovery configuration=%s handler=%s error=%s", self.key, self.name, error)
        self._say(error=error)

    def _say(self, *, error: str, asked_at: float | None = None) -> None:
        self._report(evolve(self.report, error=error, asked_at=self.report.asked_at if asked_at is None else asked_at))

    def _report(self, report: HandlerReport) -> None:
        if not self.closed:
            self.report = report
            self.owner.changed(self.key)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _fetched(configuration: Configuration, platform: NodePlatform) -> Mapping[str, bytes]:
    """Fetch and combine the discovery properties. Raises DiscoveryError that names each one that is missing."""
    properties = configuration.discovery.properties
    secrets: dict[ObjectKey, Mapping[str, bytes]] = {}
    config_maps: dict[ObjectKey, Mapping[str, bytes]] = {}
    for reference in needs(properties):
        is_secret = isinstance(reference, FromSecret)
        data = await (platform.fetch_secret if is_secret else platform.fetch_config_map)(reference.source)
        if data is not None:
            (secrets if is_secret else config_maps)[reference.source] = data
    resolved = resolve(properties, secrets, config_maps)
    if resolved.missing:
        raise DiscoveryError("; ".join(str(problem) for problem in resolved.missing))
    return resolved.values

"""Asks the discovery handlers, for each Configuration, and keeps what they say in its Presence.

One stream for each Configuration and handler. A stream that ends or fails is opened again after a capped back-off; details
that a handler refuses are asked again only when they change. What failed stands in the report of this node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

from attrs import define, evolve, field

from akri.agent.state import NodeState
from akri.clock import within
from akri.core.configuration import Configuration
from akri.core.errors import AkriError, DiscoveryError, InvalidDocumentError
from akri.core.ids import DeviceId, HandlerName, ObjectKey
from akri.core.presence import Presence
from akri.core.properties import FromSecret, needs, resolve
from akri.core.reports import HandlerReport
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.embedded import HandlerFactory
from akri.discovery.handler import Handler
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.ports import Clock, NodePlatform

__all__ = ["EMBEDDED", "Discovery"]

_logger = logging.getLogger(__name__)
_FETCH_TIMEOUT: Final = 10.0
EMBEDDED: Final = "embedded"
"""Endpoint of a handler that runs inside the agent."""


@define(eq=False)
class Discovery:
    """Streams of all Configurations. `presence` and `reports` are what they said so far."""

    state: NodeState
    platform: NodePlatform
    clock: Clock
    handlers: Mapping[HandlerName, HandlerFactory]
    on_change: Callable[[ObjectKey], None]
    presence: dict[ObjectKey, Presence] = field(factory=dict[ObjectKey, Presence])
    reports: dict[ObjectKey, HandlerReport] = field(factory=dict[ObjectKey, HandlerReport])
    _streams: dict[ObjectKey, _Stream] = field(factory=lambda: dict[ObjectKey, _Stream]())  # noqa: PLW0108 - the class follows below
    _tasks: dict[ObjectKey, asyncio.Task[None]] = field(factory=dict[ObjectKey, asyncio.Task[None]])

    async def run(self, changed: asyncio.Event) -> None:
        """Open, keep and close streams as Configurations come and go; `changed` says when to look."""
        async with asyncio.TaskGroup() as group:
            while True:
                changed.clear()
                wanted = dict(self.state.configurations)
                for key in self._streams.keys() - wanted.keys():
                    self._close(key)
                    self.presence.pop(key, None)
                    self.reports.pop(key, None)
                for key, configuration in wanted.items():
                    self._open(group, key, configuration)
                await changed.wait()

    def _open(self, group: asyncio.TaskGroup, key: ObjectKey, configuration: Configuration) -> None:
        former = self._streams.get(key)
        if former is not None and _same_question(former.configuration, configuration):
            return
        if former is not None:
            self._close(key)
        same = former is not None and former.configuration.metadata.uid == configuration.metadata.uid
        if not same:
            self.presence[key] = Presence.begin(self.clock.now())
        stream = self._streams[key] = _Stream(self, configuration, certain=same)
        self._tasks[key] = group.create_task(stream.run())

    def _close(self, key: ObjectKey) -> None:
        # From here on the stream says nothing more, however long it takes to end: what follows it has its place already.
        stream = self._streams.pop(key)
        stream.lost()
        stream.closed = True
        self._tasks.pop(key).cancel()


@define(eq=False)
class _Stream:
    """The stream of one Configuration to the handler that it names. certain: devices that a first answer lacks are gone,

    for the question changed, not the world. closed: another one took its place, or its Configuration is gone.
    """

    owner: Discovery
    configuration: Configuration
    certain: bool = field(kw_only=True)
    closed: bool = False

    @property
    def key(self) -> ObjectKey:
        return self.configuration.key

    @property
    def name(self) -> HandlerName:
        return self.configuration.discovery.handler

    async def run(self) -> None:
        """Ask until cancelled."""
        self._report(HandlerReport(self.name, EMBEDDED))
        factory = self.owner.handlers.get(self.name)
        if factory is None:
            known = ", ".join(sorted(self.owner.handlers)) or "none"
            error = f"no discovery handler {self.name} is registered on this node; registered: {known}"
            self._report(HandlerReport(self.name, "", error=error))
            return
        clock, failures, opened = self.owner.clock, 0, self.owner.clock.now()
        while await self._ask(factory):
            # An answer alone is no sign of health: a stream that breaks after each one would be opened without end.
            failures = 1 if clock.now() - opened > NETWORK_BACK_OFF.most else failures + 1
            await clock.sleep(NETWORK_BACK_OFF.seconds(failures, clock.random()))
            opened = clock.now()

    async def _ask(self, factory: HandlerFactory) -> bool:
        """Follow one stream to its end; tell whether to ask again."""
        try:
            handler = factory(self.owner.clock, self.configuration.poll_interval)
            self._change(lambda presence: presence.registered(EMBEDDED, shared=handler.shared))
            await self._follow(handler)
        except InvalidDocumentError as error:
            self._failed(str(error))
            return False
        except AkriError as error:
            self._failed(str(error))
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

    async def _follow(self, handler: Handler) -> None:
        fetching = _fetched(self.configuration, self.owner.platform)
        properties = await within(self.owner.clock, _FETCH_TIMEOUT, fetching, f"the discovery properties of Configuration {self.key}")
        self._say(asked_at=self.owner.clock.wall(), error="")
        snapshots = handler.discover(self.configuration.discovery.details, properties)
        try:
            async for snapshot in snapshots:
                self._take(snapshot)
        finally:
            if isinstance(snapshots, AsyncGenerator):
                await snapshots.aclose()
        self._failed(f"discovery handler {self.name} ended its answers")

    def _take(self, snapshot: Snapshot) -> None:
        if self.closed:
            return
        gone: set[DeviceId] = set(snapshot.gone_ids)
        endpoint = self.owner.presence[self.key].endpoint(EMBEDDED)
        if self.certain and endpoint is not None:
            gone |= {*endpoint.devices, *endpoint.missing}
        self._change(lambda presence: presence.answered(EMBEDDED, snapshot.devices, self.owner.clock.now(), gone))
        self.certain = False
        report = snapshot.report or SourceReport(candidates=len(snapshot.devices))
        self._report(
            HandlerReport(
                name=self.name,
                endpoint=EMBEDDED,
                asked_at=self.owner.reports[self.key].asked_at,
                answered_at=self.owner.clock.wall(),
                devices=len(snapshot.devices),
                candidates=report.candidates,
                dropped=report.dropped,
                message=report.message,
            )
        )

    def lost(self) -> None:
        """Take in that the last answer holds no longer than until now."""
        self._change(lambda presence: presence.lost(EMBEDDED, self.owner.clock.now()))

    def _change(self, change: Callable[[Presence], Presence]) -> None:
        if not self.closed:
            self.owner.presence[self.key] = change(self.owner.presence[self.key])
            self.owner.on_change(self.key)

    def _failed(self, error: str) -> None:
        _logger.warning("no discovery configuration=%s handler=%s error=%s", self.key, self.name, error)
        self._say(error=error)

    def _say(self, *, error: str, asked_at: float | None = None) -> None:
        if not self.closed:
            before = self.owner.reports[self.key]
            self._report(evolve(before, error=error, asked_at=before.asked_at if asked_at is None else asked_at))

    def _report(self, report: HandlerReport) -> None:
        if not self.closed:
            self.owner.reports[self.key] = report
            self.owner.on_change(self.key)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _same_question(asked: Configuration, configuration: Configuration) -> bool:
    """Tell whether two states of a Configuration ask a handler the same."""
    return (asked.metadata.uid, asked.discovery, asked.poll_interval) == (
        configuration.metadata.uid,
        configuration.discovery,
        configuration.poll_interval,
    )


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

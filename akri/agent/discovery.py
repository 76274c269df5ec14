"""Asks the discovery handlers, for each Configuration, and keeps what they say in its Presence.

One stream for each Configuration and handler. A stream that ends or fails is opened again after a capped back-off; details
that a handler refuses are asked again only when they change. What failed stands in the report of this node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, evolve, field

from akri.agent.state import NodeState
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
    _streams: dict[ObjectKey, tuple[Configuration, asyncio.Task[None]]] = field(factory=dict[ObjectKey, tuple[Configuration, asyncio.Task[None]]])

    async def run(self, changed: asyncio.Event) -> None:
        """Open, keep and close streams as Configurations come and go; `changed` says when to look."""
        async with asyncio.TaskGroup() as group:
            while True:
                changed.clear()
                wanted = dict(self.state.configurations)
                for key in self._streams.keys() - wanted.keys():
                    self._close(key)
                for key, configuration in wanted.items():
                    self._open(group, key, configuration)
                await changed.wait()

    def _open(self, group: asyncio.TaskGroup, key: ObjectKey, configuration: Configuration) -> None:
        asked, task = self._streams.get(key, (None, None))
        if asked is not None and task is not None:
            if _same_question(asked, configuration):
                return
            task.cancel()
        if asked is None or asked.metadata.uid != configuration.metadata.uid:
            self.presence[key] = Presence.begin(self.clock.now())
        certain = asked is not None and asked.metadata.uid == configuration.metadata.uid
        stream = _Stream(self, configuration, certain=certain)
        self._streams[key] = (configuration, group.create_task(stream.run()))

    def _close(self, key: ObjectKey) -> None:
        _, task = self._streams.pop(key)
        task.cancel()
        self.presence.pop(key, None)
        self.reports.pop(key, None)


@define(eq=False)
class _Stream:
    """The stream of one Configuration to the handler that it names. certain: devices that a first answer lacks are gone,

    for the question changed, not the world.
    """

    owner: Discovery
    configuration: Configuration
    certain: bool = field(kw_only=True)
    failures: int = 0

    @property
    def key(self) -> ObjectKey:
        return self.configuration.key

    async def run(self) -> None:
        """Ask until cancelled."""
        name = self.configuration.discovery.handler
        self._report(HandlerReport(name, EMBEDDED))
        factory = self.owner.handlers.get(name)
        if factory is None:
            known = ", ".join(sorted(self.owner.handlers)) or "none"
            self._report(HandlerReport(name, "", error=f"no discovery handler {name} is registered on this node; registered: {known}"))
            return
        try:
            handler = factory(self.owner.clock, self.configuration.poll_interval)
        except AkriError as error:
            self._report(HandlerReport(name, EMBEDDED, error=str(error)))
            return
        self._change(lambda presence: presence.registered(EMBEDDED, shared=handler.shared))
        while await self._ask(handler):
            self.failures += 1
            await self.owner.clock.sleep(NETWORK_BACK_OFF.seconds(self.failures, self.owner.clock.random()))

    async def _ask(self, handler: Handler) -> bool:
        """Follow one stream to its end; tell whether to ask again."""
        try:
            properties = await _fetched(self.configuration, self.owner.platform)
            self._say(asked_at=self.owner.clock.wall(), error="")
            async for snapshot in handler.discover(self.configuration.discovery.details, properties):
                self._take(snapshot)
            self._say(error=f"discovery handler {handler.name} ended its answers")
        except InvalidDocumentError as error:
            self._say(error=str(error))
            return False
        except AkriError as error:
            self._say(error=str(error))
        except Exception as error:  # noqa: BLE001 - a handler is other people's code: whatever it raises is its report
            self._say(error=f"discovery handler {handler.name} failed: {type(error).__name__}: {error}")
        finally:
            self._change(lambda presence: presence.lost(EMBEDDED, self.owner.clock.now()))
        return True

    def _take(self, snapshot: Snapshot) -> None:
        self.failures = 0
        gone: set[DeviceId] = set(snapshot.gone_ids)
        endpoint = self.owner.presence[self.key].endpoint(EMBEDDED)
        if self.certain and endpoint is not None:
            gone |= {*endpoint.devices, *endpoint.missing}
            self.certain = False
        self._change(lambda presence: presence.answered(EMBEDDED, snapshot.devices, self.owner.clock.now(), gone))
        report = snapshot.report or SourceReport(candidates=len(snapshot.devices))
        self._report(
            HandlerReport(
                name=self.configuration.discovery.handler,
                endpoint=EMBEDDED,
                asked_at=self.owner.reports[self.key].asked_at,
                answered_at=self.owner.clock.wall(),
                devices=len(snapshot.devices),
                candidates=report.candidates,
                dropped=report.dropped,
                message=report.message,
            )
        )

    def _change(self, change: Callable[[Presence], Presence]) -> None:
        presence = self.owner.presence.get(self.key)
        if presence is not None:
            self.owner.presence[self.key] = change(presence)
            self.owner.on_change(self.key)

    def _say(self, *, error: str, asked_at: float | None = None) -> None:
        before = self.owner.reports[self.key]
        self._report(evolve(before, error=error, asked_at=before.asked_at if asked_at is None else asked_at))

    def _report(self, report: HandlerReport) -> None:
        self.owner.reports[self.key] = report
        self.owner.on_change(self.key)


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

"""Asks the discovery handlers, for each Configuration, and keeps what they say in its Presence.

One stream for each Configuration and each handler that is known under the name it asks for (D6). What failed stands in the
report of this node. Where a value from a Secret or ConfigMap changes, the streams are opened anew with it; until they have
answered, and if the handler refuses the new value, the devices have their grace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from attrs import define, evolve, field, frozen

from akri.agent.handlers import Handlers, Source
from akri.agent.properties import Properties
from akri.agent.remembering import Remembered
from akri.agent.state import NodeState
from akri.agent.streams import Stream
from akri.core.configuration import Configuration
from akri.core.ids import ObjectKey
from akri.core.presence import Presence
from akri.core.reports import HandlerReport, Reason
from akri.discovery.redaction import Redaction
from akri.ports import Clock, NodePlatform

__all__ = ["Discovery"]


@define(eq=False)
class Discovery:
    """Streams of all Configurations. `presence` is what they said so far.

    remembered: what an earlier run of the agent knew; taken from here when a Configuration is looked at first.
    """

    state: NodeState
    platform: NodePlatform
    clock: Clock
    handlers: Handlers
    on_change: Callable[[ObjectKey], None]
    remembered: dict[ObjectKey, Remembered] = field(factory=dict[ObjectKey, Remembered])
    presence: dict[ObjectKey, Presence] = field(factory=dict[ObjectKey, Presence])
    _asked: dict[ObjectKey, _Asked] = field(factory=lambda: dict[ObjectKey, _Asked]())  # noqa: PLW0108 - below
    _news: asyncio.Event = field(factory=asyncio.Event)

    async def run(self, news: asyncio.Event) -> None:
        """Open, keep and close streams as Configurations and handlers come and go; `news` says when to look."""
        self._news = news
        async with asyncio.TaskGroup() as group:
            while True:
                news.clear()
                for key in self._asked.keys() - self.state.configurations.keys():
                    self._asked.pop(key).end()
                    self.presence.pop(key, None)
                for key, configuration in dict(self.state.configurations).items():
                    self._serve(group, key, configuration)
                await news.wait()

    def registered(self, address: str) -> None:
        """Take in that the handler at an endpoint made itself known: who waits for it asks at once (E4)."""
        for asked in self._asked.values():
            if address in asked.streams:
                asked.streams[address].stream.ask_again()

    def reports(self, configuration: ObjectKey) -> tuple[HandlerReport, ...]:
        """Say how it goes with the handlers of a Configuration; empty before it was looked at."""
        asked = self._asked.get(configuration)
        if asked is None:
            return ()
        name, trouble = asked.configuration.discovery.handler, asked.properties.trouble
        kind = Reason.PROPERTY_MISSING if trouble else None
        if asked.streams:
            reports = (running.stream.report for running in asked.streams.values())
            return tuple(report if report.error else evolve(report, error=trouble, reason=kind) for report in reports)
        waiting = "" if trouble else "its discovery properties are being read"
        sources = self.handlers.of(name)
        found = tuple(HandlerReport(name, source.address, message=waiting, error=trouble, reason=kind) for source in sources)
        return found or (HandlerReport(name, "", error=self.handlers.missing(name), reason=Reason.HANDLER_MISSING),)

    def changed(self, configuration: ObjectKey) -> None:
        """Tell that there is something new about a Configuration."""
        self.on_change(configuration)

    def _serve(self, group: asyncio.TaskGroup, key: ObjectKey, configuration: Configuration) -> None:
        former = self._asked.get(key)
        asked = self._asked[key] = self._question(group, key, configuration, former)
        if former is None or former.configuration.metadata.uid != configuration.metadata.uid:
            self.presence[key] = self._begin(configuration)
        sources = {source.address: source for source in self.handlers.of(configuration.discovery.handler)}
        asked.end_streams(lambda running: running.stream.source == sources.get(running.stream.address))
        for endpoint in self.presence[key].endpoints:
            if endpoint.address not in sources:
                self.presence[key] = self.presence[key].forgotten(endpoint.address, self.clock.now())
        asked.open_streams(group, self, sources)
        if not asked.streams:
            self.changed(key)

    def _begin(self, configuration: Configuration) -> Presence:
        known = self.remembered.pop(configuration.key, None)
        of_this_one = known is not None and known.uid == configuration.metadata.uid
        return Presence.begin(self.clock.now(), known.sightings if known is not None and of_this_one else ())

    def _question(self, group: asyncio.TaskGroup, key: ObjectKey, configuration: Configuration, former: _Asked | None) -> _Asked:
        """Keep what was asked before, or make a new question of it: then the streams of the former one have ended."""
        if former is not None and _same_question(former.configuration, configuration):
            former.configuration = configuration
            if former.values != former.properties.values:
                former.end_streams(lambda _: False)
            return former
        known = former is not None and former.configuration.metadata.uid == configuration.metadata.uid
        if former is not None:
            former.end()
        properties = Properties(configuration.discovery.properties, self.platform, self.clock, partial(self._properties_changed, key))
        following = group.create_task(properties.run()) if properties.sources else None
        return _Asked(configuration, properties, following, certain=known)

    def _properties_changed(self, key: ObjectKey) -> None:
        self._news.set()
        self.changed(key)


@frozen
class _Running:
    """A stream and the task that runs it."""

    stream: Stream
    task: asyncio.Task[None]

    def end(self) -> None:
        # From here on the stream says nothing more, however long its task takes to end.
        self.stream.close()
        self.task.cancel()


@define(eq=False)
class _Asked:
    """What a Configuration asks, and its streams by the handler's endpoint.

    following: follows the Secrets and ConfigMaps. certain: the question is a new one, so that a device that its first answer lacks
    is gone. values: the properties that the streams were opened with.
    """

    configuration: Configuration
    properties: Properties
    following: asyncio.Task[None] | None
    certain: bool
    values: Mapping[str, bytes] | None = field(default=None, repr=False)
    streams: dict[str, _Running] = field(factory=dict[str, _Running])

    def end(self) -> None:
        """Ask no more."""
        self.end_streams(lambda _: False)
        if self.following is not None:
            self.following.cancel()

    def end_streams(self, keep: Callable[[_Running], bool]) -> None:
        """End those that are not to be kept."""
        for address, running in list(self.streams.items()):
            if not keep(running):
                self.streams.pop(address).end()

    def open_streams(self, group: asyncio.TaskGroup, owner: Discovery, sources: Mapping[str, Source]) -> None:
        """Open one for each source that has none, in their order, as soon as all properties are there."""
        self.values = self.properties.values
        if self.values is None:
            return
        hide = Redaction(self.properties.secret_values)
        for address, source in sources.items():
            if address not in self.streams:
                stream = Stream(owner, self.configuration, source, self.values, hide, certain=self.certain)
                self.streams[address] = _Running(stream, group.create_task(stream.run()))
        if self.streams:
            self.certain = False


def _same_question(asked: Configuration, configuration: Configuration) -> bool:
    """Tell whether two states of a Configuration ask a handler the same."""
    return (asked.metadata.uid, asked.discovery, asked.poll_interval) == (
        configuration.metadata.uid,
        configuration.discovery,
        configuration.poll_interval,
    )

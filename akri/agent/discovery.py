"""Asks the discovery handlers, for each Configuration, and keeps what they say in its Presence.

One stream for each Configuration and each handler that is known under the name it asks for (D6). What failed stands in the
report of this node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define, field, frozen

from akri.agent.handlers import Handlers
from akri.agent.state import NodeState
from akri.agent.streams import Stream
from akri.core.configuration import Configuration
from akri.core.ids import ObjectKey
from akri.core.presence import Presence
from akri.core.reports import HandlerReport
from akri.ports import Clock, NodePlatform

__all__ = ["Discovery"]


@define(eq=False)
class Discovery:
    """Streams of all Configurations. `presence` is what they said so far."""

    state: NodeState
    platform: NodePlatform
    clock: Clock
    handlers: Handlers
    on_change: Callable[[ObjectKey], None]
    presence: dict[ObjectKey, Presence] = field(factory=dict[ObjectKey, Presence])
    _running: dict[ObjectKey, dict[str, _Running]] = field(factory=lambda: dict[ObjectKey, dict[str, _Running]]())  # noqa: PLW0108 - below
    _asked: dict[ObjectKey, Configuration] = field(factory=dict[ObjectKey, Configuration])

    async def run(self, news: asyncio.Event) -> None:
        """Open, keep and close streams as Configurations and handlers come and go; `news` says when to look."""
        async with asyncio.TaskGroup() as group:
            while True:
                news.clear()
                for key in self._asked.keys() - self.state.configurations.keys():
                    self._drop(key)
                for key, configuration in dict(self.state.configurations).items():
                    self._serve(group, key, configuration)
                await news.wait()

    def registered(self, address: str) -> None:
        """Take in that the handler at an endpoint made itself known: who waits for it asks at once (E4)."""
        for streams in self._running.values():
            if address in streams:
                streams[address].stream.ask_again()

    def reports(self, configuration: ObjectKey) -> tuple[HandlerReport, ...]:
        """Say how it goes with the handlers of a Configuration; empty before it was looked at."""
        asked = self._asked.get(configuration)
        if asked is None:
            return ()
        name = asked.discovery.handler
        found = tuple(running.stream.report for running in self._running[configuration].values())
        return found or (HandlerReport(name, "", error=self.handlers.missing(name)),)

    def changed(self, configuration: ObjectKey) -> None:
        """Tell that there is something new about a Configuration."""
        self.on_change(configuration)

    def _drop(self, key: ObjectKey) -> None:
        for running in self._running.pop(key).values():
            running.end()
        del self._asked[key]
        self.presence.pop(key, None)

    def _serve(self, group: asyncio.TaskGroup, key: ObjectKey, configuration: Configuration) -> None:
        former = self._asked.get(key)
        known = former is not None and former.metadata.uid == configuration.metadata.uid
        same = former is not None and _same_question(former, configuration)
        streams = self._running.setdefault(key, {})
        sources = {source.address: source for source in self.handlers.of(configuration.discovery.handler)}
        for address, running in list(streams.items()):
            if not same or running.stream.source != sources.get(address):
                streams.pop(address).end()
        if not known:
            self.presence[key] = Presence.begin(self.clock.now())
        for endpoint in self.presence[key].endpoints:
            if endpoint.address not in sources:
                self.presence[key] = self.presence[key].forgotten(endpoint.address, self.clock.now())
        self._asked[key] = configuration
        for address in sources.keys() - streams.keys():
            stream = Stream(self, configuration, sources[address], certain=known and not same)
            streams[address] = _Running(stream, group.create_task(stream.run()))
        if not streams:
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


def _same_question(asked: Configuration, configuration: Configuration) -> bool:
    """Tell whether two states of a Configuration ask a handler the same."""
    return (asked.metadata.uid, asked.discovery, asked.poll_interval) == (
        configuration.metadata.uid,
        configuration.discovery,
        configuration.poll_interval,
    )

"""What an agent and the controller want of a Kubernetes cluster alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

from akri.core.instance import Instance
from akri.core.reports import Event
from akri.platforms.kubernetes import decoding
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.events import Events
from akri.platforms.kubernetes.resources import CONFIGURATIONS, INSTANCES
from akri.platforms.kubernetes.watching import watch_objects
from akri.ports import Clock, ConfigurationObservation, WatchEvent

__all__ = ["KubernetesPlatform"]


class KubernetesPlatform:
    """What NodePlatform and ClusterPlatform share."""

    def __init__(self, client: ApiClient, clock: Clock, reporter: str, name: str) -> None:
        """Speak through a client that is open and logged in; events say that they come from `reporter`, its instance `name`."""
        self._client = client
        self._clock = clock
        self._events = Events(client, clock, reporter, name)

    async def close(self) -> None:
        """Give events that are on their way a second, and drop the rest. The client stays open."""
        await self._events.close()

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations, unusable ones as UnreadableConfiguration."""
        return watch_objects(self._client, CONFIGURATIONS, decoding.configuration, self._clock)

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances; one that cannot be used is as if it were not there."""
        return watch_objects(self._client, INSTANCES, decoding.instance, self._clock)

    async def emit(self, event: Event) -> None:
        """Send an event soon; repetitions within five minutes and floods are dropped. Never raises for a failed delivery."""
        await self._events.emit(event)

"""Everything that a platform holds at one moment, as one value, so that what is said about it is decided without asking twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import TypeVar, cast

from attrs import field, frozen

from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, PastEvent
from akri.ports import ConfigurationObservation, Reset, UserPlatform, WatchEvent
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState

__all__ = ["Overview", "look", "present"]

_T = TypeVar("_T")


def _frozen(value: Mapping[str, ConfigurationStatus]) -> Mapping[str, ConfigurationStatus]:
    return MappingProxyType(dict(value))


@frozen
class Overview:
    """What there is. statuses: by the Configuration's uid. events: oldest first."""

    configurations: tuple[ConfigurationObservation, ...] = ()
    statuses: Mapping[str, ConfigurationStatus] = field(factory=dict[str, ConfigurationStatus], converter=_frozen, hash=False)
    instances: tuple[Instance, ...] = ()
    broker_pods: tuple[BrokerPod, ...] = ()
    broker_jobs: tuple[BrokerJob, ...] = ()
    services: tuple[BrokerService, ...] = ()
    reports: tuple[DiscoveryReport, ...] = ()
    nodes: tuple[NodeState, ...] = ()
    events: tuple[PastEvent, ...] = ()


async def look(platform: UserPlatform) -> Overview:
    """Read everything. Raises what the port's methods raise."""
    return Overview(
        configurations=await present(platform.watch_configurations()),
        statuses=await platform.read_statuses(),
        instances=await present(platform.watch_instances()),
        broker_pods=await present(platform.watch_broker_pods()),
        broker_jobs=await present(platform.watch_broker_jobs()),
        services=await present(platform.watch_broker_services()),
        reports=await present(platform.watch_reports()),
        nodes=await present(platform.watch_nodes()),
        events=await platform.read_events(),
    )


async def present(watch: AsyncIterator[WatchEvent[_T]]) -> tuple[_T, ...]:
    """Give the present set that a watch begins with, and close the watch."""
    async with aclosing(cast("AsyncGenerator[WatchEvent[_T]]", watch)) as events:
        async for event in events:
            if isinstance(event, Reset):
                return event.objects
    return ()

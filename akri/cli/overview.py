"""Everything that a platform holds at one moment, as one value, so that what is said about it is decided without asking twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Final, TypeVar, cast

from attrs import field, fields, frozen

from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, PastEvent
from akri.ports import ConfigurationObservation, Reset, UserPlatform, WatchEvent
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState

__all__ = ["PARTS", "Overview", "look", "present"]

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


PARTS: Final = frozenset(attribute.name for attribute in fields(Overview))
"""The names of an Overview's fields."""


async def look(platform: UserPlatform, parts: Collection[str] = PARTS) -> Overview:
    """Read everything, or those fields alone that are named; the others are left empty. Raises what the port's methods raise."""
    return Overview(
        configurations=await present(platform.watch_configurations()) if "configurations" in parts else (),
        statuses=await platform.read_statuses() if "statuses" in parts else {},
        instances=await present(platform.watch_instances()) if "instances" in parts else (),
        broker_pods=await present(platform.watch_broker_pods()) if "broker_pods" in parts else (),
        broker_jobs=await present(platform.watch_broker_jobs()) if "broker_jobs" in parts else (),
        services=await present(platform.watch_broker_services()) if "services" in parts else (),
        reports=await present(platform.watch_reports()) if "reports" in parts else (),
        nodes=await present(platform.watch_nodes()) if "nodes" in parts else (),
        events=await platform.read_events() if "events" in parts else (),
    )


async def present(watch: AsyncIterator[WatchEvent[_T]]) -> tuple[_T, ...]:
    """Give the present set that a watch begins with, and close the watch."""
    async with aclosing(cast("AsyncGenerator[WatchEvent[_T]]", watch)) as events:
        async for event in events:
            if isinstance(event, Reset):
                return event.objects
    return ()

"""An agent over the in-memory platform on virtual time, without sockets: the test is the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from attrs import define, field

from akri.agent.agent import Agent
from akri.agent.memory import Orphans
from akri.agent.releases import ListPods
from akri.agent.remembering import Remembered
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.evidence import Listing
from akri.core.ids import DeviceId, HandlerName, NodeName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.reports import Event, Reason
from akri.discovery.embedded import HandlerFactory
from akri.discovery.handler import Handler
from akri.platforms.local.memory import MemoryStore
from akri.ports import Clock, NodePlatform
from akri.testing.clock import VirtualClock
from akri.testing.faults import FaultyNodePlatform, Orders
from akri.testing.source import ScriptedSource

__all__ = ["HANDLER", "NODE", "Plugins", "World", "agent_world", "configuration", "device", "ids", "key", "resource"]

HANDLER = HandlerName("scripted")
NODE = NodeName("node-a")


def key(name: str, namespace: str = "default") -> ObjectKey:
    """Name an object."""
    return ObjectKey(namespace, name)


def device(device_id: str, **properties: str) -> Device:
    """Describe a device."""
    return Device(DeviceId(device_id), properties)


def configuration(name: str = "cam", capacity: int = 1, namespace: str = "default", **annotations: str) -> Configuration:
    """Describe a Configuration for the scripted source."""
    metadata = ObjectMeta(key(name, namespace), annotations={f"akri.sh/{one}": value for one, value in annotations.items()})
    return Configuration(metadata, DiscoveryRequest(HANDLER), capacity=capacity)


def resource(name: str) -> ResourceName:
    """Name a resource of the kubelet."""
    return ResourceName(f"akri.sh/{name}")


def ids(*names: str) -> list[PluginDeviceId]:
    """Name devices of a resource."""
    return [PluginDeviceId(name) for name in names]


@define(eq=False)
class Plugins:
    """What the kubelet would be offered."""

    offered: dict[ResourceName, Mapping[PluginDeviceId, bool]] = field(factory=dict[ResourceName, Mapping[PluginDeviceId, bool]])
    urgent: set[ResourceName] = field(factory=set[ResourceName])

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool) -> None:
        """Take a list."""
        self.offered[resource] = devices
        (self.urgent.add if in_use else self.urgent.discard)(resource)

    def withdraw(self, resource: ResourceName) -> None:
        """Take a list back."""
        del self.offered[resource]

    def devices(self, name: str) -> dict[str, bool]:
        """What is offered of a resource; empty for one that is not offered."""
        return {str(id_): healthy for id_, healthy in self.offered.get(resource(name), {}).items()}

    def healthy(self, name: str) -> list[str]:
        """Ids that somebody could get."""
        return sorted(id_ for id_, healthy in self.devices(name).items() if healthy)


@define(eq=False)
class World:
    """The agent and what is around it. `users`: what PodResources lists."""

    clock: VirtualClock
    store: MemoryStore
    source: ScriptedSource
    orders: Orders
    platform: FaultyNodePlatform
    plugins: Plugins
    agent: Agent
    users: dict[ResourceName, dict[PluginDeviceId, ObjectKey]]

    async def allocate(self, name: str, *wanted: str, user: str = "user") -> Mapping[str, str]:
        """Ask for devices as the kubelet does, and let a pod use them; return its environment. Raises an AkriError."""
        asked = asyncio.ensure_future(self.agent.allocate(resource(name), ids(*wanted)))
        await self.clock.run_until(asked.done)
        edits = await asked
        self.users.setdefault(resource(name), {}).update(dict.fromkeys(ids(*wanted), key(user)))
        self.agent.answered(resource(name), ids(*wanted))
        return edits.environment

    def end(self, name: str) -> None:
        """Let PodResources list nothing of a resource any more."""
        self.users.pop(resource(name), None)

    def instance(self, name: str = "cam-8120fe") -> Instance:
        """An Instance that must be there."""
        found = self.store.instance(key(name))
        assert found is not None
        return found

    def usages(self) -> dict[str, str]:
        """Every slot that is held, and by whom."""
        return {slot: text for instance in self.store.instances for slot, text in instance.device_usage.items() if text}

    def told(self, reason: Reason) -> list[Event]:
        """Events with this reason."""
        return [event for event in self.store.events if event.reason is reason]

    def problems(self, name: str = "cam") -> str:
        """What the report on a Configuration says is wrong."""
        reports = [report for report in self.store.reports if report.configuration == key(name)]
        errors = [handler.error for report in reports for handler in report.handlers]
        return "\n".join([*(problem for report in reports for problem in report.problems), *errors])


async def _list_users(clock: VirtualClock, listed: Mapping[ResourceName, Mapping[PluginDeviceId, ObjectKey]]) -> Listing:
    await asyncio.sleep(0)
    return Listing(clock.now(), {name: dict(used) for name, used in listed.items()})


def _made(source: ScriptedSource) -> HandlerFactory:
    def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
        return source

    return make


def _source(devices: Iterable[Device], *, shared: bool, answering: bool) -> ScriptedSource:
    source = ScriptedSource(HANDLER, shared=shared)
    if answering:
        source.show(*devices)
    return source


@asynccontextmanager
async def agent_world(
    *devices: Device,
    shared: bool = True,
    store: MemoryStore | None = None,
    clock: VirtualClock | None = None,
    handlers: Mapping[HandlerName, HandlerFactory] | None = None,
    list_pods: ListPods | None = None,
    platform: NodePlatform | None = None,
    plugins: Plugins | None = None,
    users: dict[ResourceName, dict[PluginDeviceId, ObjectKey]] | None = None,
    watch_pods: bool = True,
    remembered: Mapping[ObjectKey, Remembered] | None = None,
    answering: bool = True,
    orphaned: Orphans | None = None,
) -> AsyncGenerator[World]:
    """Run the agent of one node that sees these devices. At the end it must still run.

    remembered: what an earlier agent knew. answering: the handler says something; else it hangs until it is told to.
    """
    clock = clock or VirtualClock()
    store = store or MemoryStore(clock)
    source = _source(devices, shared=shared, answering=answering)
    orders = Orders()
    faulty = FaultyNodePlatform(platform or store.node(NODE), orders, clock)
    plugins = plugins or Plugins()
    listed = {} if users is None else users
    agent = Agent(
        NODE,
        faulty,
        clock,
        {HANDLER: _made(source), **(handlers or {})},
        plugins,
        list_pods or partial(_list_users, clock, listed),
        watch_pods=watch_pods,
        remembered=remembered or {},
        orphaned=orphaned or {},
    )
    task = asyncio.create_task(agent.run())
    await clock.settle()
    try:
        yield World(clock, store, source, orders, faulty, plugins, agent, listed)
        assert not task.done(), "the agent ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await faulty.close()

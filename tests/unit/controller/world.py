"""A controller over the in-memory platform on a virtual clock; the test plays agents and nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from attrs import define, evolve

from akri.controller.controller import Controller
from akri.controller.settings import ControllerSettings
from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_GENERATION, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import ConfigurationStatus
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.ports import ClusterPlatform, Outcome
from akri.scheduling.model import Action, Phase
from akri.scheduling.placement import FIRST_NODES, Placement
from akri.testing.clock import VirtualClock
from akri.testing.faults import Fault, FaultyClusterPlatform, Operation, Orders

__all__ = ["POD", "Recording", "World", "Wrap", "configuration", "key", "recording", "world"]

POD: JsonObject = {"containers": [{"name": "broker", "image": "broker", "resources": {"limits": {"{{PLACEHOLDER}}": "1"}}}]}


def key(name: str) -> ObjectKey:
    """Name an object in the namespace of these tests."""
    return ObjectKey("default", name)


def configuration(name: str = "cam", capacity: int = 2, spec: JsonObject = POD) -> Configuration:
    """Describe a Configuration with a pod broker."""
    return Configuration(ObjectMeta(key(name)), DiscoveryRequest(HandlerName("debugEcho")), capacity, PodBroker(spec))


@define(eq=False)
class World:
    """The pieces that a test looks at and changes."""

    clock: VirtualClock
    store: MemoryStore
    controller: Controller
    task: asyncio.Task[None]

    async def instance(self, name: str, *nodes: str, configuration: str = "cam", shared: bool = True) -> Instance:
        """Let agents see a device."""
        stored = next(one for one in self.store.configurations if one.key == key(configuration))
        owner = OwnerReference("akri.sh/v0", "Configuration", configuration, stored.metadata.uid, controller=True)
        annotations = {ANNOTATION_GENERATION: str(stored.metadata.generation)}
        capacity = stored.capacity if isinstance(stored, Configuration) else 1
        return await self.store.put_instance(
            Instance(
                ObjectMeta(key(name), annotations=annotations, owners=(owner,)),
                ConfigurationName(configuration),
                cdi_name=f"akri.sh/{configuration}=0",
                capacity=capacity,
                shared=shared,
                nodes=tuple(NodeName(node) for node in nodes),
                device_usage={f"{name}-{index}": "" for index in range(capacity)},
            )
        )

    async def play(self) -> None:
        """Let every node do its part: start what is pending, end what shall end."""
        await self.clock.settle()
        for pod in self.store.pods:
            if pod.metadata.deleting:
                await self.store.remove_pod(pod)
            elif pod.phase is Phase.PENDING:
                await self.store.change_pod(pod, lambda pod: evolve(pod, phase=Phase.RUNNING, started=self.clock.wall()))
        await self.clock.settle()

    def pods(self) -> dict[str, Phase]:
        """Show the phases of all pods."""
        return {pod.metadata.key.name: pod.phase for pod in self.store.pods}

    def pod(self, name: str) -> Pod:
        """Find a pod that must be there."""
        found = self.store.pod(key(name))
        assert found is not None
        return found


Wrap: TypeAlias = Callable[[ClusterPlatform, VirtualClock], ClusterPlatform]
"""What a test puts between controller and store."""


class Recording(FaultyClusterPlatform):
    """A platform that notes what was asked of it, does what `faults` orders, and raises what it is told to."""

    def __init__(self, platform: ClusterPlatform, clock: VirtualClock, faults: Orders) -> None:
        """Pass everything on to this platform."""
        super().__init__(platform, faults, clock)
        self.faults = faults
        self.actions: list[Action] = []
        self.statuses: list[ConfigurationStatus] = []
        self.raising: list[Exception] = []

    async def execute(self, action: Action) -> Outcome:
        """Note and pass on."""
        self.actions.append(action)
        if self.raising:
            raise self.raising.pop(0)
        return await super().execute(action)

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Note and pass on."""
        self.statuses.append(status)
        await super().set_status(key, uid, status)


def recording(seen: list[Recording], *faults: tuple[Operation, Fault | None]) -> Wrap:
    """Put a Recording between controller and store, and hand it to the test."""

    def wrap(platform: ClusterPlatform, clock: VirtualClock) -> ClusterPlatform:
        orders = Orders()
        for operation, fault in faults:
            orders.add(operation, fault)
        seen.append(Recording(platform, clock, orders))
        return seen[-1]

    return wrap


def _plain(platform: ClusterPlatform, _clock: VirtualClock) -> ClusterPlatform:
    return platform


@asynccontextmanager
async def world(
    wrap: Wrap = _plain, placement: Placement = FIRST_NODES, settings: ControllerSettings | None = None, *, nodes: str = "abc"
) -> AsyncGenerator[World]:
    """Run a controller over an empty store with ready nodes; `wrap` puts something between the two."""
    clock = VirtualClock()
    store = MemoryStore(clock)
    for name in nodes:
        await store.register_node(NodeName(name))
    controller = Controller(wrap(store.cluster(), clock), clock, placement, settings)
    task = asyncio.create_task(controller.run())
    await clock.settle()
    try:
        yield World(clock, store, controller, task)
    finally:
        assert not task.done(), "nothing ends the controller"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

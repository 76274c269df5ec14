"""A controller over the in-memory platform on a virtual clock; the test plays agents and nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, evolve, field

from akri.controller.controller import Controller
from akri.controller.settings import ControllerSettings
from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_GENERATION, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.scheduling.model import Phase
from akri.scheduling.placement import FIRST_NODES, Placement
from akri.testing.clock import VirtualClock

__all__ = ["POD", "World", "configuration", "key", "world"]

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
    started: list[str] = field(factory=list)

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


@asynccontextmanager
async def world(placement: Placement = FIRST_NODES, settings: ControllerSettings | None = None) -> AsyncIterator[World]:
    """Run a controller over an empty store with the ready nodes a, b and c."""
    clock = VirtualClock()
    store = MemoryStore(clock)
    for name in ("a", "b", "c"):
        await store.register_node(NodeName(name))
    controller = Controller(store.cluster(), clock, placement, settings)
    task = asyncio.create_task(controller.run())
    await clock.settle()
    try:
        yield World(clock, store, controller)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""Joins the parts into one machine: store, device manager, agent, controller and the runner of brokers, by values and callables."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, field

from akri.agent.agent import Agent
from akri.agent.memory import Memory
from akri.clock import SystemClock
from akri.controller.controller import Controller
from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.discovery.registration import RegistrationServer
from akri.platforms.local.jobs import JobRunner
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.node_runner import NodeRunner
from akri.platforms.local.pod_run import Output, PodToAdmit, no_output
from akri.platforms.local.stopping import stop_all
from akri.ports import Clock
from akri_standalone.settings import Settings

__all__ = ["Machine"]

_GRACE: Final = 5.0
"""Seconds that brokers have to end in, when the machine does."""


@define(eq=False)
class Machine:
    """One machine without a cluster. `run` until cancelled; then no process of a broker is left."""

    settings: Settings
    output: Output = no_output
    clock: Clock = field(factory=SystemClock)
    store: MemoryStore = field(init=False)
    manager: DeviceManager = field(init=False)
    agent: Agent = field(init=False)
    controller: Controller = field(init=False)
    _host: PluginHost = field(init=False)
    _memory: Memory = field(init=False)
    _registrations: RegistrationServer = field(init=False)
    _runner: NodeRunner = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the parts and join them; nothing runs yet."""
        settings, clock = self.settings, self.clock
        self.store = MemoryStore(clock)
        self.manager = DeviceManager(settings.plugins, settings.pod_resources, clock=clock)
        self._host = PluginHost(
            settings.plugins,
            self._allocate,
            clock=clock,
            answered=lambda resource, ids, _: self.agent.answered(resource, ids),
            failed=self._lost,
            kubelet_started=lambda _: self.agent.kubelet_started(),
        )
        platform = self.store.node(settings.node)
        pods = PodResourcesClient(settings.pod_resources, clock)
        self._memory = Memory(settings.folder / "agent", clock)
        known = self._memory.load()
        self.agent = Agent(
            settings.node, platform, clock, settings.handlers, self._host, pods.list, registrations=known, keep=self._memory.keep
        )
        self._registrations = RegistrationServer(settings.discovery_handlers, self.agent.register, clock)
        self.controller = Controller(self.store.cluster(), clock)
        self._runner = NodeRunner(
            self.store,
            settings.node,
            clock=clock,
            folder=settings.folder / "brokers",
            admit=self._admit,
            ended=lambda pod: self.manager.pod_ended(pod.uid),
            allocatable=self._allocatable,
            output=self.output,
            log_directory=settings.logs,
        )

    async def run(self) -> None:
        """Find devices and run brokers until cancelled."""
        self.settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await self._run()
        finally:
            await stop_all(self.settings.folder, _GRACE)

    async def _run(self) -> None:
        async with self.manager, self._registrations, asyncio.TaskGroup() as group:
            await self.store.register_node(self.settings.node)
            jobs = JobRunner(self.store, clock=self.clock)
            parts = (
                self._host.run(),
                self.agent.run(),
                self.controller.run(),
                self._runner.run(),
                jobs.run(),
                self._watch_devices(),
                self._memory.run(),
            )
            for work in parts:
                group.create_task(work)

    async def _allocate(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        return await self.agent.allocate(resource, ids)

    def _lost(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        # The answer did not arrive, so nobody uses the devices: Lists count from here as after any other answer.
        self.agent.answered(resource, ids)

    async def _admit(self, pod: PodToAdmit) -> Mapping[str, ContainerEdits]:
        init = [container for container in pod.containers if container.init]
        main = [container for container in pod.containers if not container.init]
        requests = [
            tuple(ContainerRequest(one.name, one.devices, sidecar=one.sidecar) for one in containers) for containers in (main, init)
        ]
        return await self.manager.admit(PodRequest(pod.key, pod.uid, *requests))

    def _allocatable(self) -> Mapping[ResourceName, int]:
        return {name: resource.allocatable for name, resource in self.manager.resources.items()}

    async def _until_other_than(self, seen: Mapping[ResourceName, int]) -> None:
        await self.manager.until(lambda: self._allocatable() != seen)

    async def _watch_devices(self) -> None:
        """Let pods that wait for a device start when there is one."""
        seen = self._allocatable()
        while True:
            await self._until_other_than(seen)
            seen = self._allocatable()
            self._runner.reconsider()

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
from akri.core.naming import resource_name
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.deviceplugin.embedded import EmbeddedPlugins
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.manager import DeviceManager
from akri.discovery.registration import RegistrationServer
from akri.platforms.local.jobs import JobRunner
from akri.platforms.local.node_runner import NodeRunner
from akri.platforms.local.pod_run import Output, PodToAdmit, no_output
from akri.platforms.local.readiness import Readiness
from akri.platforms.local.store import LocalStore
from akri.ports import Clock
from akri_standalone.settings import Settings

__all__ = ["Machine"]

_PATIENCE: Final = 30.0
_LOOK: Final = 0.05
_LOOK_FOR_MANAGER: Final = 0.5
"""Seconds between two looks whether the device manager was started anew, which it is not as long as this process lives."""
_GATHER: Final = 0.02
"""Seconds in which changes of devices are gathered, for a thousand resources come one after the other at a start."""


@define(eq=False)
class Machine:
    """One node without a cluster, and the controller where the settings say so. Whoever runs it holds the locks and the open store."""

    settings: Settings
    store: LocalStore
    output: Output = no_output
    clock: Clock = field(factory=SystemClock)
    manager: DeviceManager = field(init=False)
    agent: Agent = field(init=False)
    _plugins: PluginHost | EmbeddedPlugins = field(init=False)
    _memory: Memory = field(init=False)
    _registrations: RegistrationServer = field(init=False)
    _runner: NodeRunner = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the parts and join them; nothing runs yet, but what an earlier run remembered is read."""
        settings, clock, folder = self.settings, self.clock, self.settings.folder
        # What runs goes on whatever its plugins say at a start; a kubelet would refuse pods whose init containers had devices.
        self.manager = DeviceManager(folder.plugins, folder.pod_resources, clock=clock, readmits=False)
        self._plugins = self._remote_plugins() if settings.sockets else EmbeddedPlugins(self.manager, self._allocate, self._answered)
        self._memory = Memory(folder.agent, clock)
        self.agent = Agent(
            settings.node,
            self.store.node(settings.node),
            clock,
            settings.handlers,
            self._plugins,
            self.manager.listing,
            registrations=self._memory.load(),
            keep=self._memory.keep,
            remembered=self._memory.load_devices(settings.node),
            on_devices=self._memory.look_again,
            # Here a pod is listed until its last process has ended, whatever was killed meanwhile: its record says so.
            unseen_grace=0.0,
            orphaned=self._memory.load_orphans(),
        )
        self._registrations = RegistrationServer(folder.handlers, self.agent.register, clock)
        self._runner = NodeRunner(
            self.store,
            settings.node,
            clock=clock,
            folder=settings.state.brokers,
            admit=self._admit,
            ended=lambda pod: self.manager.pod_ended(pod.uid),
            allocatable=lambda: self.manager.allocatable,
            output=self.output,
            log_directory=settings.state.logs,
        )

    async def run(self) -> None:
        """Find devices and run brokers until cancelled."""
        # What an earlier run admitted has its devices until it is known to have ended.
        await self.manager.start([_request(pod) for pod in await asyncio.to_thread(self._runner.adopted)])
        try:
            async with self._registrations, asyncio.TaskGroup() as group:
                await self.store.register_node(self.settings.node)
                parts = (
                    self._plugins.run(),
                    self.agent.run(),
                    self._runner.run(),
                    self._watch_devices(),
                    self._memory.run(self.agent.known, self.agent.orphans),
                )
                for work in parts:
                    group.create_task(work)
                if self.settings.controlling:
                    group.create_task(Controller(self.store.cluster(), self.clock).run())
                    group.create_task(JobRunner(self.store, clock=self.clock).run())
                    group.create_task(Readiness(self.store, self.settings.state, self.clock).run())
        finally:
            await self.manager.stop()

    async def serving(self) -> None:
        """Wait until every Instance that this node was part of at the start is offered to pods again, for 30 s at most."""
        mine = [one.name for one in self.store.instances if self.settings.node in one.nodes]
        known = {resource_name(name) for name in mine}
        until = self.clock.now() + _PATIENCE
        while not (self.agent.known() is not None and known <= self._plugins.streaming) and self.clock.now() < until:
            await self.clock.sleep(_LOOK)

    async def _allocate(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        return await self.agent.allocate(resource, ids)

    def _answered(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        # Also where an answer did not arrive: nobody uses the devices, and Lists count from here as after any other answer.
        self.agent.answered(resource, ids)

    def _remote_plugins(self) -> PluginHost:
        return PluginHost(
            self.settings.folder.plugins,
            self._allocate,
            clock=self.clock,
            answered=lambda resource, ids, _: self._answered(resource, ids),
            failed=self._answered,
            kubelet_started=lambda _: self.agent.kubelet_started(),
            look_every=_LOOK_FOR_MANAGER,
        )

    async def _admit(self, pod: PodToAdmit) -> Mapping[str, ContainerEdits]:
        return await self.manager.admit(_request(pod))

    async def _watch_devices(self) -> None:
        """Let pods that wait for a device start when there is one."""
        seen: Mapping[ResourceName, int] = {}
        while True:
            if self.manager.allocatable == seen:
                await self._next_change()
            else:
                seen = dict(self.manager.allocatable)
                self._runner.reconsider()
            await self.clock.sleep(_GATHER)

    async def _next_change(self) -> None:
        answers = iter((False, True))  # not yet; and then, whatever it is
        await self.manager.until(lambda: next(answers))


def _request(pod: PodToAdmit) -> PodRequest:
    init = [container for container in pod.containers if container.init]
    main = [container for container in pod.containers if not container.init]
    requests = [tuple(ContainerRequest(one.name, one.devices, sidecar=one.sidecar) for one in containers) for containers in (main, init)]
    return PodRequest(pod.key, pod.uid, *requests)

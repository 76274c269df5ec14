"""A small cluster in one process: a store, and nodes with a device manager, plugins over real sockets and an agent each.

Time is virtual. Pods have no processes here: a test says when a container ends, so that it can say when it does not.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import define, evolve, field

from akri.agent.agent import Agent
from akri.agent.remembering import Writer, read_devices
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError
from akri.core.evidence import Listing
from akri.core.ids import DeviceId, HandlerName, NodeName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta
from akri.core.reports import Reason
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.discovery.handler import Handler
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_spec import containers as pod_containers
from akri.ports import Clock
from akri.scheduling.model import Phase
from akri.testing.clock import VirtualClock
from akri.testing.faults import FaultyNodePlatform, Orders
from akri.testing.source import ScriptedSource

__all__ = ["HANDLER", "Cluster", "Node", "RunningPod", "cluster", "configuration", "device", "resource"]

HANDLER = HandlerName("scripted")
_PATIENCE = 1.0


def device(device_id: str, **properties: str) -> Device:
    """Describe a device."""
    return Device(DeviceId(device_id), properties)


def configuration(name: str = "cam", capacity: int = 1, **annotations: str) -> Configuration:
    """Describe a Configuration for the scripted source."""
    metadata = ObjectMeta(ObjectKey("default", name), annotations={f"akri.sh/{key}": value for key, value in annotations.items()})
    return Configuration(metadata, DiscoveryRequest(HANDLER), capacity=capacity)


def resource(name: str) -> ResourceName:
    """Name a resource of the kubelet."""
    return ResourceName(f"akri.sh/{name}")


@define(eq=False)
class RunningPod:
    """A pod that a node's kubelet admitted. Its containers run until the test ends them."""

    node: Node
    pod: Pod
    edits: Mapping[str, ContainerEdits]

    @property
    def uid(self) -> str:
        """Unique over all time."""
        return self.pod.metadata.uid

    async def end(self) -> None:
        """Let all containers end; the pod is terminal, for the kubelet and in the API."""
        self.node.manager.pod_ended(self.uid)
        await self.node.store.change_pod(self.pod, lambda pod: evolve(pod, phase=Phase.SUCCEEDED, finished=self.node.clock.wall()))

    async def delete(self) -> None:
        """Delete it gracefully: it ends, and then it is removed."""
        await self.end()
        await self.node.store.remove_pod(self.pod)

    async def force_delete(self) -> None:
        """Delete it without grace: it is out of the API and out of List at once, and nothing proves its end."""
        self.node.manager.pod_ended(self.uid)
        await self.node.store.delete_pod(self.pod.metadata.key, force=True)


@define(eq=False)
class Node:
    """One node: its kubelet's half and its agent."""

    name: NodeName
    store: MemoryStore
    clock: VirtualClock
    folder: Path
    source: ScriptedSource
    orders: Orders = field(factory=Orders)
    manager: DeviceManager = field(init=False)
    platform: FaultyNodePlatform = field(init=False)
    agent: Agent = field(init=False)
    host: PluginHost = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]])
    _admitting: int = 0
    _claiming: int = 0
    _listing: int = 0
    _unanswered: int = 0
    _connecting: dict[ResourceName, float] = field(factory=dict[ResourceName, float])
    _remembered: str = ""

    def __attrs_post_init__(self) -> None:
        """Make the device manager; nothing runs yet."""
        self.manager = DeviceManager(self.folder / "p", self.folder / "r.sock", clock=self.clock)
        self.platform = FaultyNodePlatform(self.store.node(self.name), self.orders, self.clock)

    def start_agent(self, *, remembering: bool = False) -> None:
        """Start an agent. remembering: it knows the devices that the former one wrote down."""

        def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
            return self.source

        self.host = PluginHost(
            self.folder / "p",
            self._allocate,
            clock=self.clock,
            answered=lambda name, ids, _at: self._answered(name, ids),
            failed=self._answered,
            kubelet_started=lambda _at: self.agent.kubelet_started(),
        )
        remembered = read_devices(json.loads(self._remembered), self.name) if remembering else None
        self.agent = Agent(
            self.name,
            self.platform,
            self.clock,
            {HANDLER: make},
            self.host,
            self._list,
            remembered=remembered or {},
            on_devices=self._write_down,
        )
        self._tasks = [asyncio.ensure_future(self.agent.run()), asyncio.ensure_future(self.host.run())]

    async def stop_agent(self) -> None:
        """End the agent as a kill would: whatever it was doing stays half done."""
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._unanswered = 0
        self._connecting.clear()
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup("the agent failed", failures)

    def _write_down(self) -> None:
        known = self.agent.known()
        self._remembered = self._remembered if known is None else Writer().text(known, self.clock.now())

    @property
    def busy(self) -> bool:
        """Whether something is on its way through a socket, so that time has to stand still."""
        lists = self.manager.devices
        lagging = any(dict(lists.get(name, {})) != devices for name, devices in self.host.offered.items())
        calling = self._claiming == 0 and (self._admitting > 0 or self._unanswered > 0)
        return lagging or calling or self._listing > 0 or self._registering()

    def _registering(self) -> bool:
        """Tell whether a resource is on its way to the kubelet; one that gets nowhere may wait for time to pass, so patience ends."""
        now = time.monotonic()
        missing = self.agent.state.resources.keys() - self.host.streaming if self._tasks else set[ResourceName]()
        self._connecting = {name: self._connecting.get(name, now) for name in missing}
        return any(now - since < _PATIENCE for since in self._connecting.values())

    async def _allocate(self, name: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        self._claiming += 1
        try:
            edits = await self.agent.allocate(name, ids)
        finally:
            self._claiming -= 1
        self._unanswered += 1
        return edits

    def _answered(self, name: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        self._unanswered = max(0, self._unanswered - 1)
        self.agent.answered(name, ids)

    async def _list(self) -> Listing:
        self._listing += 1
        try:
            return await PodResourcesClient(self.folder / "r.sock", self.clock).list()
        finally:
            self._listing -= 1

    async def ask(
        self, name: str, asked: Mapping[ResourceName, int], *, init: Mapping[ResourceName, int] | None = None, containers: int = 1
    ) -> RunningPod:
        """Create a pod on this node and admit it. Raises AdmissionError after the pod has failed, as the kubelet lets it."""
        pod = await self.store.create_pod(ObjectKey("default", name), _spec(self.name, asked, init, containers))
        return await self.admit(pod)

    async def admit(self, pod: Pod) -> RunningPod:
        """Admit a pod that is bound to this node. Raises AdmissionError after it has failed."""
        parts = [(one.init, ContainerRequest(one.name, one.devices, one.sidecar)) for one in pod_containers(pod.spec)]
        mains, inits = ([request for init, request in parts if init is wanted] for wanted in (False, True))
        self._admitting += 1
        try:
            edits = await self.manager.admit(PodRequest(pod.metadata.key, pod.metadata.uid, tuple(mains), tuple(inits)))
        except AdmissionError as error:
            text, reason = str(error), error.reason
            ended = self.clock.wall()
            await self.store.change_pod(pod, lambda pod: evolve(pod, phase=Phase.FAILED, reason=reason, message=text, finished=ended))
            raise
        finally:
            self._admitting -= 1
        started = self.clock.wall()
        running = await self.store.change_pod(pod, lambda pod: evolve(pod, phase=Phase.RUNNING, started=started))
        return RunningPod(self, running or pod, edits)

    async def run_pod(
        self, name: str, asked: Mapping[ResourceName, int], *, init: Mapping[ResourceName, int] | None = None, containers: int = 1
    ) -> RunningPod:
        """Let time pass until a pod is admitted, or refused, which raises AdmissionError."""
        admission = asyncio.ensure_future(self.ask(name, asked, init=init, containers=containers))
        await self.clock.run_until(admission.done, 60)
        return await admission

    def devices(self, name: str) -> Mapping[PluginDeviceId, bool]:
        """What the kubelet was told of a resource."""
        return self.manager.devices.get(resource(name), {})

    def healthy(self, name: str) -> Sequence[str]:
        """Ids of a resource that the kubelet would give to somebody."""
        return sorted(id_ for id_, healthy in self.devices(name).items() if healthy)


def _spec(node: NodeName, asked: Mapping[ResourceName, int], init: Mapping[ResourceName, int] | None, containers: int) -> JsonObject:
    main: list[JsonObject] = [
        {"name": f"main-{index}", "resources": {"limits": {str(name): count for name, count in asked.items()}}}
        for index in range(containers)
    ]
    inits: list[JsonObject] = (
        [{"name": "init", "resources": {"limits": {str(name): count for name, count in init.items()}}}] if init else []
    )
    return {"nodeName": node, "initContainers": inits, "containers": main}


@define(eq=False)
class Cluster:
    """The store, the nodes and the clock that they all run on."""

    store: MemoryStore
    clock: VirtualClock
    nodes: Sequence[Node]

    async def until(self, condition: Callable[[], bool], limit: float = 30.0) -> float:
        """Let time pass until a condition holds; return how many virtual seconds that took."""
        begin = self.clock.now()
        await self.clock.run_until(condition, limit)
        return self.clock.now() - begin

    async def settle(self, *tasks: asyncio.Future[RunningPod]) -> None:
        """Let time pass until all of these are done."""
        await self.until(lambda: all(task.done() for task in tasks), 60)

    async def apply(self, wanted: Configuration) -> None:
        """Apply a Configuration and wait until its devices can be allocated on every node."""
        await self.store.apply(wanted)
        await self.until(lambda: all(node.healthy(wanted.name) for node in self.nodes))

    def instance(self, index: int = 0) -> Instance:
        """One of the Instances, in the order of their names."""
        return sorted(self.store.instances, key=lambda instance: instance.key)[index]

    def usages(self) -> dict[str, str]:
        """Every slot that is held, and by whom."""
        held = {slot: text for instance in self.store.instances for slot, text in instance.device_usage.items()}
        return {slot: text for slot, text in sorted(held.items()) if text}

    def reasons(self) -> set[Reason]:
        """Reasons of all events so far."""
        return {event.reason for event in self.store.events}


@asynccontextmanager
async def cluster(*devices: Device, nodes: int = 1, shared: bool = True) -> AsyncGenerator[Cluster]:
    """Make a cluster whose nodes all see these devices, or each the same ids as devices of its own."""
    made: list[Node] = []
    clock = VirtualClock(busy=lambda: any(node.busy for node in made))
    store = MemoryStore(clock)
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        names = [NodeName(f"node-{letter}") for letter in "abcdefgh"[:nodes]]
        for name in names:
            node = Node(name, store, clock, Path(folder) / name[-1], ScriptedSource(HANDLER, shared=shared))
            node.source.show(*devices)
            await store.register_node(name)
            await node.manager.start()
            node.start_agent()
            made.append(node)
        try:
            yield Cluster(store, clock, made)
        finally:
            for node in made:
                await node.stop_agent()
                await node.manager.stop()

"""The node's loop as a library: discovery -> inventory -> plugins -> claims -> release. A runtime gives it its parts.

Everything the agent does is in one TaskGroup; it ends when it is cancelled. No fault of a platform, a handler or the kubelet
ends it: each loop tries again with capped back-off, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from attrs import define, field

from akri.agent.claims import Claims
from akri.agent.discovery import Discovery
from akri.agent.handlers import Handlers, KeepRegistrations
from akri.agent.inventory import Inventory
from akri.agent.offers import Offers, Plugins
from akri.agent.releases import ListPods, Releases
from akri.agent.remembering import Known, Remembered
from akri.agent.reporting import Reporting
from akri.agent.state import NodeState
from akri.agent.writes import InstanceWrites
from akri.core.allocation import ByInstance
from akri.core.configuration import Configuration
from akri.core.edits import ContainerEdits
from akri.core.evidence import UNSEEN_GRACE, Evidence, PodObservation
from akri.core.ids import HandlerName, NodeName, ObjectKey, PluginDeviceId, ResourceName, SlotId
from akri.core.instance import Instance
from akri.discovery.allowed import USUAL, Allowed
from akri.discovery.embedded import HandlerFactory
from akri.discovery.tls import TlsFiles
from akri.discovery.wire import Registration
from akri.platforms.following import follow
from akri.ports import Alive, Clock, ConfigurationObservation, Gone, NodePlatform, Put, Reset, WatchEvent

__all__ = ["Agent"]


def _ignore() -> None:
    """Keep nothing of devices either."""


def _forget(registrations: tuple[Registration, ...]) -> None:
    """Keep nothing: the next run is told by the handlers themselves."""
    del registrations


@define(eq=False)
class Agent:
    """The agent of one node.

    embedded: discovery handlers inside this process, made anew for each Configuration that names them. plugins: where resources
    are offered. list_pods: asks PodResources. registrations: handlers remembered from an earlier run; keep: stores them.
    allowed: what the operator lets handlers do. tls: files to speak with handlers on the network. remembered: devices that an
    earlier run saw, which are served before any handler answers; on_devices: told that `known` may have something new.
    unseen_grace: as that of Evidence. orphaned: claims of Instances that went, which an earlier run knew of; `orphans` tells them.
    The kubelet's side calls `allocate`, `answered` and `kubelet_started`; the registration socket calls `register`.
    """

    node: NodeName
    platform: NodePlatform
    clock: Clock
    embedded: Mapping[HandlerName, HandlerFactory]
    plugins: Plugins
    list_pods: ListPods
    watch_pods: bool = True
    registrations: Iterable[Registration] = ()
    keep: KeepRegistrations | None = None
    allowed: Allowed = USUAL
    tls: TlsFiles | None = None
    remembered: Mapping[ObjectKey, Remembered] = field(factory=dict[ObjectKey, Remembered])
    on_devices: Callable[[], None] = _ignore
    unseen_grace: float = UNSEEN_GRACE
    orphaned: Mapping[ObjectKey, Mapping[PluginDeviceId, SlotId]] = field(factory=dict[ObjectKey, Mapping[PluginDeviceId, SlotId]])
    handlers: Handlers = field(init=False)
    state: NodeState = field(init=False)
    claims: Claims = field(init=False)
    releases: Releases = field(init=False)
    discovery: Discovery = field(init=False)
    inventory: Inventory = field(init=False)
    reporting: Reporting = field(init=False)
    _offers: Offers = field(init=False)
    _questions_changed: asyncio.Event = field(init=False, factory=asyncio.Event)
    _instances_known: asyncio.Event = field(init=False, factory=asyncio.Event)
    _configurations_known: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        """Join the parts; nothing runs yet."""
        now = self.clock.now()
        self.state = NodeState(self.node, Evidence(now, watching=self.watch_pods, unseen_grace=self.unseen_grace), heard_at=now)
        self.state.orphaned.update(self.orphaned)
        writes = InstanceWrites(self.state, self.platform, self.clock)
        self._offers = Offers(self.state, self.plugins)
        self.claims = Claims(self.state, self.platform, self.clock, writes)
        self.handlers = Handlers(
            self.embedded, self.clock, self.registrations, self.allowed, self.tls, self.keep or _forget, self._handlers_changed
        )
        self.discovery = Discovery(self.state, self.platform, self.clock, self.handlers, self._discovered, dict(self.remembered))
        self.inventory = Inventory(self.state, self.platform, self.clock, self.discovery, self._offers, writes, self._looked)
        self.releases = Releases(
            self.state, self.platform, self.clock, writes, self.list_pods, self._listed, lambda: bool(self._offers.lingering)
        )
        self.reporting = Reporting(self.state, self.platform, self.clock, self.discovery, self.inventory)

    async def run(self) -> None:
        """Run until cancelled. Slots and Instances stay as they are when it ends: a next agent goes on with them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow("configurations", self.platform.watch_configurations, self._configurations, self.clock))
            group.create_task(follow("instances", self.platform.watch_instances, self._instances, self.clock))
            if self.watch_pods:
                group.create_task(follow("pods", self.platform.watch_pods, self._pods, self.clock))
            group.create_task(self.discovery.run(self._questions_changed))
            group.create_task(self.releases.run())
            await self.releases.listed_once.wait()
            await self._instances_known.wait()
            group.create_task(self.inventory.run())
            group.create_task(self.reporting.run())

    async def allocate(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        """Answer the kubelet's Allocate. Raises an AkriError whose sentence becomes the pod's rejection."""
        edits = await self.claims.allocate(resource, ids)
        self.inventory.wake()
        return edits

    def register(self, registration: Registration) -> None:
        """Take in that a discovery handler made itself known. Raises NotPermittedError if the operator does not allow it."""
        self.handlers.register(registration)

    def answered(self, resource: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        """Note that the answer to an Allocate went out, or was lost on the way."""
        self.claims.answered(resource, ids)
        self.releases.wake()

    def kubelet_started(self) -> None:
        """Note that the kubelet was started anew: what it lists counts from here."""
        self.state.evidence = self.state.evidence.start(self.clock.now())
        self.releases.wake()

    def known(self) -> tuple[Known, ...] | None:
        """Tell what is known of devices, for a next agent to remember; None before everything that was remembered has its place."""
        configurations, presence = self.state.configurations, self.discovery.presence
        if not self._configurations_known or not presence.keys() >= configurations.keys():
            return None
        return tuple(Known(configuration, presence[key]) for key, configuration in configurations.items())

    def orphans(self) -> Mapping[ObjectKey, Mapping[PluginDeviceId, SlotId]]:
        """Tell which claims of Instances that went a next agent has to remember, for pods may use them still."""
        return dict(self.state.orphaned)

    def _handlers_changed(self, address: str) -> None:
        self.discovery.registered(address)
        self._questions_changed.set()

    def _discovered(self, configuration: ObjectKey) -> None:
        self.inventory.wake(configuration)
        self.reporting.wake(configuration)

    def _looked(self, configuration: ObjectKey) -> None:
        self.releases.wake()
        self.reporting.wake(configuration)
        self.on_devices()

    def _listed(self, changed: Collection[ResourceName]) -> None:
        for resource in [self.state.resources[name] for name in changed if name in self.state.resources]:
            names = self.state.offers_due.setdefault(resource.configuration, set())
            names.update([resource.level.instance] if isinstance(resource.level, ByInstance) else [])
        self.inventory.wake()

    def _configurations(self, event: WatchEvent[ConfigurationObservation]) -> None:
        match event:
            case Reset(objects):
                present = {one.key for one in objects}
                for key in self.state.configurations.keys() - present:
                    self._drop(key)
                for one in objects:
                    self._take(one)
                self._configurations_known = True
            case Put(one):
                self._take(one)
            case Gone(key):
                self._drop(key)
            case Alive():
                return
        self._questions_changed.set()

    def _take(self, one: ConfigurationObservation) -> None:
        # One that became unreadable keeps its last usable state: what runs is not taken away by a slip in an edit.
        before = self.state.configurations.get(one.key)
        self.state.members += before is None or before.metadata.uid != one.metadata.uid
        if isinstance(one, Configuration):
            self.state.configurations[one.key] = one
        elif before is not None and before.metadata.uid != one.metadata.uid:
            del self.state.configurations[one.key]
        self._discovered(one.key)

    def _drop(self, key: ObjectKey) -> None:
        self.state.configurations.pop(key, None)
        self.state.members += 1
        self._discovered(key)

    def _instances(self, event: WatchEvent[Instance]) -> None:
        self.state.heard_at = self.clock.now()
        match event:
            case Reset(objects):
                self.state.reset(objects, inherit=not self._instances_known.is_set())
                self._instances_known.set()
            case Put(instance):
                self.state.observe(instance)
            case Gone(key, uid):
                self.state.forget(key, uid)
            case Alive():
                return
        self.inventory.wake()

    def _pods(self, event: WatchEvent[PodObservation]) -> None:
        evidence = self.state.evidence
        match event:
            case Reset(objects, until):
                self.state.evidence = evidence.reset_pods(objects).pods_current(self.clock.now() if until is None else until)
            case Put(pod):
                self.state.evidence = evidence.put_pod(pod)
            case Gone(key, uid):
                self.state.evidence = evidence.drop_pod(key, uid)
            case Alive(until):
                self.state.evidence = evidence.pods_current(self.clock.now() if until is None else until)
        self.releases.wake()

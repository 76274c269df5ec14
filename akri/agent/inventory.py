"""Brings the Instances in line with what this node sees: executes what `core.inventory` decides, one round for each Configuration.

A round is decided from memory and ends at once. What it asks of the platform is under way afterwards, one request for each
Instance at a time, so that a slow one holds up nothing but its own Instance; its answer leads to the next round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Final, assert_never

from attrs import define, field

from akri.agent.discovery import Discovery
from akri.agent.offers import Offers
from akri.agent.state import NodeState, Resource, configuration_of
from akri.agent.telling import tell
from akri.agent.writes import WRITE_TIMEOUT, InstanceWrites
from akri.clock import wait_for_either
from akri.core.allocation import Binding, ByConfiguration, ByInstance
from akri.core.device import Device
from akri.core.errors import AkriError
from akri.core.ids import ConfigurationName, InstanceName, ObjectKey, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.inventory import reconcile
from akri.core.inventory_commands import NOTHING, Command, Create, Join, Leave, Moved, Reconciliation, Standing, Update
from akri.core.naming import name_collisions
from akri.core.reports import Event, Reason
from akri.core.retry import NETWORK_BACK_OFF
from akri.core.usage import HeldByConfiguration, HeldByNode, print_usage
from akri.ports import Clock, Done, NodePlatform, Outcome, Refusal, Refused, Unknown

__all__ = ["Inventory"]

_logger = logging.getLogger(__name__)
_AT_ONCE: Final = 32
"""Requests of one node that are under way at the same time."""
_GATHER: Final = 0.05
"""Seconds in which answers are gathered into one round while requests of a Configuration are under way; or, where a round takes long,"""
_REST: Final = 4.0
"""so many times as long as the last one took: creating 10,000 Instances must not mean to look at 10,000 of them after every few."""
_FAR: Final = 3600.0


@define(eq=False)
class Inventory:
    """The agent's loop over Configurations whose devices or Instances changed.

    on_round: told of each Configuration that was looked at. decided: the last decision of each, and `decided_at` when it was
    taken. refused: Configurations that may not have their resource's name, and why.
    """

    state: NodeState
    platform: NodePlatform
    clock: Clock
    discovery: Discovery
    offers: Offers
    writes: InstanceWrites
    on_round: Callable[[ObjectKey], None]
    decided: dict[ObjectKey, Reconciliation] = field(factory=dict[ObjectKey, Reconciliation])
    decided_at: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    refused: dict[ObjectKey, str] = field(factory=dict[ObjectKey, str])
    _unnamed: set[ObjectKey] = field(factory=set[ObjectKey])
    _members: int = -1
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _due: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    _not_before: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    _busy: dict[ObjectKey, ObjectKey] = field(factory=dict[ObjectKey, ObjectKey])
    _failures: dict[ObjectKey, int] = field(factory=dict[ObjectKey, int])
    _retry_at: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    _settled: set[ObjectKey] = field(factory=set[ObjectKey])
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def wake(self, configuration: ObjectKey | None = None) -> None:
        """Look at a Configuration soon, or at those that the state calls changed."""
        if configuration is not None:
            self.state.changed.add(configuration)
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                ready = self._ready(self.clock.now())
                due, self.state.offers_due = self.state.offers_due, {}
                for key in sorted(ready):
                    self._look(group, key, partial(self._round, group, key))
                for key in sorted(due.keys() - ready - self.refused.keys()):
                    self._look(group, key, partial(self.offers.refresh, key, due[key]))
                await wait_for_either(self.clock, self._next_due() - self.clock.now(), self._wake)

    def _ready(self, now: float) -> set[ObjectKey]:
        asked = self.state.changed | {key for key, due in self._due.items() if due <= now}
        if any(self._not_before.get(key, now) <= now for key in asked):
            asked |= self._find_collisions()
        late = {key for key in asked if self._not_before.get(key, now) > now}
        self.state.changed = late
        for key in late:
            self._due.pop(key, None)
        return asked - late

    def _next_due(self) -> float:
        waiting = (self._not_before.get(key, 0.0) for key in self.state.changed)
        return min((*self._due.values(), *waiting), default=self.clock.now() + _FAR)

    def _find_collisions(self) -> set[ObjectKey]:
        """Find out who may not have its name; return the Configurations for which that changed."""
        if self._members == self.state.members:
            return set()
        self._members = self.state.members
        instances = [instance for known in self.state.instances.values() for instance in known.values()]
        refusals = name_collisions(self.state.configurations.values(), instances)
        refused = {refusal.key: refusal.message for refusal in refusals if refusal.kind == "Configuration"}
        unnamed = {refusal.key for refusal in refusals if refusal.kind == "Instance"}
        changed = refused.keys() ^ self.refused.keys()
        touched = unnamed ^ self._unnamed
        changed |= {configuration_of(instance) for instance in instances if instance.key in touched} if touched else set()
        self.refused, self._unnamed = refused, unnamed
        return set(changed)

    def _look(self, group: asyncio.TaskGroup, key: ObjectKey, look: Callable[[], None]) -> None:
        """Look at a Configuration; whatever goes wrong with one ends nothing."""
        try:
            look()
        except Exception as error:
            _logger.exception("a round failed configuration=%s", key)
            reason = str(error) if isinstance(error, AkriError) else f"{type(error).__name__}: {error}"
            self._tell(group, Event("Configuration", key, Reason.DISCOVERY_FAILED, reason, warning=True))
            self._again(key, key)
        self.on_round(key)

    def _round(self, group: asyncio.TaskGroup, key: ObjectKey) -> None:
        self._due.pop(key, None)
        self._not_before.pop(key, None)
        began = self.clock.now()
        try:
            self._decide(group, key)
            self.offers.update(key, refused=key in self.refused)
        finally:
            if key in self._busy.values():
                now = self.clock.now()
                self._not_before[key] = now + max(_GATHER, _REST * (now - began))

    def _decide(self, group: asyncio.TaskGroup, key: ObjectKey) -> None:
        configuration, presence = self.state.configurations.get(key), self.discovery.presence.get(key)
        if configuration is None or presence is None or key in self.refused:
            self.state.devices.pop(key, None)
            self.decided.pop(key, None)
            self.decided_at.pop(key, None)
            return
        now = self.clock.now()
        published = [instance for known in self.state.instances.values() for instance in known.values()]
        decision = reconcile(configuration, self.state.node, presence, published, now, self.decided.get(key, NOTHING))
        self.decided[key], self.decided_at[key] = decision, now
        self.discovery.presence[key] = presence.pruned(now, configuration.grace)
        if decision.next_due is not None:
            self._due[key] = decision.next_due
        self.state.devices[key] = self._served(group, key, decision)
        for moved in decision.moved:
            self._tell_moved(group, key, moved)
        for command in decision.commands:
            about = command.instance.key if isinstance(command, Create | Update) else command.key
            self._start(group, key, about, partial(self._execute, about, command))

    def _served(self, group: asyncio.TaskGroup, key: ObjectKey, decision: Reconciliation) -> Mapping[InstanceName, Device]:
        """Tell what is handed out. An Instance that comes new waits until the slots that pods here still use are taken again."""
        served: dict[InstanceName, Device] = {}
        before = self.state.devices.get(key, {})
        for name, one in decision.serving.items():
            if one.device is not None and one.standing is Standing.SERVED and name in before and not self._unnamed:
                served[name] = one.device  # the usual case, of which there may be thousands
                continue
            about = ObjectKey(key.namespace, name)
            if one.standing is not Standing.SERVED or one.device is None or about in self._unnamed:
                self._settled.discard(about)
                continue
            lost = [] if name in before or about in self._settled else self._lost_slots(key, name)
            if lost:
                self._start(group, key, about, partial(self._reclaim, key, about, lost))
            else:
                self.state.orphaned.pop(about, None)
                served[name] = one.device
        return served

    def _start(
        self, group: asyncio.TaskGroup, configuration: ObjectKey, about: ObjectKey, work: Callable[[], Coroutine[object, object, bool]]
    ) -> None:
        """Begin a piece of work on an Instance, unless another one is under way, or the last one failed a moment ago."""
        retry_at = self._retry_at.get(about, 0.0)
        if retry_at > self.clock.now():
            self._due[configuration] = min(retry_at, self._due.get(configuration, retry_at))
        elif about not in self._busy:
            self._busy[about] = configuration
            group.create_task(self._work(configuration, about, work))

    async def _work(self, configuration: ObjectKey, about: ObjectKey, work: Callable[[], Coroutine[object, object, bool]]) -> None:
        done = False
        try:
            async with self._slots:
                done = await work()
        except Exception:
            _logger.exception("work failed instance=%s", about)
        finally:
            del self._busy[about]
        if done:
            self._failures.pop(about, None)
            self._retry_at.pop(about, None)
            self.wake(configuration)
        else:
            self._again(configuration, about)

    def _again(self, configuration: ObjectKey, about: ObjectKey) -> None:
        self._failures[about] = self._failures.get(about, 0) + 1
        self._retry_at[about] = due = self.clock.now() + NETWORK_BACK_OFF.seconds(self._failures[about], self.clock.random())
        self._due[configuration] = min(due, self._due.get(configuration, due))
        self._wake.set()

    async def _execute(self, about: ObjectKey, command: Command) -> bool:
        outcome = await self.writes.send(self._send(command), f"the write to Instance {about}")
        self.writes.take(about, outcome)
        match outcome:
            case Done():
                await self._announce(about, command)
                return True
            case Refused(Refusal.MISSING):
                return True
            case Refused(_, trouble) | Unknown(trouble):
                _logger.warning("not done command=%s instance=%s cause=%s", type(command).__name__, about, trouble)
                return False
        assert_never(outcome)

    async def _send(self, command: Command) -> Outcome:
        match command:
            case Create(instance):
                return await self.platform.create(instance)
            case Join(key, uid):
                return await self.platform.join(key, uid, self.state.node)
            case Update(instance):
                return await self.platform.update(instance)
            case Leave(key, uid):
                return await self.platform.leave(key, uid, self.state.node)
        assert_never(command)

    async def _announce(self, key: ObjectKey, command: Command) -> None:
        match command:
            case Create() | Join():
                message = f"node {self.state.node} sees the device"
                await tell(self.platform, Event("Instance", key, Reason.DEVICE_FOUND, message))
            case Leave(_, _, reason):
                message = f"node {self.state.node} gave the device up: {reason}"
                await tell(self.platform, Event("Instance", key, Reason.DEVICE_LOST, message))
            case Update():
                pass

    def _lost_slots(self, configuration: ObjectKey, name: InstanceName) -> list[Binding]:
        """Slots that pods of this node use, as the kubelet remembers them, and that the Instance does not say to be ours."""
        table, node = self.state.tables(configuration).get(name), self.state.node
        held: set[SlotId] = {one.slot for one in table.held()} if table else set()
        listed = self.state.evidence.listed_ids(Resource(configuration, ByInstance(name)).name)
        own = sorted(slot for slot in _slots(listed) if slot.instance == name and slot not in held)
        orphans = self.state.orphans(configuration, name).items()
        virtual = [Binding(id_, slot, HeldByConfiguration(VirtualDeviceId.parse(id_), node)) for id_, slot in sorted(orphans)]
        return [*(Binding(PluginDeviceId(str(slot)), slot, HeldByNode(node)) for slot in own), *virtual]

    async def _reclaim(self, configuration: ObjectKey, about: ObjectKey, lost: Iterable[Binding]) -> bool:
        for binding in lost:
            outcome = await self.writes.claim(configuration, binding, WRITE_TIMEOUT)
            match outcome:
                case Done():
                    _logger.info("taken back slot=%s usage=%s", binding.slot, print_usage(binding.usage))
                case Unknown():
                    return False
                case Refused(_, message):
                    await self._tell_lost(configuration, binding, message)
        self._settled.add(about)
        return True

    async def _tell_lost(self, configuration: ObjectKey, binding: Binding, why: str) -> None:
        last, slot = self.state.evidence.last, binding.slot
        virtual = isinstance(binding.usage, HeldByConfiguration)
        level = ByConfiguration(ConfigurationName(configuration.name)) if virtual else ByInstance(slot.instance)
        listed = last.users.get(Resource(configuration, level).name) if last else None
        user = (listed or {}).get(binding.id, "that is gone")
        message = f"pod {user} on {self.state.node} uses slot {slot}, which this node lost and cannot have back: {why}"
        about = ObjectKey(configuration.namespace, slot.instance)
        await tell(self.platform, Event("Instance", about, Reason.SLOT_LOST, message, warning=True))

    def _tell_moved(self, group: asyncio.TaskGroup, configuration: ObjectKey, moved: Moved) -> None:
        about = ObjectKey(configuration.namespace, moved.instance)
        self._tell(group, Event("Instance", about, Reason.DEVICE_MOVED, "its device has another node, address or properties now"))
        message = f"the device of Instance {about} has another node, address or properties now; the pod still has the former ones"
        for pod in self.state.users(configuration, moved.instance):
            self._tell(group, Event("Pod", pod, Reason.DEVICE_MOVED, message, warning=True))

    def _tell(self, group: asyncio.TaskGroup, event: Event) -> None:
        group.create_task(tell(self.platform, event))


def _slots(ids: Iterable[PluginDeviceId]) -> Iterable[SlotId]:
    """Read those ids that are slots; what else the kubelet remembers under our resource is not ours to take."""
    for id_ in ids:
        try:
            yield SlotId.parse(id_)
        except AkriError:
            _logger.warning("not a slot id=%r", id_)

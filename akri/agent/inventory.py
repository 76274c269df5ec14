"""Brings the Instances in line with what this node sees: executes what `core.inventory` decides, one round for each Configuration.

A round is decided, executed, and its answers taken into the state, before the next round of the same Configuration begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, assert_never

from attrs import define, field

from akri.agent.discovery import Discovery
from akri.agent.offers import Offers
from akri.agent.state import NodeState, Resource
from akri.agent.waiting import wait_for_either, within
from akri.agent.writes import WRITE_TIMEOUT, InstanceWrites
from akri.core.allocation import Binding, ByInstance
from akri.core.errors import AkriError, OutcomeUnknownError
from akri.core.ids import InstanceName, ObjectKey, SlotId
from akri.core.inventory import reconcile
from akri.core.inventory_commands import NOTHING, Command, Create, Join, Leave, Reconciliation, Standing, Update
from akri.core.naming import name_collisions
from akri.core.reports import Event, Reason
from akri.core.retry import NETWORK_BACK_OFF
from akri.core.usage import HeldByNode
from akri.ports import Clock, Done, NodePlatform, Outcome, Refused, Unknown

__all__ = ["Inventory"]

_AT_ONCE: Final = 32
"""Writes of one node that are under way at the same time."""
_FAR: Final = 3600.0


@define(eq=False)
class Inventory:
    """The agent's loop over Configurations whose devices or Instances changed.

    decided: the last decision of each. refused: Configurations that may not have their resource's name, and why.
    """

    state: NodeState
    platform: NodePlatform
    clock: Clock
    discovery: Discovery
    offers: Offers
    writes: InstanceWrites
    on_held: Callable[[], None]
    decided: dict[ObjectKey, Reconciliation] = field(factory=dict[ObjectKey, Reconciliation])
    refused: dict[ObjectKey, str] = field(factory=dict[ObjectKey, str])
    _unnamed: set[ObjectKey] = field(factory=set[ObjectKey])
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _due: dict[ObjectKey, float] = field(factory=dict[ObjectKey, float])
    _failures: dict[ObjectKey, int] = field(factory=dict[ObjectKey, int])
    _busy: set[ObjectKey] = field(factory=set[ObjectKey])
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
                now = self.clock.now()
                ready = (self.state.changed | {key for key, due in self._due.items() if due <= now}) - self._busy
                if ready:
                    self._find_collisions()
                for key in sorted(ready):
                    self.state.changed.discard(key)
                    self._due.pop(key, None)
                    self._busy.add(key)
                    group.create_task(self._round(key))
                await wait_for_either(self.clock, min(self._due.values(), default=now + _FAR) - now, self._wake)

    def _find_collisions(self) -> None:
        instances = [instance for known in self.state.instances.values() for instance in known.values()]
        refusals = name_collisions(self.state.configurations.values(), instances)
        self.refused = {refusal.key: refusal.message for refusal in refusals if refusal.kind == "Configuration"}
        self._unnamed = {refusal.key for refusal in refusals if refusal.kind == "Instance"}

    async def _round(self, key: ObjectKey) -> None:
        failed = True
        try:
            failed = await self._reconcile(key)
            self.offers.update(key, refused=key in self.refused)
            self.on_held()
        except AkriError as error:
            await self.platform.emit(Event("Configuration", key, Reason.DISCOVERY_FAILED, str(error), warning=True))
        finally:
            self._busy.discard(key)
            self._wake.set()
        self._failures[key] = self._failures.get(key, 0) + 1 if failed else 0
        if failed:
            due = self.clock.now() + NETWORK_BACK_OFF.seconds(self._failures[key], self.clock.random())
            self._due[key] = min(due, self._due.get(key, due))

    async def _reconcile(self, key: ObjectKey) -> bool:
        """Decide and execute one round; tell whether something has to be tried again."""
        configuration, presence = self.state.configurations.get(key), self.discovery.presence.get(key)
        if configuration is None or presence is None or key in self.refused:
            self.state.devices.pop(key, None)
            self.decided.pop(key, None)
            return False
        published = [instance for known in self.state.instances.values() for instance in known.values()]
        before = self.decided.get(key, NOTHING)
        decision = reconcile(configuration, self.state.node, presence, published, self.clock.now(), before)
        self.decided[key] = decision
        self.discovery.presence[key] = presence.pruned(self.clock.now(), configuration.grace)
        if decision.next_due is not None:
            self._due[key] = decision.next_due
        served = {
            name: one.device
            for name, one in decision.serving.items()
            if one.standing is Standing.SERVED and one.device is not None and ObjectKey(key.namespace, name) not in self._unnamed
        }
        await self._reclaim(key, served.keys() - self.state.devices.get(key, {}).keys())
        self.state.devices[key] = served
        for moved in decision.moved:
            await self._tell(ObjectKey(key.namespace, moved.instance), Reason.DEVICE_MOVED, "its device has another node or address now")
        outcomes = await asyncio.gather(*(self._execute(key, command) for command in decision.commands))
        return any(isinstance(outcome, Unknown | Refused) for outcome in outcomes)

    async def _execute(self, configuration: ObjectKey, command: Command) -> Outcome:
        async with self._slots:
            key = command.instance.key if isinstance(command, Create | Update) else command.key
            try:
                outcome = await within(self.clock, WRITE_TIMEOUT, self._send(command), f"the write to Instance {key}")
            except OutcomeUnknownError as error:
                return Unknown(str(error))
        self.writes.take(key, outcome)
        if isinstance(outcome, Done):
            await self._announce(key, command)
            self.state.changed.add(configuration)
        return outcome

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
                await self._tell(key, Reason.DEVICE_FOUND, f"node {self.state.node} sees the device")
            case Leave(_, _, reason):
                await self._tell(key, Reason.DEVICE_LOST, f"node {self.state.node} gave the device up: {reason}")
            case Update():
                pass

    async def _reclaim(self, configuration: ObjectKey, names: set[InstanceName]) -> None:
        """Before an Instance is advertised: take the slots that pods of this node still use, as the kubelet remembers them."""
        for name in sorted(names):
            resource = Resource(configuration, ByInstance(name))
            table = self.state.tables(configuration).get(name)
            held: set[SlotId] = {one.slot for one in table.held()} if table else set()
            for id_ in sorted(self.state.evidence.listed_ids(resource.name)):
                slot = SlotId.parse(id_)
                if slot in held:
                    continue
                outcome = await self.writes.claim(configuration, Binding(id_, slot, HeldByNode(self.state.node)), WRITE_TIMEOUT)
                if not isinstance(outcome, Done):
                    message = f"a pod on {self.state.node} still uses slot {slot}, which this node lost"
                    await self._tell(ObjectKey(configuration.namespace, name), Reason.SLOT_LOST, message, warning=True)

    async def _tell(self, key: ObjectKey, reason: Reason, message: str, *, warning: bool = False) -> None:
        await self.platform.emit(Event("Instance", key, reason, message, warning))

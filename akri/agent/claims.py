"""Answers the kubelet's Allocate: asks `core.allocation` what is needed, executes it, and asks again until it is granted.

Several ids are all or nothing: what was taken before a failure is given back, and what cannot be given back now is
released later on evidence, for no pod uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, assert_never
from weakref import WeakValueDictionary

from attrs import define, field

from akri.agent.state import NodeState, Resource
from akri.agent.telling import tell
from akri.agent.writes import RELEASE_TIMEOUT, WRITE_TIMEOUT, InstanceWrites
from akri.clock import within
from akri.core.allocation import Binding, ClaimSlot, Denial, FenceInstance, Grant, ReleaseSlot, Step, Steps, allocate
from akri.core.edits import ContainerEdits, container_edits
from akri.core.errors import AkriError, DeviceUnavailableError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import InstanceName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.reports import Event, Reason
from akri.core.slots import Held
from akri.ports import Clock, Done, NodePlatform, Outcome, Refusal, Refused, Unknown

__all__ = ["STALE_AFTER", "Claims"]

STALE_AFTER: Final = 10.0
"""Seconds of silence of the Instance watch after which a held slot is read before it is answered from memory."""
_PAUSE: Final = 0.05
"""Seconds to the next try after a conflict or a lost answer, times a random number and the attempt."""


@define(eq=False)
class Claims:
    """The agent's side of Allocate, for all resources of the node."""

    state: NodeState
    platform: NodePlatform
    clock: Clock
    writes: InstanceWrites
    _turns: WeakValueDictionary[ObjectKey, asyncio.Lock] = field(factory=WeakValueDictionary[ObjectKey, asyncio.Lock])

    async def allocate(self, name: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        """Make the ids ours and say what the container gets. Raises an AkriError whose sentence the pod's rejection shows."""
        resource = self.state.resources.get(name)
        if resource is None:
            raise DeviceUnavailableError(f"resource {name} is not offered by this node any more")
        known = [(name, id_) for id_ in ids]
        async with self._turns.setdefault(resource.configuration, asyncio.Lock()):
            unused = [id_ for id_ in ids if self.state.evidence.judge((name, id_)).release]
            self.state.evidence = self.state.evidence.allocating(known)
            try:
                grant, edits = await _Attempt(self, resource, tuple(ids), tuple(unused)).run()
            except AkriError as error:
                self._answered(known)
                about = resource.configuration
                await tell(self.platform, Event("Configuration", about, Reason.SLOT_REFUSED, f"{', '.join(ids)}: {error}", warning=True))
                raise
            except BaseException:
                self._answered(known)
                raise
            self.state.answered.setdefault(name, {}).update({binding.id: binding.slot for binding in grant.bindings})
            return edits

    def answered(self, name: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        """Note that the answer for these ids went out, or was lost on the way: from now on Lists count."""
        self._answered([(name, id_) for id_ in ids])

    def _answered(self, ids: Sequence[tuple[ResourceName, PluginDeviceId]]) -> None:
        self.state.evidence = self.state.evidence.answered(ids, self.clock.now())

    def edits(self, resource: Resource, grant: Grant) -> ContainerEdits:
        """Say what a container gets with granted devices. Raises an AkriError if they cannot go into one container."""
        configuration = self.state.configurations.get(resource.configuration)
        overlay: Mapping[str, str] = configuration.broker_properties if configuration else {}
        devices = self.state.devices.get(resource.configuration, {})
        names = dict.fromkeys(binding.slot.instance for binding in grant.bindings)
        return container_edits([(name, devices[name], overlay) for name in names])


@define(eq=False)
class _Attempt:
    """One Allocate on its way: what it took so far, and when its time is over."""

    claims: Claims
    resource: Resource
    ids: tuple[PluginDeviceId, ...]
    unused: tuple[PluginDeviceId, ...]
    taken: list[Binding] = field(factory=list[Binding])
    read: set[InstanceName] = field(factory=set[InstanceName])
    trouble: str = "an earlier write to the Instance is still under way"
    deadline: float = 0.0

    async def run(self) -> tuple[Grant, ContainerEdits]:
        """Decide and act until granted. Gives back what it took if it fails; what a cancelled one took is released on evidence."""
        self.deadline = self.claims.clock.now() + WRITE_TIMEOUT
        try:
            grant = await self._until_granted()
            return grant, self.claims.edits(self.resource, grant)
        except Exception:
            await self._give_back()
            raise

    async def _until_granted(self) -> Grant:
        attempt = 0
        while True:
            decision = self._decide()
            match decision:
                case Denial(error):
                    raise error
                case Grant(bindings):
                    if not await self._refresh(bindings):
                        return decision
                case Steps(steps):
                    outcomes = await asyncio.gather(*(self._do(step) for step in steps))
                    failed = [self._failed(outcome) for outcome in outcomes]
                    # A fence that succeeds between two claims that fail is no reason to try faster again.
                    attempt += any(failed)
            await self._pause(attempt)

    def _decide(self) -> Grant | Denial | Steps:
        state, configuration = self.claims.state, self.resource.configuration
        serving = state.devices.get(configuration, {})
        answered = state.answered.get(self.resource.name)
        tables = state.tables(configuration)
        return allocate(self.resource.level, self.ids, state.node, tables, serving=serving, unused=self.unused, answered=answered)

    async def _refresh(self, bindings: Sequence[Binding]) -> bool:
        """Read what a grant rests on, if the watch has been silent for too long; tell whether anything was read."""
        state = self.claims.state
        names = {binding.slot.instance for binding in bindings} - self.read - {binding.slot.instance for binding in self.taken}
        if not names or self.claims.clock.now() - state.heard_at <= STALE_AFTER:
            return False
        for name in names:
            key = ObjectKey(self.resource.configuration.namespace, name)
            read = self.claims.platform.read_instance(key)
            instance = await within(self.claims.clock, self._left(), read, f"reading Instance {key}")
            self.claims.writes.take(key, Done(instance))
            self.read.add(name)
        return True

    async def _do(self, step: Step) -> Outcome | None:
        writes, configuration = self.claims.writes, self.resource.configuration
        match step:
            case ClaimSlot(binding):
                outcome = await writes.claim(configuration, binding, self._left())
                self.taken.extend([binding] if isinstance(outcome, Done) else [])
                return outcome
            case FenceInstance(name):
                return await writes.fence(configuration, name, min(RELEASE_TIMEOUT, self._left()))
            case ReleaseSlot(held):
                return await writes.release(configuration, held, lambda: True, min(RELEASE_TIMEOUT, self._left()))
        assert_never(step)

    def _failed(self, outcome: Outcome | None) -> bool:
        """Tell whether a step has to be tried again, and remember why. Raises NotPermittedError where trying again cannot help."""
        match outcome:
            case Refused(Refusal.FORBIDDEN | Refusal.INVALID, message):
                raise NotPermittedError(message)
            case Unknown(trouble) | Refused(_, trouble):
                self.trouble = trouble
                return True
            case Done() | None:
                return False
        assert_never(outcome)

    async def _pause(self, attempt: int) -> None:
        clock = self.claims.clock
        if attempt:
            await clock.sleep(min(_PAUSE * attempt * clock.random(), max(self._left(), 0.0)))
        if self._left() <= 0:
            raise OutcomeUnknownError(f"{', '.join(self.ids)} could not be claimed within {WRITE_TIMEOUT:g} s: {self.trouble}")

    def _left(self) -> float:
        return self.deadline - self.claims.clock.now()

    async def _give_back(self) -> None:
        writes, configuration = self.claims.writes, self.resource.configuration
        given = (writes.release(configuration, Held(binding.slot, binding.usage), lambda: True) for binding in self.taken)
        await asyncio.gather(*given)

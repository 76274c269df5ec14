"""The writes of this node to Instances: one at a time for each Instance, each noted as doubtful before it is sent.

Memory changes after the store's answer, never before. An answer that does not come, because of time, a lost connection or
a cancelled task, leaves the slot in doubt, and the next decision about it starts with a fence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final
from weakref import WeakValueDictionary

from attrs import define, field

from akri.agent.state import NodeState
from akri.clock import within
from akri.core.allocation import Binding
from akri.core.errors import AkriError
from akri.core.ids import InstanceName, ObjectKey, SlotId
from akri.core.slots import Held, SlotTable
from akri.core.usage import FREE, Usage
from akri.ports import Clock, Done, NodePlatform, Outcome, Refusal, Refused, Unknown

__all__ = ["RELEASE_TIMEOUT", "WRITE_TIMEOUT", "InstanceWrites"]

_logger = logging.getLogger(__name__)
WRITE_TIMEOUT: Final = 10.0
"""Seconds after which the outcome of a write counts as unknown: admission on the node waits for it."""
RELEASE_TIMEOUT: Final = 4.0
"""The same for a release: short, so that an Allocate that has to wait for its outcome has time left to fence and to claim."""


@define(eq=False)
class InstanceWrites:
    """Sends claims, releases and fences, and takes their outcomes into the state."""

    state: NodeState
    platform: NodePlatform
    clock: Clock
    _locks: WeakValueDictionary[ObjectKey, asyncio.Lock] = field(factory=WeakValueDictionary[ObjectKey, asyncio.Lock])

    async def claim(self, configuration: ObjectKey, binding: Binding, seconds: float) -> Outcome:
        """Take a slot that the table calls free. seconds: in all, also for a write before it whose turn has to end."""
        key = ObjectKey(configuration.namespace, binding.slot.instance)
        deadline = self.clock.now() + seconds
        async with self._lock(key):
            seconds = deadline - self.clock.now()
            if seconds <= 0:
                return Unknown(f"an earlier write to Instance {key} is still under way")
            send = self.platform.claim(key, binding.slot, binding.usage)
            sent = self.send(send, f"the claim of slot {binding.slot}", seconds)
            return await self._slot_write(configuration, binding.slot, binding.usage, sent)

    async def release(
        self, configuration: ObjectKey, held: Held, allowed: Callable[[], bool], seconds: float = RELEASE_TIMEOUT
    ) -> Outcome | None:
        """Free a slot, if it is still ours and not in doubt and `allowed` still says so when its turn has come; None if it was not sent."""
        key = ObjectKey(configuration.namespace, held.slot.instance)
        async with self._lock(key):
            instance = self.state.find(configuration, held.slot.instance)
            table = self._table(configuration, held.slot.instance)
            if instance is None or table is None or not table.may_release(held) or not allowed():
                return None
            send = self.platform.release(instance, held.slot, held.usage)
            sent = self.send(send, f"the release of slot {held.slot}", seconds)
            return await self._slot_write(configuration, held.slot, FREE, sent)

    async def fence(self, configuration: ObjectKey, name: InstanceName, seconds: float = RELEASE_TIMEOUT) -> Outcome | None:
        """Make every write that was sent earlier fail, and read the state; None if nothing is in doubt any more."""
        key = ObjectKey(configuration.namespace, name)
        async with self._lock(key):
            table = self._table(configuration, name)
            if table is None or not (table.doubts or table.inherited):
                return None
            outcome = await self.send(self.platform.fence(key), f"the fence on Instance {key}", seconds)
            if isinstance(outcome, Done) and outcome.instance is not None:
                self.state.observe(outcome.instance)
                if (table := self._table(configuration, name)) is not None:
                    self.state.set_table(configuration, table.fenced(outcome.instance))
            elif isinstance(outcome, Refused) and outcome.refusal is Refusal.MISSING:
                self.state.forget(key)
            return outcome

    async def _slot_write(self, configuration: ObjectKey, slot: SlotId, wanted: Usage, sent: Coroutine[object, object, Outcome]) -> Outcome:
        key = ObjectKey(configuration.namespace, slot.instance)
        self._mark(configuration, slot, lambda table: table.sent(slot.index, wanted))
        outcome = await sent
        self.take(key, outcome)
        if not isinstance(outcome, Unknown):
            self._mark(configuration, slot, lambda table: table.settled(slot.index))
        return outcome

    def take(self, key: ObjectKey, outcome: Outcome) -> None:
        """Take what an answer says about the Instance into the state."""
        match outcome:
            case Done(None) | Refused(Refusal.MISSING):
                self.state.forget(key)
            case Done(instance) | Refused(_, _, instance):
                if instance is not None:
                    self.state.observe(instance)
            case Unknown():
                pass

    async def send(self, work: Coroutine[object, object, Outcome], what: str, seconds: float = WRITE_TIMEOUT) -> Outcome:
        """Await the outcome of a write for so long; whatever else happens to it leaves its outcome unknown."""
        try:
            return await within(self.clock, seconds, work, what)
        except (AkriError, OSError) as error:
            _logger.warning("outcome unknown error=%s", error)
            return Unknown(str(error))
        except Exception as error:
            _logger.exception("outcome unknown write=%s", what)
            return Unknown(f"{what} failed: {type(error).__name__}: {error}")

    def _mark(self, configuration: ObjectKey, slot: SlotId, change: Callable[[SlotTable], SlotTable]) -> None:
        table = self._table(configuration, slot.instance)
        if table is not None:
            self.state.set_table(configuration, change(table))

    def _table(self, configuration: ObjectKey, name: InstanceName) -> SlotTable | None:
        return self.state.tables(configuration).get(name)

    def _lock(self, key: ObjectKey) -> asyncio.Lock:
        # Kept for as long as somebody holds it or waits for it, so that Instances that are gone leave nothing behind.
        return self._locks.setdefault(key, asyncio.Lock())

"""Releases slots on evidence: asks PodResources while something is held, judges, and frees what is proven unused.

Two times a second, and at once when a pod changed; nothing is asked while nothing is held.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field

from akri.agent.state import NodeState, Resource
from akri.agent.telling import tell
from akri.agent.writes import InstanceWrites
from akri.clock import wait_for_either, within
from akri.core.allocation import strays
from akri.core.errors import AkriError
from akri.core.evidence import LISTS_APART, Id, Listing, Verdict
from akri.core.ids import ObjectKey, ResourceName
from akri.core.reports import Event, Reason
from akri.core.slots import Held, SlotTable
from akri.ports import Clock, Done, NodePlatform, Refused, Unknown

__all__ = ["ListPods", "Releases"]

_logger = logging.getLogger(__name__)
_PERIOD: Final = 0.5
"""Seconds between two Lists while something is held."""
_SOON: Final = LISTS_APART + 0.01
"""Seconds to the next List when one more can bring a proof."""
_SPACING: Final = 0.1
"""Seconds between two Lists at least, however often it is woken: the kubelet's limit is shared by all its clients."""
_LONGEST: Final = 10.0
"""Seconds to the next List at most, while PodResources does not answer."""
_LIST_TIMEOUT: Final = 5.0

ListPods: TypeAlias = Callable[[], Coroutine[object, object, Listing]]
"""Asks PodResources. Raises an AkriError if there is no answer."""


@define(eq=False)
class Releases:
    """The agent's loop that gives slots back.

    on_listing: told of the resources whose users are others than in the last List.
    lingering: whether a resource is offered only because pods still use it. trouble: why PodResources does not answer, or "".
    listed_once: set when it was asked for the first time since the start, whatever came of it.
    """

    state: NodeState
    platform: NodePlatform
    clock: Clock
    writes: InstanceWrites
    list_pods: ListPods
    on_listing: Callable[[Collection[ResourceName]], None]
    lingering: Callable[[], bool]
    trouble: str = ""
    listed_once: asyncio.Event = field(factory=asyncio.Event)
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _busy: set[str] = field(factory=set[str])
    _failures: int = 0

    def wake(self) -> None:
        """Look at once: a pod changed, or a slot was claimed."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled. A write that hangs holds up nothing but its own slot."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self.clock.sleep(_SPACING)
                self._wake.clear()
                for slot, work in await self.step():
                    self._start(group, slot, work)
                await self._rest()

    def _start(self, group: asyncio.TaskGroup, slot: str, work: Coroutine[object, object, None]) -> None:
        self._busy.add(slot)
        group.create_task(work).add_done_callback(lambda _: self._busy.discard(slot))

    async def _rest(self) -> None:
        if not (self.state.held() or self.state.orphaned or self.lingering() or any(True for _ in self.state.doubtful())):
            await self._wake.wait()
            return
        evidence = self.state.evidence
        if not self.trouble and any(evidence.judge(id_) is Verdict.NOT_ABSENT_TWICE for id_ in evidence.uses):
            await self.clock.sleep(_SOON - _SPACING)
        else:
            await wait_for_either(self.clock, min(_PERIOD * 2.0 ** min(self._failures, 10), _LONGEST), self._wake)

    async def step(self) -> Sequence[tuple[str, Coroutine[object, object, None]]]:
        """List once; return what can be done now, each piece with what it works on."""
        held = self.state.held()
        self.state.evidence = self.state.evidence.hold(held, self.clock.now())
        wanted = held or self.state.orphaned or self.lingering() or not self.listed_once.is_set()
        releases = self._releases(held) if wanted and await self._list() else []
        self.listed_once.set()
        doubts = [(str(table.key), self._resolve(configuration, table)) for configuration, table in self._unresolved()]
        return [*releases, *doubts]

    async def _list(self) -> bool:
        try:
            listing = await within(self.clock, _LIST_TIMEOUT, self.list_pods(), "PodResources List")
        except (AkriError, OSError) as error:
            self._no_listing(str(error))
            return False
        except Exception as error:
            _logger.exception("PodResources cannot be asked")
            self._no_listing(f"{type(error).__name__}: {error}")
            return False
        before = self.state.evidence.last
        self.trouble, self._failures = "", 0
        self.state.evidence = self.state.evidence.list(listing)
        self.state.drop_unused_orphans(self.clock.now())
        users = listing.users
        former: Mapping[ResourceName, object] = before.users if before else {}
        changed = {name for name in users.keys() | former.keys() if users.get(name) != former.get(name)}
        if changed:
            self.on_listing(changed)
        return True

    def _no_listing(self, trouble: str) -> None:
        if trouble != self.trouble:
            _logger.warning("no slot can be released error=%s", trouble)
        self.trouble, self._failures = trouble, self._failures + 1

    def _releases(self, held: Mapping[Id, tuple[Resource, tuple[Held, ...]]]) -> list[tuple[str, Coroutine[object, object, None]]]:
        unused = [
            (held[id_][0], slot, id_, self._unused) for id_ in self.state.evidence.releasable() if id_ in held for slot in held[id_][1]
        ]
        doubled = [(id_, resource) for id_, (resource, slots) in held.items() if len(slots) > 1]
        late = [(resource, slot, id_, self._late) for id_, resource in doubled for slot in self._strays(id_)]
        wanted = {str(slot.slot): (resource, slot, id_, why) for resource, slot, id_, why in [*late, *unused]}
        return [(slot, self._release(*work)) for slot, work in wanted.items() if slot not in self._busy]

    async def _release(self, resource: Resource, held: Held, id_: Id, why: Callable[[Id, Held], str]) -> None:
        """Free one slot, if there still is a reason when its turn has come."""
        reason = why(id_, held)
        outcome = await self.writes.release(resource.configuration, held, lambda: bool(why(id_, held)))
        if isinstance(outcome, Done):
            about = ObjectKey(resource.configuration.namespace, held.slot.instance)
            await tell(self.platform, Event("Instance", about, Reason.SLOT_RELEASED, f"slot {held.slot} is free: {reason}"))

    def _unused(self, id_: Id, _held: Held) -> str:
        verdict = self.state.evidence.judge(id_)
        return verdict.value if verdict.release else ""

    def _late(self, id_: Id, held: Held) -> str:
        return "a claim of it took effect too late to be used" if held in self._strays(id_) else ""

    def _strays(self, id_: Id) -> Sequence[Held]:
        """Slots of an id that the kubelet was never told of, as far as this can be known by now."""
        held = self.state.held().get(id_)
        if held is None or not self.state.evidence.answered_long_ago(id_):
            return ()
        return strays({id_[1]: held[1]}, self.state.answered.get(id_[0], {}))

    def _unresolved(self) -> list[tuple[ObjectKey, SlotTable]]:
        return [(key, table) for key, table in self.state.doubtful() if str(table.key) not in self._busy]

    async def _resolve(self, configuration: ObjectKey, table: SlotTable) -> None:
        """Find out what became of a write without an answer, so that no doubt outlives the fault that caused it."""
        if isinstance(await self.writes.fence(configuration, table.instance), Unknown | Refused):
            await self.clock.sleep(_PERIOD)

"""The agent of one node as a pure shell: executes what core decides, one write at a time for each Instance, and nothing else.

Each piece of work is a generator that yields a request and is resumed with its outcome, so that a test orders every step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from attrs import define, field

from akri.core.allocation import (
    Binding,
    ByConfiguration,
    ByInstance,
    ClaimSlot,
    Denial,
    FenceInstance,
    Grant,
    Level,
    ReleaseSlot,
    Step,
    Steps,
    advertised,
    allocate,
    held_ids,
    strays,
)
from akri.core.errors import AkriError, OutcomeUnknownError
from akri.core.evidence import Evidence, Id, Listing
from akri.core.ids import InstanceName, NodeName, PluginDeviceId, ResourceName, SlotId
from akri.core.instance import Instance
from akri.core.slots import Held, SlotTable
from akri.core.usage import FREE, Usage
from akri.ports import Done, Outcome, Refused, Unknown
from tests.properties.sharing_store import CONFIGURATION, SEEN, Claim, Fence, Operation, Release, Request, Store

Work: TypeAlias = Generator[Request | None, Outcome | None, object]
"""Yields a request to wait for its outcome, None to wait for anything else."""
PATIENCE = 10.0


def resource_of(level: Level) -> ResourceName:
    """The kubelet's name of a resource."""
    return ResourceName(f"akri.sh/{level.instance if isinstance(level, ByInstance) else level.configuration}")


@define(eq=False)
class Process:
    """A piece of work under way."""

    work: Work
    waits_for: Request | None = None
    done: bool = False
    result: object = None

    def step(self) -> bool:
        """Go on as far as possible; tell whether anything moved."""
        moved = False
        while not self.done:
            answer: Outcome | None = None
            if self.waits_for is not None:
                if (answer := self.waits_for.answer) is None:
                    return moved
                self.waits_for, moved = None, True
            try:
                self.waits_for = self.work.send(answer)
            except StopIteration as end:
                self.done, self.result = True, end.value
                return True
            if self.waits_for is None:
                return moved
            moved = True
        return moved


@define(eq=False)
class Agent:
    """What one process of the agent knows and does; a restart makes a new one."""

    node: NodeName
    store: Store
    now: Callable[[], float]
    evidence: Evidence
    tables: dict[InstanceName, SlotTable] = field(factory=dict[InstanceName, SlotTable])
    serving: set[InstanceName] = field(factory=set[InstanceName])
    answered: dict[ResourceName, dict[PluginDeviceId, SlotId]] = field(factory=dict[ResourceName, dict[PluginDeviceId, SlotId]])
    processes: list[Process] = field(factory=list[Process])
    _locked: set[InstanceName] = field(factory=set[InstanceName])
    _busy: set[str] = field(factory=set[str])
    _allocating: bool = False

    @classmethod
    def start(cls, node: NodeName, store: Store, now: Callable[[], float], *, watching: bool) -> Agent:
        """Start with the present state of the store: what this node holds was claimed by a former process."""
        tables = {name: SlotTable.read(store.present(name), node).inherit() for name in store.history}
        return cls(node, store, now, Evidence(started=now(), watching=watching), tables, set(tables))

    def run(self) -> None:
        """Resume everything that can go on."""
        moved = True
        while moved:
            moved = False
            for process in self.processes:  # a step may add more of them
                moved = process.step() or moved
        self.processes = [process for process in self.processes if not process.done]

    def spawn(self, work: Work) -> Process:
        """Take up a piece of work."""
        process = Process(work)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """Die: nothing is given back, nothing is waited for."""
        for process in self.processes:
            process.work.close()
            if process.waits_for is not None:
                process.waits_for.lose()

    def levels(self) -> Iterable[Level]:
        """All resources, both kinds over the same Instances."""
        return [ByConfiguration(CONFIGURATION), *(ByInstance(name) for name in self.tables)]

    def observe(self, instance: Instance) -> None:
        """Take in a state of an Instance, from the watch or from an answer."""
        self.tables[instance.name] = self.tables[instance.name].observe(instance)

    def held(self) -> Mapping[Id, tuple[Held, ...]]:
        """Tell everything that this node holds."""
        return {(resource_of(level), id_): held for level in self.levels() for id_, held in held_ids(level, self.tables).items()}

    def advertised(self, level: Level) -> Mapping[PluginDeviceId, bool]:
        """Tell what the kubelet is told."""
        listed = self.evidence.listed_ids(resource_of(level))
        return advertised(level, self.tables, serving=self.serving, listed=listed)

    def begin_list(self) -> None:
        """Note what is held before PodResources is asked."""
        self.evidence = self.evidence.hold(self.held(), self.now())

    def end_list(self, listing: Listing) -> None:
        """Take in a List and start what it allows; look after doubts as well."""
        self.evidence = self.evidence.list(listing)
        held = self.held()
        for id_ in self.evidence.releasable():
            for slot in held.get(id_, ()):
                SEEN["release on evidence"] += 1
                self._start(str(slot.slot), self._release(slot, partial(self._unused, id_)))
        for id_, slots in held.items():
            for slot in self._strays(id_, slots):
                SEEN["stray"] += 1
                self._start(str(slot.slot), self._release(slot, partial(self._still_stray, id_, slot)))
        for name, table in self.tables.items():
            if table.doubts:
                self._start(f"fence {name}", self._fence(name))
        self.run()

    def _strays(self, id_: Id, slots: tuple[Held, ...]) -> tuple[Held, ...]:
        return strays({id_[1]: slots}, self.answered.get(id_[0], {})) if self.evidence.answered_long_ago(id_) else ()

    def _unused(self, id_: Id) -> bool:
        return self.evidence.judge(id_).release

    def _still_stray(self, id_: Id, slot: Held) -> bool:
        return slot in self._strays(id_, self.held().get(id_, ()))

    def _start(self, what: str, work: Work) -> None:
        if what not in self._busy:
            self._busy.add(what)
            self.spawn(self._free_when_done(what, work))

    def _free_when_done(self, what: str, work: Work) -> Work:
        yield from work
        self._busy.discard(what)
        return None

    def allocate(self, level: Level, ids: tuple[PluginDeviceId, ...]) -> Process:
        """Answer an Allocate: the result is a Grant or an AkriError. The caller says `answered` when it went out."""
        process = self.spawn(self._in_turn(level, ids))
        self.run()
        return process

    def went_out(self, level: Level, ids: Iterable[PluginDeviceId]) -> None:
        """Note that an answer went out, or was lost on the way."""
        self.evidence = self.evidence.answered([(resource_of(level), id_) for id_ in ids], self.now())

    def _in_turn(self, level: Level, ids: tuple[PluginDeviceId, ...]) -> Work:
        while self._allocating:
            yield None
        self._allocating = True
        resource = resource_of(level)
        unused = tuple(id_ for name, id_ in self.evidence.releasable() if name == resource)
        self.evidence = self.evidence.allocating([(resource, id_) for id_ in ids])
        result = yield from self._allocate(level, ids, unused)
        self._allocating = False
        return result

    def _allocate(self, level: Level, ids: tuple[PluginDeviceId, ...], unused: tuple[PluginDeviceId, ...]) -> Work:
        taken: list[Binding] = []
        told = self.answered.setdefault(resource_of(level), {})
        deadline = self.now() + PATIENCE
        error: AkriError = OutcomeUnknownError("not within 10 s")
        while self.now() < deadline:
            decision = allocate(level, ids, self.node, self.tables, serving=self.serving, unused=unused, answered=told)
            match decision:
                case Grant(bindings):
                    told.update({binding.id: binding.slot for binding in bindings})
                    return decision
                case Denial(error):
                    break
                case Steps(steps):
                    yield from self._all(self._do(step, taken) for step in steps)
        SEEN["denied Allocate that had taken a slot"] += bool(taken)
        yield from self._all(self._release(Held(binding.slot, binding.usage), lambda: True) for binding in taken)
        return error

    def _all(self, works: Iterable[Work]) -> Work:
        children = [self.spawn(work) for work in works]
        while not all(child.done for child in children):
            yield None
        return None

    def _do(self, step: Step, taken: list[Binding]) -> Work:
        match step:
            case ClaimSlot(binding):
                yield from self._claim(binding, taken)
            case FenceInstance(name):
                SEEN["fence by Allocate"] += 1
                yield from self._fence(name)
            case ReleaseSlot(held):
                SEEN["rebound"] += 1
                yield from self._release(held, lambda: True)
        return None

    def _lock(self, name: InstanceName) -> Work:
        while name in self._locked:
            yield None
        self._locked.add(name)
        return None

    def _claim(self, binding: Binding, taken: list[Binding]) -> Work:
        slot = binding.slot
        yield from self._lock(slot.instance)
        outcome = yield from self._write(Claim(slot, binding.usage), slot, binding.usage)
        if isinstance(outcome, Done):
            taken.append(binding)
        self._locked.discard(slot.instance)
        return None

    def _release(self, held: Held, allowed: Callable[[], bool]) -> Work:
        slot = held.slot
        yield from self._lock(slot.instance)
        table = self.tables[slot.instance]
        if table.may_release(held) and allowed():
            yield from self._write(Release(slot, held.usage, table.revision), slot, FREE)
        self._locked.discard(slot.instance)
        return None

    def _write(self, operation: Operation, slot: SlotId, wanted: Usage) -> Generator[Request | None, Outcome | None, Outcome | None]:
        self.tables[slot.instance] = self.tables[slot.instance].sent(slot.index, wanted)
        outcome = yield self.store.send(self.node, operation, self.now())
        match outcome:
            case Done(instance) | Refused(_, _, instance) if instance is not None:
                self.observe(instance)
            case _:
                pass
        if not isinstance(outcome, Unknown):
            self.tables[slot.instance] = self.tables[slot.instance].settled(slot.index)
        return outcome

    def _fence(self, name: InstanceName) -> Work:
        yield from self._lock(name)
        if self.tables[name].doubts or self.tables[name].inherited:
            outcome = yield self.store.send(self.node, Fence(name), self.now())
            if isinstance(outcome, Done) and outcome.instance is not None:
                SEEN["fence"] += 1
                self.tables[name] = self.tables[name].fenced(outcome.instance)
        self._locked.discard(name)
        return None

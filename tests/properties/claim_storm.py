"""A million claims by twenty nodes for ten slots, over a store that loses answers: never two holders, none leaked.

Run by hand: `python -m tests.properties.claim_storm [ATTEMPTS] [SEED]`. The suite runs a small one.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import Final

from attrs import define, field

from akri.core.allocation import Binding, ByConfiguration, ByInstance, ClaimSlot, FenceInstance, Grant, Level, Steps, allocate
from akri.core.ids import InstanceName, NodeName, PluginDeviceId, SlotId
from akri.core.slots import Held, SlotTable
from akri.core.usage import FREE, print_usage
from akri.ports import Done, Outcome, Refused, Unknown
from tests.properties.sharing_store import CONFIGURATION, Claim, Fence, Operation, Release, Request, Store

NAME: Final = InstanceName(f"{CONFIGURATION}-storm")
CAPACITY: Final = 10
NODES: Final = tuple(NodeName(f"node-{index:02}") for index in range(20))
ROUNDS: Final = 6
"""Decisions in one attempt at most."""
_FATES: Final = ("done",) * 14 + ("lost, landed", "lost, under way", "lost, under way", "conflict")
_KEEP: Final = 1000


@define(eq=False)
class Storm:
    """The store, what each node knows of it, and who really uses which slot: that is what the store must never contradict."""

    rng: random.Random
    store: Store = field(factory=lambda: Store(NODES))
    tables: dict[NodeName, SlotTable] = field(factory=dict[NodeName, SlotTable])
    users: dict[SlotId, Binding] = field(factory=dict[SlotId, Binding])
    owners: dict[SlotId, NodeName] = field(factory=dict[SlotId, NodeName])
    told: dict[NodeName, dict[PluginDeviceId, SlotId]] = field(factory=dict[NodeName, dict[PluginDeviceId, SlotId]])
    late: list[Request] = field(factory=list[Request])
    seen: Counter[str] = field(factory=Counter[str])
    faults: bool = True

    def __attrs_post_init__(self) -> None:
        self.store.create(NAME, CAPACITY)
        self.tables = {node: SlotTable.read(self.store.present(NAME), node) for node in NODES}
        self.told = {node: {} for node in NODES}

    def attempt(self) -> None:
        """One node tries to get one device, others do their part before and after."""
        self._let_late_writes_land()
        node = self.rng.choice(NODES)
        if self.rng.random() < 0.7:
            self._observe(node)
        if self.users and self.rng.random() < 0.6:
            self._end(self.rng.choice(sorted(self.users)))
        if self.rng.random() < 0.2:
            self.tidy(self.rng.choice(NODES))
        self._claim(node)
        del self.store.history[NAME][:-_KEEP]

    def _claim(self, node: NodeName) -> None:
        level: Level = self.rng.choice((ByInstance(NAME), ByConfiguration(CONFIGURATION)))
        stem = NAME if isinstance(level, ByInstance) else CONFIGURATION
        id_ = PluginDeviceId(f"{stem}-{self.rng.randrange(CAPACITY)}")
        self.seen["attempt"] += 1
        for _ in range(ROUNDS):
            tables = {NAME: self.tables[node]}
            decision = allocate(level, [id_], node, tables, serving=[NAME], answered=self.told[node])
            if not isinstance(decision, Steps):
                break
            for step in decision.steps:
                match step:
                    case ClaimSlot(binding):
                        self._write(node, Claim(binding.slot, binding.usage))
                    case FenceInstance():
                        self._write(node, Fence(NAME))
                    case _:
                        raise AssertionError("nothing is rebound where there is one Instance")
        else:
            self.seen["gave up"] += 1
            return
        if isinstance(decision, Grant):
            self._granted(node, decision.bindings[0])
        else:
            self.seen["denied"] += 1

    def _granted(self, node: NodeName, binding: Binding) -> None:
        self.seen["granted"] += 1
        user = self.users.setdefault(binding.slot, binding)
        assert (user, self.owners.setdefault(binding.slot, node)) == (binding, node), f"two holders of {binding.slot}"
        slots = [slot for slot, other in self.users.items() if other.id == binding.id and self.owners[slot] == node]
        assert slots == [binding.slot], f"{binding.id} of {node} stands for {slots}"
        self.told[node][binding.id] = binding.slot
        self.check()

    def _end(self, slot: SlotId) -> None:
        """The user of a slot ends, and its node releases it."""
        binding, node = self.users.pop(slot), self.owners.pop(slot)
        self._release(node, Held(slot, binding.usage))

    def _release(self, node: NodeName, held: Held) -> None:
        table = self.tables[node]
        if held in table.held():
            self._write(node, Release(held.slot, held.usage, table.revision))

    def tidy(self, node: NodeName) -> None:
        """Resolve doubts and release what the node holds without a user, as its agent does in time."""
        self._observe(node)
        if self.tables[node].doubts:
            self._write(node, Fence(NAME))
        for held in list(self.tables[node].held()):
            if held.slot not in self.users:
                self.seen["released later"] += 1
                self._release(node, held)

    def _write(self, node: NodeName, operation: Operation) -> None:
        index = None if isinstance(operation, Fence) else operation.slot.index
        table = self.tables[node]
        if not isinstance(operation, Fence):
            wanted = operation.usage if isinstance(operation, Claim) else FREE
            table = table.sent(operation.slot.index, wanted)
        self.tables[node] = table
        outcome = self._send(node, operation)
        match outcome:
            case Done(instance) if isinstance(operation, Fence) and instance is not None:
                self.tables[node] = table.fenced(instance)
            case Done(instance) | Refused(_, _, instance) if instance is not None:
                self.tables[node] = table.observe(instance)
            case _:
                return
        if index is not None:
            self.tables[node] = self.tables[node].settled(index)

    def _send(self, node: NodeName, operation: Operation) -> Outcome:
        request = self.store.send(node, operation, 0.0)
        self.store.requests.clear()
        fate = self.rng.choice(_FATES) if self.faults else "done"
        self.seen[fate] += 1
        if fate == "conflict":
            self.store.refuse(request)
            return request.answer or Unknown("")
        if fate == "lost, under way":
            self.late.append(request)
            return Unknown("lost")
        outcome = self.store.land(request)
        self.check()
        return outcome if fate == "done" else Unknown("lost")

    def _let_late_writes_land(self) -> None:
        while self.late and self.rng.random() < 0.3:
            request = self.late.pop(self.rng.randrange(len(self.late)))
            self.seen["landed late"] += isinstance(self.store.land(request), Done)
            self.check()

    def _observe(self, node: NodeName) -> None:
        self.tables[node] = self.tables[node].observe(self.store.present(NAME))

    def check(self) -> None:
        """No slot in use is free, or another's."""
        for slot, binding in self.users.items():
            assert self.store.text(slot) == print_usage(binding.usage), f"{slot} is in use as {binding.usage}"

    def finish(self) -> None:
        """All users end, all late writes land, faults stop: nothing stays held."""
        for slot in sorted(self.users):
            self._end(slot)
        for request in self.late:
            self.store.land(request)
        self.faults = False
        for node in NODES:
            self.tidy(node)
            assert not self.tables[node].doubts
        held = {key: text for key, text in self.store.present(NAME).device_usage.items() if text}
        assert held == {}, f"leaked: {held}"


def storm(attempts: int, seed: int) -> Counter[str]:
    """Run one storm; raises AssertionError if a promise is broken. Returns how often what happened."""
    one = Storm(random.Random(seed))
    for _ in range(attempts):
        one.attempt()
    one.finish()
    return one.seen


def main(attempts: int = 1_000_000, seed: int = 1) -> None:
    """Run by hand."""
    began = time.perf_counter()
    seen = storm(attempts, seed)
    lines = [f"{count:>10,} {what}" for what, count in sorted(seen.items())]
    sys.stdout.write("\n".join([*lines, f"{time.perf_counter() - began:10.1f} s", ""]))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

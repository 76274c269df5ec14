"""All nodes, one store and one clock: what the state machine moves, what it checks after each step, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Iterator

from akri.core.allocation import Binding, ByConfiguration, Level
from akri.core.ids import InstanceName, NodeName, SlotId
from akri.core.slots import SlotTable
from akri.core.usage import print_usage
from tests.properties.sharing_agent import PATIENCE, Agent
from tests.properties.sharing_kubelet import Container, Kubelet, Pod
from tests.properties.sharing_store import CONFIGURATION, SEEN, Request, Store

NAMES = tuple(InstanceName(f"{CONFIGURATION}-{digest}") for digest in ("a1", "b2", "c3"))
NODES = tuple(NodeName(f"node-{letter}") for letter in "abc")
UNWATCHED = NODES[2]
"""The node whose operator switched the pod watch off."""
EVERY_FATE = ("done", "landed, still waiting", "landed, answer lost", "under way, answer lost", "in conflict")


class World:
    """Everything that exists. Methods that begin with `check` say what must never happen, `finish` what must happen at last."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 100.0
        self.store = Store(NODES)
        self.kubelets: list[Kubelet] = []

    def create(self, capacities: tuple[int, ...]) -> None:
        for name, capacity in zip(NAMES, capacities, strict=True):
            self.store.create(name, capacity)
        self.kubelets = [Kubelet(node, self.agent(node), self.now) for node in NODES]
        for kubelet in self.kubelets:
            kubelet.deliver(0)
            kubelet.tell()

    def now(self) -> float:
        return self.time

    def agent(self, node: NodeName) -> Agent:
        return Agent.start(node, self.store, self.now, watching=node != UNWATCHED)

    def run(self) -> None:
        for kubelet in self.kubelets:
            kubelet.agent.run()
            kubelet.run()
        self.store.forget_settled()

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        for kubelet in self.kubelets:
            if seconds >= 1:
                kubelet.notice()
        for request in self.waiting():
            if self.time - request.sent_at >= PATIENCE:
                request.lose()
        self.run()

    def waiting(self) -> list[Request]:
        return [request for request in self.store.requests if request.waiting]

    def late(self) -> list[Request]:
        return [request for request in self.store.requests if request.pending and not request.waiting]

    def end(self, request: Request, fate: str) -> None:
        """Let a write end in one of the ways in which a write can end, or take effect while its sender still waits."""
        SEEN[f"write {fate}"] += 1
        match fate:
            case "done":
                request.answer = self.store.land(request)
            case "landed, still waiting":
                self.store.land(request)
            case "landed, answer lost":
                self.store.land(request)
                request.lose()
            case "under way, answer lost":
                request.lose()
            case _:
                self.store.refuse(request)
        self.run()

    def can_admit(self, kubelet: Kubelet) -> bool:
        return kubelet.admission is None and not kubelet.unnoticed and self.time >= kubelet.blind_until

    def admit_smoothly(self, kubelet: Kubelet, rng: random.Random) -> None:
        """Go on until the pod is admitted or rejected; most writes are just done."""
        self.run()
        while kubelet.admission is not None:
            for request in self.waiting():
                if request.node == kubelet.node and request.waiting:
                    self.end(request, rng.choice(("done", "done", "done", "done", "done", *EVERY_FATE)))
            self.answer_one(kubelet, rng, lost=rng.random() < 0.03)
            self.check_everything()

    def list_twice_now(self, kubelet: Kubelet, seconds: float) -> None:
        for wait in (seconds, 0.01):
            if kubelet.asked_at is None:
                kubelet.ask(at_once=True)
            kubelet.answer_list()
            self.run()
            self.pass_time(wait)

    def answer_one(self, kubelet: Kubelet, rng: random.Random, *, lost: bool = False) -> None:
        # A new process of the agent cannot know which of two slots a pod was told that has been deleted by force since.
        known = [one for pod, one in kubelet.living() if pod.dies_at is None or one.granted_by is kubelet.agent]
        old = {key: binding.slot for container in known for key, binding in self._by_id(container)}
        container = kubelet.answer(rng, lost=lost)
        if container is None:
            return
        bindings = container.bindings
        assert tuple(binding.id for binding in bindings) == container.ids, "a grant for other ids than asked for"
        for key, binding in self._by_id(container):
            assert old.get(key, binding.slot) == binding.slot, f"{key} is {old[key]} for a living container, and now {binding.slot}"
        if isinstance(container.wish.level, ByConfiguration):
            assert len({binding.slot.instance for binding in bindings}) == len(bindings), "one device twice"
        self.run()

    @staticmethod
    def _by_id(container: Container) -> Iterator[tuple[tuple[Level, str], Binding]]:
        return (((container.wish.level, binding.id), binding) for binding in container.bindings)

    # --- what must never happen

    def _living(self) -> list[tuple[Kubelet, Pod, Binding]]:
        living = [(kubelet, pod, container) for kubelet in self.kubelets for pod, container in kubelet.living()]
        return [(kubelet, pod, binding) for kubelet, pod, container in living for binding in container.bindings]

    def check_everything(self) -> None:
        self.no_slot_has_two_holders()
        self.no_slot_in_use_is_freed()
        self.memory_is_what_the_store_was()

    def no_slot_has_two_holders(self) -> None:
        holders: dict[SlotId, set[tuple[NodeName, str]]] = {}
        nodes: dict[SlotId, set[NodeName]] = {}
        for kubelet, pod, binding in self._living():
            nodes.setdefault(binding.slot, set()).add(kubelet.node)
            if pod.dies_at is None:
                holders.setdefault(binding.slot, set()).add((kubelet.node, pod.uid))
        assert all(len(pods) == 1 for pods in holders.values()), f"two holders: {holders}"
        assert all(len(names) == 1 for names in nodes.values()), f"two nodes: {nodes}"

    def no_slot_in_use_is_freed(self) -> None:
        for _, pod, binding in self._living():
            text = self.store.text(binding.slot)
            assert text == print_usage(binding.usage), f"{pod.uid} uses {binding.slot} as {binding.id}, the store says {text!r}"

    def memory_is_what_the_store_was(self) -> None:
        for kubelet in self.kubelets:
            for name, table in kubelet.agent.tables.items():
                stored = next(one for one in reversed(self.store.history[name]) if one.metadata.revision <= table.revision)
                assert table.usages == SlotTable.read(stored, kubelet.node).usages

    # --- what must happen at last

    def finish(self) -> None:
        if self.kubelets:
            self._end_everything()
            for _ in range(300):
                self._quiet_step()
                if not self._held() and not self.store.requests and not any(list(one.agent.held()) for one in self.kubelets):
                    break
            assert not self._held(), f"held for ever: {self._held()}"
            for kubelet in self.kubelets:
                assert not [table for table in kubelet.agent.tables.values() if table.doubts], "doubts for ever"

    def _end_everything(self) -> None:
        rng = random.Random(1)
        for request in self.late():
            self.store.land(request)
        for _ in range(50):
            for request in self.waiting():
                request.answer = self.store.land(request)
            self.run()
            for kubelet in self.kubelets:
                self.answer_one(kubelet, rng)
        for kubelet in self.kubelets:
            assert kubelet.admission is None, "an Allocate is never answered"
            for pod in kubelet.running():
                pod.end()

    def _quiet_step(self) -> None:
        self.pass_time(0.5)
        for kubelet in self.kubelets:
            for pod in kubelet.ending():
                for _ in range(3):
                    kubelet.settle(pod, in_list=True, remove=True)
            for name in NAMES:
                kubelet.agent.observe(self.store.present(name))
            kubelet.notice()
            kubelet.deliver(1000)
            if kubelet.asked_at is None:
                kubelet.ask(at_once=True)
            kubelet.answer_list()
            while waiting := self.waiting():
                waiting[0].answer = self.store.land(waiting[0])
                self.run()

    def _held(self) -> list[str]:
        usages = [(name, SlotTable.read(self.store.present(name), NODES[0]).nodes_holding()) for name in NAMES]
        return [f"{name} by {node}" for name, holding in usages for node in holding if node in NODES]

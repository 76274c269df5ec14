"""The kubelet of one node with its habits, its pods and their containers, and the watch that shows the pods to the agent.

What is living is known here alone: invariants ask this model, the agent sees only Lists and delayed pod events.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from akri.core.allocation import Binding, Grant, Level
from akri.core.evidence import Listing, PodObservation
from akri.core.ids import NodeName, ObjectKey, PluginDeviceId, ResourceName
from tests.properties.sharing_agent import Agent, Process, resource_of
from tests.properties.sharing_store import NAMESPACE, SEEN

LINGERS = 2.2
"""Seconds that a container lives on after its pod was force-deleted, as measured."""
GRACE = 30.0
"""Seconds that pods have to end where their kubelet is not told otherwise."""


@frozen
class Wish:
    """What a container asks for."""

    level: Level
    count: int
    init: bool = False


@define(eq=False)
class Container:
    """A container; alive from the moment its devices were granted until it ended."""

    wish: Wish
    ids: tuple[PluginDeviceId, ...] = ()
    bindings: tuple[Binding, ...] = ()
    alive: bool = False
    granted_by: Agent | None = None


@define(eq=False)
class Pod:
    """A pod. listed: PodResources shows it. stored: it exists in the API. dies_at: when a force-deleted one's containers end."""

    key: ObjectKey
    uid: str
    containers: list[Container]
    early: bool
    running: bool = False
    listed: bool = False
    stored: bool = True
    reported: bool = False
    dies_at: float | None = None

    @property
    def alive(self) -> bool:
        """Whether a container lives."""
        return any(container.alive for container in self.containers)

    def requests(self) -> dict[ResourceName, int]:
        """Count what the kubelet can give it at one time."""
        counts: dict[ResourceName, int] = {}
        for resource in {resource_of(container.wish.level) for container in self.containers}:
            wishes = [one.wish for one in self.containers if resource_of(one.wish.level) == resource]
            init = max((wish.count for wish in wishes if wish.init), default=0)
            counts[resource] = max(init, sum(wish.count for wish in wishes if not wish.init))
        return counts

    def end(self) -> None:
        """End all containers."""
        for container in self.containers:
            container.alive = False


@define(eq=False)
class Admission:
    """A pod on its way in: Allocate is called for one container after the other."""

    pod: Pod
    position: int = 0
    process: Process | None = None
    reuse: set[tuple[ResourceName, PluginDeviceId]] = field(factory=set[tuple[ResourceName, PluginDeviceId]])


PodEvent: TypeAlias = tuple[PodObservation, bool]
"""A state of a pod, and whether it is gone."""


@define(eq=False)
class Kubelet:
    """The kubelet of a node. offered: what it was last told. given: ids that it calls allocated, and to which pod."""

    node: NodeName
    agent: Agent
    now: Callable[[], float]
    pods: list[Pod] = field(factory=list[Pod])
    offered: dict[ResourceName, dict[PluginDeviceId, bool]] = field(factory=dict[ResourceName, dict[PluginDeviceId, bool]])
    given: dict[tuple[ResourceName, PluginDeviceId], Pod] = field(factory=dict[tuple[ResourceName, PluginDeviceId], Pod])
    admission: Admission | None = None
    events: deque[PodEvent] = field(factory=deque[PodEvent])
    blind_until: float = 0.0
    unnoticed: bool = False
    asked_at: float | None = None
    _answer: Listing | None = None
    _orphans: list[tuple[Process, Level, tuple[PluginDeviceId, ...]]] = field(
        factory=list[tuple[Process, Level, tuple[PluginDeviceId, ...]]]
    )
    _count: int = 0
    _names: set[ObjectKey] = field(factory=set[ObjectKey])

    def living(self) -> Iterator[tuple[Pod, Container]]:
        """Containers that live."""
        return ((pod, container) for pod in self.pods for container in pod.containers if container.alive)

    def tell(self) -> None:
        """Take in what the agent advertises now."""
        self.offered = {resource_of(level): dict(self.agent.advertised(level)) for level in self.agent.levels()}

    # --- admission

    def admit(self, wishes: Iterable[Wish], rng: random.Random, *, early: bool, same_name: bool) -> None:
        """Take in a pod and call Allocate for its first container. early: it is listed from its first answer on."""
        self._count += 1
        former = sorted(self._names - {pod.key for pod in self.pods if pod.stored})
        name = rng.choice(former) if same_name and former else ObjectKey(NAMESPACE, f"pod-{self._count}")
        SEEN["pod of a former name"] += name in former
        self._names.add(name)
        pod = Pod(name, f"{self.node}-{self._count}", [Container(wish) for wish in wishes], early)
        self.pods.append(pod)
        self._report(pod)
        self.admission = Admission(pod)
        self._next(rng)

    def _next(self, rng: random.Random) -> None:
        admission = self.admission
        assert admission is not None
        container = admission.pod.containers[admission.position]
        container.ids = self._pick(admission, container.wish, rng)
        if container.ids:
            admission.process = self.agent.allocate(container.wish.level, container.ids)
        else:
            self._reject(admission.pod)

    def _pick(self, admission: Admission, wish: Wish, rng: random.Random) -> tuple[PluginDeviceId, ...]:
        resource = resource_of(wish.level)
        again = sorted(id_ for name, id_ in admission.reuse if name == resource)[: wish.count]
        free = sorted(id_ for id_, healthy in self.offered.get(resource, {}).items() if healthy and (resource, id_) not in self.given)
        if rng.random() < 0.5:  # else the lowest, which are those that are held already
            rng.shuffle(free)
        ids = again + free[: wish.count - len(again)]
        if len(ids) < wish.count:
            return ()
        SEEN["id offered again to the same pod"] += bool(again)
        SEEN["several ids in one Allocate"] += wish.count > 1
        SEEN["id offered while its old container lives"] += any(set(ids) & set(one.ids) for pod, one in self.living() if pod.dies_at)
        rng.shuffle(ids)
        return tuple(ids)

    def answer(self, rng: random.Random, *, lost: bool) -> Container | None:
        """Deliver the answer of the Allocate that is done; return the container that was granted something."""
        admission = self.admission
        if admission is None or admission.process is None or not admission.process.done:
            return None
        result = admission.process.result
        container = admission.pod.containers[admission.position]
        self.agent.went_out(container.wish.level, container.ids)
        if lost or not isinstance(result, Grant):
            SEEN["answer to the kubelet lost"] += lost
            self._reject(admission.pod)
            return None
        self._granted(admission, container, result)
        if admission.position == len(admission.pod.containers):
            admission.pod.running, admission.pod.listed, self.admission = True, True, None
        else:
            self._next(rng)
        return container

    def _granted(self, admission: Admission, container: Container, grant: Grant) -> None:
        resource = resource_of(container.wish.level)
        container.bindings, container.alive, container.granted_by = grant.bindings, True, self.agent
        for id_ in container.ids:
            self.given[resource, id_] = admission.pod
            admission.reuse.discard((resource, id_))
            if container.wish.init:
                admission.reuse.add((resource, id_))
        admission.position, admission.process = admission.position + 1, None
        admission.pod.listed = admission.pod.early

    def _reject(self, pod: Pod) -> None:
        SEEN["rejected pod"] += 1
        self.admission = None
        pod.end()
        self._unlist(pod)
        pod.reported = True
        self._report(pod)

    # --- the end of pods

    def running(self) -> list[Pod]:
        """Pods that run and were not deleted by force."""
        return [pod for pod in self.pods if pod.running and pod.alive and pod.dies_at is None]

    def finish_init(self, pod: Pod) -> None:
        """End the init containers; what they hold stays given to the pod."""
        for container in pod.containers:
            container.alive = container.alive and not container.wish.init

    def ending(self) -> list[Pod]:
        """Pods without living containers that List still shows, or whose end or removal the API does not show."""
        return [pod for pod in self.pods if not pod.alive and (pod.running or not pod.reported or pod.stored) and not self._admits(pod)]

    def _admits(self, pod: Pod) -> bool:
        return self.admission is not None and self.admission.pod is pod

    def settle(self, pod: Pod, *, in_list: bool, remove: bool) -> None:
        """Let one more of the consequences of a pod's end be seen: in List, then in the API, or the other way round."""
        if in_list and pod.running:
            self._unlist(pod)
        elif not pod.reported:
            pod.reported = True
            self._report(pod)
        elif remove and pod.stored and not pod.running:
            pod.stored = False
            self._report(pod)

    def force_delete(self, pod: Pod, *, unseen: bool = False) -> None:
        """Remove the pod from the API and from List at once; its containers live on for a while.

        unseen: neither the kubelet nor the agent hears of the deletion; they find the pod missing in a new list of all.
        """
        SEEN["force delete that nobody saw" if unseen else "force delete"] += 1
        pod.dies_at, pod.stored, pod.reported = self.now() + LINGERS + (GRACE if unseen else 0.0), False, True
        self._unlist(pod)
        self.events.append((evolve(self._observation(pod, ended=False), told=0.0), False))
        self.events.append((self._observation(pod, ended=False), True))
        if unseen:
            self.reset()

    def _unlist(self, pod: Pod) -> None:
        pod.running = pod.listed = False
        self.given = {id_: holder for id_, holder in self.given.items() if holder is not pod}

    def _report(self, pod: Pod) -> None:
        self.events.append((self._observation(pod, ended=pod.reported), not pod.stored))

    def _observation(self, pod: Pod, *, ended: bool) -> PodObservation:
        return PodObservation(pod.key, pod.uid, ended, pod.requests(), GRACE)

    # --- what the agent sees

    def deliver(self, count: int) -> None:
        """Deliver some pod events; Alive if there is nothing else."""
        if not self.agent.evidence.watching:
            self.events.clear()
            return
        if not self.agent.evidence.synced:
            self.reset()
        for _ in range(min(count, len(self.events))):
            pod, gone = self.events.popleft()
            evidence = self.agent.evidence
            self.agent.evidence = evidence.drop_pod(pod.key, pod.uid) if gone else evidence.put_pod(pod)
        if not self.events:
            self.agent.evidence = self.agent.evidence.pods_current(self.now())

    def reset(self) -> None:
        """Begin the watch anew: the whole present set, what came before is lost."""
        if not self.agent.evidence.watching:
            return
        SEEN["pod watch begun anew"] += 1
        self.events.clear()
        present = [self._observation(pod, ended=pod.reported) for pod in self.pods if pod.stored]
        self.agent.evidence = self.agent.evidence.reset_pods(present)

    def ask(self, *, at_once: bool) -> None:
        """Send a List; its content is that of now or that of the time of its answer."""
        self.agent.begin_list()
        self.asked_at = self.now()
        self._answer = self._listing() if at_once else None

    def answer_list(self) -> None:
        """Deliver the List's answer."""
        listing = self._answer or self._listing()
        self.asked_at = self._answer = None
        self.agent.end_list(listing)

    def _listing(self) -> Listing:
        assert self.asked_at is not None
        users: dict[ResourceName, dict[PluginDeviceId, ObjectKey]] = {}
        listed = [pod for pod in self.pods if pod.listed and self.now() >= self.blind_until]
        for pod in listed:
            for container in pod.containers:
                if container.bindings and not container.wish.init:
                    users.setdefault(resource_of(container.wish.level), {}).update(dict.fromkeys(container.ids, pod.key))
        return Listing(self.asked_at, users, frozenset(pod.key for pod in listed))

    # --- restarts

    def restart(self, seconds: float) -> None:
        """Start anew: List is empty for a while, and the agent notices a little later."""
        SEEN["kubelet restart"] += 1
        self._abandon()
        self.blind_until, self.unnoticed, self.asked_at, self._answer = self.now() + seconds, True, None, None

    def notice(self) -> None:
        """Let the agent notice the restart."""
        if self.unnoticed:
            self.unnoticed = False
            self.agent.evidence = self.agent.evidence.start(self.now())

    def restart_agent(self, agent: Agent) -> None:
        """Lose the agent's memory; the new agent knows the store, nothing else."""
        SEEN["agent restart"] += 1
        if self.admission is not None:
            self._reject(self.admission.pod)
        self.agent.stop()
        self._orphans.clear()
        self.agent, self.asked_at, self._answer, self.unnoticed = agent, None, None, False

    def _abandon(self) -> None:
        if self.admission is not None and self.admission.process is not None:
            container = self.admission.pod.containers[self.admission.position]
            self._orphans.append((self.admission.process, container.wish.level, container.ids))
            self._reject(self.admission.pod)

    def run(self) -> None:
        """Note the answers that nobody waits for any more, and the ends of containers that were deleted by force."""
        for orphan in [orphan for orphan in self._orphans if orphan[0].done]:
            self._orphans.remove(orphan)
            self.agent.went_out(orphan[1], orphan[2])
        for pod in self.pods:
            if pod.dies_at is not None and pod.dies_at <= self.now():
                pod.end()
        self.pods = [pod for pod in self.pods if pod.alive or pod.stored or pod.running or self._admits(pod)]

"""A claim storm: real agents of many nodes, each with its own token, want the slots of one Instance on a real API server.

The agents are whole (`akri.agent.agent.Agent` over `KubernetesNodePlatform`): discovery finds the device on every node, they create
and join the Instance, claim, release on evidence, fence what is in doubt. Played are the kubelets and their pods. The agents' clock
runs faster than time, so that evidence that takes half a second takes a tenth of one; that of the platform does not.

Who really uses a slot is known here: two users at a time are an error at once. What the server stored is read from its audit log.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from math import inf
from random import Random
from typing import Final

from attrs import define, field

from akri.agent.agent import Agent
from akri.clock import SystemClock
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.errors import AkriError
from akri.core.evidence import PodObservation
from akri.core.ids import DeviceId, HandlerName, NodeName, ObjectKey, SlotId
from akri.core.metadata import Json, JsonObject, ObjectMeta
from akri.core.reports import DiscoveryReport, Event
from akri.discovery.handler import Handler
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from akri.ports import Clock, WatchEvent
from akri.testing.source import ScriptedSource
from tests.cluster.processes import eventually
from tests.integration.kubernetes.storm_kubelet import QuickClock, StormKubelet, Wish

__all__ = ["CAPACITY", "CONFIGURATION", "NODES", "Storm", "StormNode", "configuration", "storm"]

CAPACITY: Final = 10
NODES: Final = tuple(NodeName(f"storm-{index:02}") for index in range(20))
CONFIGURATION: Final = ObjectKey("default", "cam")
_HANDLER: Final = HandlerName("scripted")
_LINGERS: Final = 2.0
"""Seconds of the agent's clock that a container lives on after its pod was deleted by force; evidence waits for 10."""
_LOOKS: Final = 0.25
"""Seconds between two looks at whether a storm may end."""


def configuration() -> Configuration:
    """The Configuration that the storm is about."""
    return Configuration(ObjectMeta(CONFIGURATION), DiscoveryRequest(_HANDLER), capacity=CAPACITY)


@define
class Tally:
    """Requests that one Allocate took."""

    requests: int = 0
    writes: int = 0


_TALLY: Final[ContextVar[Tally | None]] = ContextVar("tally", default=None)


class _CountingClient(ApiClient):
    """Counts the requests of the Allocate in whose context it is used."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        content_type: str = "application/json",
        parameters: Mapping[str, str] | None = None,
        seconds: float = 4.0,
    ) -> JsonObject:
        tally = _TALLY.get()
        if tally is not None:
            tally.requests += 1
        answer = await super().request(method, path, body=body, content_type=content_type, parameters=parameters, seconds=seconds)
        if tally is not None and method != "GET":
            tally.writes += 1
        return answer


class _StormPlatform(KubernetesNodePlatform):
    """The real one, but for the pods, which are played, and for what people read, which is not part of this."""

    def __init__(self, client: ApiClient, kubelet: StormKubelet) -> None:
        super().__init__(client, kubelet.node, SystemClock())
        self._kubelet = kubelet

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        return self._kubelet.watch_pods()

    async def emit(self, event: Event) -> None:
        del event

    async def publish_report(self, report: DiscoveryReport) -> None:
        del report


@define(eq=False)
class StormNode:
    """One node: its kubelet and its agent, which may die and come back at any moment."""

    kubelet: StormKubelet
    client: ApiClient
    agent: Agent = field(init=False)
    _source: ScriptedSource = field(init=False)
    _running: asyncio.Task[None] = field(init=False)
    _allocating: asyncio.Task[SlotId] | None = None

    def __attrs_post_init__(self) -> None:
        self._source = ScriptedSource(_HANDLER, shared=True)
        self._source.show(Device(DeviceId("camera")))
        self.start()

    def start(self) -> None:
        """Start an agent that remembers nothing."""

        def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
            return self._source

        platform = _StormPlatform(self.client, self.kubelet)
        self.agent = Agent(self.kubelet.node, platform, self.kubelet.clock, {_HANDLER: make}, self.kubelet, self.kubelet.list_pods)
        self._running = asyncio.create_task(self.agent.run())

    async def stop(self) -> None:
        """End the agent as a kill would. Raises what it failed with before."""
        if self._allocating is not None:
            self._allocating.cancel()
        self.kubelet.offered.clear()
        self._running.cancel()
        await asyncio.wait({self._running})
        if not self._running.cancelled() and (error := self._running.exception()) is not None:
            raise error

    async def allocate(self, wish: Wish) -> SlotId:
        """Ask the agent as the kubelet does; return the slot. Raises an AkriError, CancelledError if the agent dies."""
        agent = self.agent

        async def ask() -> SlotId:
            await agent.allocate(wish.resource, [wish.id])
            return agent.state.answered[wish.resource][wish.id]

        self._allocating = asyncio.create_task(ask())
        try:
            slot = await self._allocating
        finally:
            self._allocating = None
        agent.answered(wish.resource, [wish.id])
        return slot


@define(eq=False)
class Storm:
    """The storm. users: which node's pod really uses which slot.

    hold: seconds of real time that a pod runs, about. pause: seconds between two attempts of a node, about; 0: it wants whatever it
    can get. deaths: how probable an agent's death is during an attempt.
    seen: how often what happened. granted, requests, writes: of the Allocates that wrote something and got a slot, how many there were
    by node, and how many took how many.
    """

    nodes: Sequence[StormNode]
    random: Random
    hold: float = 0.1
    deaths: float = 0.0
    pause: float = 0.0
    users: dict[SlotId, ObjectKey] = field(factory=dict[SlotId, ObjectKey])
    seen: Counter[str] = field(factory=Counter[str])
    granted: Counter[NodeName] = field(factory=Counter[NodeName])
    requests: Counter[int] = field(factory=Counter[int])
    writes: Counter[int] = field(factory=Counter[int])
    _dying: set[StormNode] = field(factory=set[StormNode])

    async def ready(self, seconds: float = 60.0) -> None:
        """Wait until every node offers all slots."""

        async def offered() -> bool:
            return all(sum(map(len, node.kubelet.offered.values())) > CAPACITY for node in self.nodes)

        await eventually(offered, seconds=seconds, what="all nodes to offer all slots")

    async def run(self, attempts: int, seconds: float = inf, *, lacking: Callable[[], object] = tuple, more: float = 0.0) -> None:
        """Let all nodes try, so many times in all or for so long; then for `more` seconds, until nothing is `lacking`."""
        over, clock = asyncio.Event(), asyncio.get_running_loop().time
        end = clock() + seconds
        async with asyncio.TaskGroup() as pods, asyncio.TaskGroup() as group:
            for node in self.nodes:
                group.create_task(self._drive(node, over, pods))
            while self.seen["attempt"] < attempts and clock() < end:  # noqa: ASYNC110 - for time, too
                await asyncio.sleep(_LOOKS)
            end = clock() + more
            while lacking() and clock() < end:  # noqa: ASYNC110 - the same
                await asyncio.sleep(_LOOKS)
            over.set()

    async def calm(self, seconds: float = 60.0) -> None:
        """Wait until no agent holds anything, or doubts anything."""

        async def at_rest() -> bool:
            states = [node.agent.state for node in self.nodes]
            return not any(state.held() or any(True for _ in state.doubtful()) for state in states)

        await eventually(at_rest, seconds=seconds, what="all agents to hold and to doubt nothing")

    async def _drive(self, node: StormNode, over: asyncio.Event, pods: asyncio.TaskGroup) -> None:
        while not over.is_set():
            wish = node.kubelet.wish()
            if wish is None:
                await asyncio.sleep(0.005)
                continue
            self.seen["attempt"] += 1
            await self._attempt(node, wish, pods)
            await asyncio.sleep(self.pause * 2 * self.random.random())

    async def _attempt(self, node: StormNode, wish: Wish, pods: asyncio.TaskGroup) -> None:
        pod = node.kubelet.assign(wish)
        if self.random.random() < self.deaths:
            pods.create_task(self._die(node))
        _TALLY.set(tally := Tally())
        try:
            slot = await node.allocate(wish)
        except (AkriError, asyncio.CancelledError) as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            self.seen[f"refused: {type(error).__name__}"] += 1
            node.kubelet.ended(pod, wish)
            return
        finally:
            _TALLY.set(None)
        user = self.users.setdefault(slot, pod)
        if user != pod:
            raise AssertionError(f"{slot} is used by {user}, and was given to {pod}")
        self.seen["granted without a write" if not tally.writes else "granted"] += 1
        if tally.writes:
            self.granted[node.kubelet.node] += 1
            self.requests[tally.requests] += 1
            self.writes[tally.writes] += 1
        node.kubelet.admitted(pod, wish)
        pods.create_task(self._live(node, pod, wish, slot))

    async def _live(self, node: StormNode, pod: ObjectKey, wish: Wish, slot: SlotId) -> None:
        if self.random.random() < 0.95:  # evidence waits for long where no List ever showed the pod
            await self._shown(node, pod)
        await asyncio.sleep(self.hold * (0.5 + self.random.random()))
        if self.random.random() < 0.02:
            self.seen["deleted by force"] += 1
            node.kubelet.force_deleted(pod)
            await node.kubelet.clock.sleep(_LINGERS)
            del self.users[slot]
            node.kubelet.freed(wish)
        else:
            del self.users[slot]
            node.kubelet.ended(pod, wish)

    async def _shown(self, node: StormNode, pod: ObjectKey) -> None:
        async def shown() -> bool:
            return pod in node.kubelet.shown

        await eventually(shown, seconds=60.0, what=f"a List to show {pod}", every=0.01)

    async def _die(self, node: StormNode) -> None:
        if node in self._dying:
            return
        self._dying.add(node)
        await asyncio.sleep(0.05 * self.random.random())
        self.seen["agent died"] += 1
        await node.stop()
        await asyncio.sleep(0.2 * self.random.random())
        node.start()
        self._dying.discard(node)


@asynccontextmanager
async def storm(
    url: str, tokens: Sequence[str], *, speed: float, seed: int, hold: float = 0.1, deaths: float = 0.0, pause: float = 0.0
) -> AsyncGenerator[Storm]:
    """Start the agents of all nodes, with these tokens; they speak to `url` without TLS, as behind a proxy. They die at the end."""
    nodes: list[StormNode] = []
    random = Random(seed)
    try:
        for name, token in zip(NODES, tokens, strict=True):
            client = _CountingClient(Connection(url, token=partial(str, token)), SystemClock())
            await client.__aenter__()
            clock = QuickClock(speed, Random(random.random()))
            nodes.append(StormNode(StormKubelet(name, clock, Random(random.random())), client))
        yield Storm(nodes, random, hold, deaths, pause)
    finally:
        for node in nodes:
            await node.stop()
            await node.client.__aexit__()

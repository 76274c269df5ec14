"""A kubelet of a claim storm: it takes Healthy ids, runs pods that end soon, and tells its agent through Lists and the pod watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from random import Random

from attrs import define, evolve, field, frozen

from akri.core.evidence import Listing, PodObservation
from akri.core.ids import NodeName, ObjectKey, PluginDeviceId, ResourceName
from akri.ports import Alive, Gone, Put, Reset, WatchEvent

__all__ = ["QuickClock", "StormKubelet", "Wish"]

_ALIVE = 0.2
_RESTS = 12.0
"""Seconds that a device rests after its pod, so that it is released and claimed anew also where evidence takes its longest."""
_AT_ONCE = 0.03
"""How often one is given out again without rest: then it is answered from the claim that is there, or its release is under way."""


class QuickClock:
    """The `Clock` port on real time that runs `speed` times as fast, so that evidence that takes a second takes a part of one."""

    def __init__(self, speed: float, random: Random) -> None:
        self._speed = speed
        self._random = random

    def now(self) -> float:
        return time.monotonic() * self._speed

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds / self._speed)

    def random(self) -> float:
        return self._random.random()


@frozen
class Wish:
    """A device that the kubelet wants for a pod."""

    resource: ResourceName
    id: PluginDeviceId


@define(eq=False)
class StormKubelet:
    """One node's. A device is taken while its pod is admitted or its container runs.

    listed: pods in PodResources. shown: those that a List has shown. pods: those in the API.
    """

    node: NodeName
    clock: QuickClock
    random: Random
    offered: dict[ResourceName, Mapping[PluginDeviceId, bool]] = field(factory=dict[ResourceName, Mapping[PluginDeviceId, bool]])
    listed: dict[ObjectKey, Wish] = field(factory=dict[ObjectKey, Wish])
    pods: dict[ObjectKey, PodObservation] = field(factory=dict[ObjectKey, PodObservation])
    on_offer: Callable[[], None] = lambda: None
    shown: set[ObjectKey] = field(factory=set[ObjectKey])
    _taken: set[Wish] = field(factory=set[Wish])
    _rests_until: dict[Wish, float] = field(factory=dict[Wish, float])
    _feeds: list[asyncio.Queue[WatchEvent[PodObservation]]] = field(factory=list[asyncio.Queue[WatchEvent[PodObservation]]])
    _number: int = 0

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool) -> None:  # noqa: ARG002 - a port's
        self.offered[resource] = devices
        self.on_offer()

    def withdraw(self, resource: ResourceName) -> None:
        self.offered.pop(resource, None)

    def wish(self) -> Wish | None:
        """A device that is Healthy and that no pod has, any of them, seldom one that a pod just had; None if there is none."""
        free = [Wish(name, id_) for name, devices in self.offered.items() for id_, healthy in devices.items() if healthy]
        now = self.clock.now()
        free = [wish for wish in free if wish not in self._taken and self._rests_until.get(wish, now) <= now]
        return self.random.choice(free) if free else None

    def assign(self, wish: Wish) -> ObjectKey:
        """Let a pod that asks for the device be assigned to this node, and begin to admit it."""
        self._number += 1
        key = ObjectKey("default", f"{self.node}-{self._number}")
        self._taken.add(wish)
        self.pods[key] = PodObservation(key, f"uid-{key.name}", requests={wish.resource: 1})
        self._tell(Put(self.pods[key]))
        return key

    def admitted(self, pod: ObjectKey, wish: Wish) -> None:
        """The pod runs."""
        self.listed[pod] = wish
        self._tell(Put(self.pods[pod]))

    def ended(self, pod: ObjectKey, wish: Wish) -> None:
        """The pod's containers ended, or it was rejected."""
        self.listed.pop(pod, None)
        self.shown.discard(pod)
        self.freed(wish)
        self._tell(Put(evolve(self.pods[pod], ended=True)))
        self._tell(Gone(pod, self.pods.pop(pod).uid))

    def force_deleted(self, pod: ObjectKey) -> None:
        """The pod is out of the API and out of List, and nothing says that its container still runs; `freed` when it ended."""
        del self.listed[pod]
        self._tell(Gone(pod, self.pods.pop(pod).uid))

    def freed(self, wish: Wish) -> None:
        """No container uses the device any more."""
        self._taken.discard(wish)
        self._rests_until[wish] = self.clock.now() + (0.0 if self.random.random() < _AT_ONCE else _RESTS)

    async def list_pods(self) -> Listing:
        """Answer PodResources List."""
        sent_at = self.clock.now()
        users: dict[ResourceName, dict[PluginDeviceId, ObjectKey]] = {}
        for pod, wish in self.listed.items():
            users.setdefault(wish.resource, {})[wish.id] = pod
        self.shown.update(self.listed)
        return Listing(sent_at, users, frozenset(self.listed))

    async def watch_pods(self) -> AsyncGenerator[WatchEvent[PodObservation]]:
        """Watch the pods of this node."""
        feed: asyncio.Queue[WatchEvent[PodObservation]] = asyncio.Queue()
        feed.put_nowait(Reset(tuple(self.pods.values())))
        self._feeds.append(feed)
        try:
            while True:
                try:
                    async with asyncio.timeout(_ALIVE):
                        event = await feed.get()
                except TimeoutError:
                    event = Alive()
                yield event
        finally:
            self._feeds.remove(feed)

    def _tell(self, event: WatchEvent[PodObservation]) -> None:
        for feed in self._feeds:
            feed.put_nowait(event)

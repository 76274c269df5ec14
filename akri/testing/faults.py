"""A platform that loses answers, is slow, refuses, and cuts watches, on order: what a bad network does to a good platform.

    faults = Orders()
    platform = FaultyNodePlatform(store.node(name), faults, clock)
    faults.add("claim", LostAfter())      # the next claim takes effect, and its answer is lost

It wraps any implementation of a port and stays within what the port allows, so whoever uses the port must cope.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal, Never, Protocol, TypeAlias, TypeVar, assert_never

from attrs import frozen

from akri.core.errors import OutcomeUnknownError
from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event
from akri.core.usage import Usage
from akri.ports import Clock, ClusterPlatform, ConfigurationObservation, NodePlatform, Outcome, Refusal, Refused, Unknown, WatchEvent
from akri.scheduling.model import Action, BrokerJob, BrokerPod, BrokerService, NodeState
from akri.testing.streams import Cut, FaultyStream, Hold

__all__ = [
    "AtRandom",
    "Conflict",
    "Cut",
    "Fault",
    "FaultyClusterPlatform",
    "FaultyNodePlatform",
    "Hold",
    "Late",
    "LostAfter",
    "LostBefore",
    "Operation",
    "Orders",
    "Schedule",
    "Slow",
]

_T = TypeVar("_T")

Operation: TypeAlias = Literal[
    "create", "join", "leave", "update", "claim", "release", "fence", "read", "fetch", "report", "execute", "status", "watch"
]
"""What a fault may befall. `watch` stands for one event of any watch; events about people's news are never disturbed."""


@frozen
class Conflict:
    """The write is refused as if another one had come first. Nothing happens to reads."""


@frozen
class LostBefore:
    """The request is lost: no effect, and after `seconds` the outcome is unknown."""

    seconds: float = 0.0


@frozen
class LostAfter:
    """The answer is lost: the write takes effect at once, and after `seconds` the outcome is unknown."""

    seconds: float = 0.0


@frozen
class Late:
    """The outcome is unknown at once, and the write arrives `seconds` later."""

    seconds: float


@frozen
class Slow:
    """The request takes `before` seconds on its way there, the answer `after` seconds on its way back."""

    before: float = 0.0
    after: float = 0.0


Fault: TypeAlias = Conflict | LostBefore | LostAfter | Late | Slow | Cut | Hold
"""Something that goes wrong once. Cut and Hold befall watches, the others everything else."""


class Schedule(Protocol):
    """Says what goes wrong. Asked once for each operation, in order."""

    def next(self, operation: Operation) -> Fault | None:
        """Return the fault that befalls this operation, None to let it pass."""
        ...


class Orders:
    """Faults in the order in which they were ordered, for each operation on its own."""

    def __init__(self) -> None:
        """Begin without any: everything passes."""
        self._orders: dict[Operation, deque[Fault | None]] = {}

    def add(self, operation: Operation, *faults: Fault | None) -> None:
        """Order faults for the next operations of this kind; None lets one pass."""
        self._orders.setdefault(operation, deque()).extend(faults)

    def next(self, operation: Operation) -> Fault | None:
        """Take the next order."""
        orders = self._orders.get(operation)
        return orders.popleft() if orders else None

    def clear(self) -> None:
        """Take all orders back that nobody has met yet."""
        self._orders.clear()

    @property
    def open(self) -> int:
        """How many orders nobody has met yet."""
        return sum(len(orders) for orders in self._orders.values())


class AtRandom:
    """Each fault with its probability, drawn from the clock's seeded sequence, so that a run can be repeated."""

    def __init__(self, clock: Clock, faults: Mapping[Fault, float], operations: frozenset[Operation] | None = None) -> None:
        """Take the probability of each fault (their sum is at most 1), and the operations they befall (default: all)."""
        self._clock = clock
        self._faults = dict(faults)
        self._operations = operations

    def next(self, operation: Operation) -> Fault | None:
        """Draw."""
        if self._operations is not None and operation not in self._operations:
            return None
        drawn = self._clock.random()
        for fault, probability in self._faults.items():
            if isinstance(fault, Cut | Hold) != (operation == "watch"):
                continue
            drawn -= probability
            if drawn < 0:
                return fault
        return None


class _Faulty:
    """What both wrappers share: meeting the faults, and the tasks of writes that are late."""

    def __init__(self, schedule: Schedule, clock: Clock) -> None:
        """Take who says what goes wrong, and the clock by which it does."""
        self.counts: Counter[Operation] = Counter()
        self._schedule = schedule
        self._clock = clock
        self._late: set[asyncio.Task[None]] = set()
        self._cuts: set[Callable[[float], None]] = set()

    async def close(self) -> None:
        """Drop writes that have not arrived yet."""
        late = set(self._late)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def cut_watches(self, seconds: float = 0.0) -> None:
        """Cut every watch that is open; each comes back after so many seconds, with a Reset."""
        for cut in self._cuts:
            cut(seconds)

    async def _write(self, operation: Operation, call: Callable[[], Awaitable[Outcome]]) -> Outcome:
        fault = self._draw(operation)
        if isinstance(fault, Conflict):
            return Refused(Refusal.CONFLICT, "another write came first")
        try:
            return await self._meet(fault, operation, call)
        except OutcomeUnknownError as error:
            return Unknown(str(error))

    async def _call(self, operation: Operation, call: Callable[[], Awaitable[_T]]) -> _T:
        return await self._meet(self._draw(operation), operation, call)

    def _draw(self, operation: Operation) -> Fault | None:
        self.counts[operation] += 1
        return self._schedule.next(operation)

    async def _meet(self, fault: Fault | None, operation: Operation, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make the call as the fault lets it come and go. Raises OutcomeUnknownError."""
        match fault:
            case LostBefore(seconds):
                return await self._lose(f"the {operation} was lost on its way", seconds)
            case LostAfter(seconds):
                await call()
                return await self._lose(f"the answer to the {operation} was lost", seconds)
            case Late(seconds):
                self._send_later(call, seconds)
                return await self._lose(f"the {operation} is late", 0)
            case Slow(before, after):
                await self._clock.sleep(before)
                answer = await call()
                await self._clock.sleep(after)
                return answer
            case Conflict() | Cut() | Hold() | None:
                return await call()
        assert_never(fault)

    async def _lose(self, cause: str, seconds: float) -> Never:
        await self._clock.sleep(seconds)
        raise OutcomeUnknownError(cause)

    def _send_later(self, call: Callable[[], Awaitable[object]], seconds: float) -> None:
        async def arrive() -> None:
            await self._clock.sleep(seconds)
            await call()

        task = asyncio.create_task(arrive())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _watch(
        self, reopen: Callable[[], AsyncIterator[WatchEvent[_T]]], key_of: Callable[[_T], ObjectKey]
    ) -> AsyncIterator[WatchEvent[_T]]:
        stream = FaultyStream(reopen, key_of, self._watch_fault, self._clock)
        self._cuts.add(stream.cut)
        events = stream.events()
        try:
            async for event in events:
                yield event
        finally:
            self._cuts.discard(stream.cut)
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _watch_fault(self) -> Cut | Hold | None:
        fault = self._draw("watch")
        return fault if isinstance(fault, Cut | Hold) else None


class FaultyNodePlatform(_Faulty):
    """A NodePlatform over another one, with faults. `counts` tells how often each operation was asked for."""

    def __init__(self, platform: NodePlatform, schedule: Schedule, clock: Clock) -> None:
        """Wrap a platform. `close` ends what is still on its way."""
        super().__init__(schedule, clock)
        self._platform = platform

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        return self._watch(self._platform.watch_configurations, lambda configuration: configuration.key)

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        return self._watch(self._platform.watch_instances, lambda instance: instance.key)

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        """Watch the pods of this node."""
        return self._watch(self._platform.watch_pods, lambda pod: pod.key)

    async def read_instance(self, key: ObjectKey) -> Instance | None:
        """Read the present state. Raises OutcomeUnknownError."""
        return await self._call("read", lambda: self._platform.read_instance(key))

    async def create(self, instance: Instance) -> Outcome:
        """Create the complete object."""
        return await self._write("create", lambda: self._platform.create(instance))

    async def join(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Add the node at the end of `nodes`."""
        return await self._write("join", lambda: self._platform.join(key, uid, node))

    async def leave(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Remove the node from `nodes`."""
        return await self._write("leave", lambda: self._platform.leave(key, uid, node))

    async def update(self, instance: Instance) -> Outcome:
        """Write what the reporter writes."""
        return await self._write("update", lambda: self._platform.update(instance))

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        """Atomically take a free slot."""
        return await self._write("claim", lambda: self._platform.claim(key, slot, usage))

    async def release(self, instance: Instance, slot: SlotId, usage: Usage) -> Outcome:
        """Free the slot if nothing changed."""
        return await self._write("release", lambda: self._platform.release(instance, slot, usage))

    async def fence(self, key: ObjectKey) -> Outcome:
        """Change the Instance's revision."""
        return await self._write("fence", lambda: self._platform.fence(key))

    async def fetch_secret(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a Secret's data. Raises OutcomeUnknownError."""
        return await self._call("fetch", lambda: self._platform.fetch_secret(key))

    async def fetch_config_map(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a ConfigMap's data. Raises OutcomeUnknownError."""
        return await self._call("fetch", lambda: self._platform.fetch_config_map(key))

    def watch_secret(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a Secret's data; a fault of `fetch` befalls what it says. Raises OutcomeUnknownError."""
        return self._following(self._platform.watch_secret(key))

    def watch_config_map(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a ConfigMap's data; as `watch_secret`."""
        return self._following(self._platform.watch_config_map(key))

    async def publish_report(self, report: DiscoveryReport) -> None:
        """Store this node's report. Raises OutcomeUnknownError."""
        await self._call("report", lambda: self._platform.publish_report(report))

    async def emit(self, event: Event) -> None:
        """Pass on; never disturbed."""
        await self._platform.emit(event)

    async def _following(self, states: AsyncIterator[_T]) -> AsyncGenerator[_T]:
        try:
            while True:
                yield await self._call("fetch", lambda: anext(states))
        finally:
            if isinstance(states, AsyncGenerator):
                await states.aclose()


class FaultyClusterPlatform(_Faulty):
    """A ClusterPlatform over another one, with faults. `counts` tells how often each operation was asked for."""

    def __init__(self, platform: ClusterPlatform, schedule: Schedule, clock: Clock) -> None:
        """Wrap a platform. `close` ends what is still on its way."""
        super().__init__(schedule, clock)
        self._platform = platform

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        return self._watch(self._platform.watch_configurations, lambda configuration: configuration.key)

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        return self._watch(self._platform.watch_instances, lambda instance: instance.key)

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        """Watch the pods that Akri made."""
        return self._watch(self._platform.watch_broker_pods, lambda pod: pod.key)

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        """Watch the jobs that Akri made."""
        return self._watch(self._platform.watch_broker_jobs, lambda job: job.key)

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        """Watch the services that Akri made."""
        return self._watch(self._platform.watch_broker_services, lambda service: service.key)

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        """Watch the nodes."""
        return self._watch(self._platform.watch_nodes, lambda node: ObjectKey("", node.name))

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        """Watch the reports of all nodes."""
        return self._watch(self._platform.watch_reports, lambda report: report.key)

    async def execute(self, action: Action) -> Outcome:
        """Do what the controller decided."""
        return await self._write("execute", lambda: self._platform.execute(action))

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Write a Configuration's status. Raises OutcomeUnknownError."""
        await self._call("status", lambda: self._platform.set_status(key, uid, status))

    async def delete_report(self, report: DiscoveryReport) -> None:
        """Delete a report. Raises OutcomeUnknownError."""
        await self._call("report", lambda: self._platform.delete_report(report))

    async def emit(self, event: Event) -> None:
        """Pass on; never disturbed."""
        await self._platform.emit(event)

"""What the contract suite needs of a platform beside its ports: the users, nodes and kubelets around it.

A platform joins the suite with one driver, named in conftest.py. Nothing in the suite may need more than the ports promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Generic, Protocol, TypeVar

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.ids import ConfigurationName, HandlerName, InstanceName, NodeName, ObjectKey, ResourceName, SlotId
from akri.core.instance import ANNOTATION_DEVICE_ID, Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.ports import Alive, Clock, ClusterPlatform, ConfigurationObservation, Done, Gone, NodePlatform, Outcome, Put, Reset, WatchEvent

__all__ = [
    "COLLECTED",
    "PROMPT",
    "A",
    "B",
    "C",
    "Driver",
    "Seen",
    "configuration",
    "done",
    "instance_of",
    "made",
    "owner_of",
    "slot",
    "until",
    "watching",
]

A: Final = NodeName("node-a")
B: Final = NodeName("node-b")
C: Final = NodeName("node-c")
PROMPT: Final = 5.0
"""Seconds within which a watch has delivered everything, for it says so at least that often."""
COLLECTED: Final = 20.0
"""Seconds within which what belongs to an object that is gone goes too: on Kubernetes a program of its own does it."""
_STEP: Final = 0.05
_T = TypeVar("_T")


class Driver(Protocol):
    """A fresh platform, with nodes A, B and C registered and ready."""

    @property
    def clock(self) -> Clock:
        """The clock by which the platform runs."""
        ...

    def node(self, name: NodeName) -> NodePlatform:
        """The platform as the agent of this node has it."""
        ...

    def cluster(self) -> ClusterPlatform:
        """The platform as the controller has it."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due in it happen."""
        ...

    async def settle(self) -> None:
        """Let what was caused so far happen, as far as one can tell."""
        ...

    async def cut(self) -> None:
        """Break the connections of all watches, as a restart of the server would."""
        ...

    async def apply(self, configuration: Configuration) -> ConfigurationObservation:
        """Store a Configuration as a user does, finalizers included; return it as stored."""
        ...

    async def delete_configuration(self, key: ObjectKey) -> None:
        """Delete a Configuration as a user does."""
        ...

    async def configuration(self, key: ObjectKey) -> ConfigurationObservation | None:
        """Read a Configuration."""
        ...

    async def put_instance(self, instance: Instance) -> Instance:
        """Store an Instance as it stands, as somebody with all rights does, upstream for example."""
        ...

    async def set_node_ready(self, name: NodeName, *, ready: bool) -> None:
        """Make a node ready or not."""
        ...

    async def remove_node(self, name: NodeName) -> None:
        """Delete a node."""
        ...

    async def create_user_pod(self, key: ObjectKey, node: NodeName, resource: ResourceName, count: int) -> None:
        """Create a pod that is no broker and asks for devices, and let it run on the node."""
        ...

    async def run_pod(self, key: ObjectKey) -> None:
        """Let a pod run, as its kubelet reports it."""
        ...

    async def end_pod(self, key: ObjectKey, *, succeeded: bool, reason: str = "") -> None:
        """Let all containers of a pod end, as its kubelet reports it."""
        ...

    async def delete_pod(self, key: ObjectKey, *, force: bool) -> None:
        """Delete a pod as a user does. Without force it stays until its kubelet says `finish_pod`."""
        ...

    async def finish_pod(self, key: ObjectKey) -> None:
        """End a pod whose deletion was asked for, and remove it."""
        ...

    async def complete_job(self, key: ObjectKey, *, succeeded: bool) -> None:
        """End a job."""
        ...

    async def put_secret(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a Secret that agents may read."""
        ...

    async def put_config_map(self, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store a ConfigMap that agents may read."""
        ...

    async def permit(self, key: ObjectKey) -> None:
        """Let agents read the Secret and the ConfigMap of this key, if there are any."""
        ...

    async def forbid(self, key: ObjectKey) -> None:
        """Let agents read neither Secret nor ConfigMap of this key."""
        ...


class Seen(Generic[_T]):
    """All that a watch delivered, and the state that follows from it. Each event is held to the order that ports promise."""

    def __init__(self, key_of: Callable[[_T], ObjectKey], revision_of: Callable[[_T], int]) -> None:
        self.events: list[WatchEvent[_T]] = []
        self.state: dict[ObjectKey, _T] = {}
        self.broken: list[str] = []
        self._key_of = key_of
        self._revision_of = revision_of
        self._revisions: dict[ObjectKey, int] = {}

    @property
    def resets(self) -> int:
        return sum(isinstance(event, Reset) for event in self.events)

    @property
    def alive(self) -> int:
        return sum(isinstance(event, Alive) for event in self.events)

    def take(self, event: WatchEvent[_T]) -> None:
        if not self.events and not isinstance(event, Reset):
            self.broken.append(f"the first event is {event}")
        self.events.append(event)
        match event:
            case Reset(objects):
                self.state = {self._key_of(value): value for value in objects}
                for value in objects:
                    self._order(self._key_of(value), self._revision_of(value))
            case Put(value):
                self._order(self._key_of(value), self._revision_of(value))
                self.state[self._key_of(value)] = value
            case Gone(key, _, revision):
                self._order(key, max(revision, 0))
                self.state.pop(key, None)
            case Alive():
                pass

    def _order(self, key: ObjectKey, revision: int) -> None:
        former = self._revisions.get(key, 0)
        if revision and revision < former:
            self.broken.append(f"{key}: revision {revision} after {former}")
        self._revisions[key] = max(revision, former)


async def until(driver: Driver, condition: Callable[[], bool | Awaitable[bool]], seconds: float = PROMPT) -> None:
    """Let things happen until it is so, or the time is over. What a platform did is seen by its watches within 5 s (`Alive`)."""
    await driver.settle()
    end = driver.clock.now() + seconds
    while driver.clock.now() < end:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        await driver.pass_time(_STEP)


@asynccontextmanager
async def watching(
    driver: Driver,
    watch: AsyncIterator[WatchEvent[_T]],
    key_of: Callable[[_T], ObjectKey],
    revision_of: Callable[[_T], int] = lambda _: 0,
) -> AsyncGenerator[Seen[_T]]:
    """Read a watch until the end of the block, and check the order of all that it delivered."""
    seen: Seen[_T] = Seen(key_of, revision_of)

    async def read() -> None:
        async for event in watch:
            seen.take(event)

    task = asyncio.create_task(read())
    try:
        await until(driver, lambda: bool(seen.events))
        yield seen
        await driver.settle()
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert seen.broken == []


def configuration(name: str = "cam", *, capacity: int = 2, finalizers: tuple[str, ...] = (), grace: str = "300") -> Configuration:
    metadata = ObjectMeta(ObjectKey("default", name), annotations={"akri.sh/grace": grace}, finalizers=finalizers)
    return Configuration(metadata, DiscoveryRequest(HandlerName("debugEcho"), "descriptions: [foo0]"), capacity)


def owner_of(stored: ConfigurationObservation) -> OwnerReference:
    return OwnerReference("akri.sh/v0", "Configuration", stored.key.name, stored.metadata.uid, controller=True)


def instance_of(stored: ConfigurationObservation, node: NodeName = A, *, digest: str = "8120fe", capacity: int = 2) -> Instance:
    """A new Instance of a shared device, complete as the agent of `node` creates it."""
    name = f"{stored.key.name}-{digest}"
    return Instance(
        ObjectMeta(ObjectKey(stored.key.namespace, name), annotations={ANNOTATION_DEVICE_ID: "foo0"}, owners=(owner_of(stored),)),
        ConfigurationName(stored.key.name),
        f"akri.sh/{stored.key.name}={digest}",
        capacity,
        shared=True,
        nodes=(node,),
        device_usage={f"{name}-{index}": "" for index in range(capacity)},
        broker_properties={"DESCRIPTION": "foo0"},
    )


def slot(instance: Instance, index: int = 0) -> SlotId:
    return SlotId(InstanceName(instance.name), index)


def done(outcome: Outcome) -> Instance:
    """The Instance after a write that took effect."""
    assert isinstance(outcome, Done), outcome
    assert outcome.instance is not None
    return outcome.instance


async def made(driver: Driver, *nodes: NodeName, capacity: int = 2, digest: str = "8120fe") -> Instance:
    """An Instance of a fresh Configuration (or of the one there is), seen by these nodes."""
    stored = await driver.apply(configuration(capacity=capacity))
    first, *others = nodes or (A,)
    instance = done(await driver.node(first).create(instance_of(stored, first, digest=digest, capacity=capacity)))
    for node in others:
        instance = done(await driver.node(node).join(instance.key, instance.metadata.uid, node))
    return instance

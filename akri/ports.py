"""The Protocols that a platform implements, and the few values that cross them.

Nothing here is stronger than every platform can give: single objects change by compare-and-set, nothing spans two objects,
a write whose answer is lost may take effect later. The contract tests under tests/contract hold every implementation to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Generic, Protocol, TypeAlias, TypeVar

from attrs import field, frozen

from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, frozen_json
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event, PastEvent
from akri.core.usage import Usage
from akri.scheduling.model import Action, BrokerJob, BrokerPod, BrokerService, NodeState, Phase

__all__ = [
    "Alive",
    "Clock",
    "ClusterPlatform",
    "ClusterWatches",
    "ConfigurationObservation",
    "ContainerState",
    "Done",
    "Gone",
    "NodePlatform",
    "Outcome",
    "PodDetails",
    "Put",
    "Refusal",
    "Refused",
    "Reset",
    "Unknown",
    "UserPlatform",
    "WatchEvent",
]

_T = TypeVar("_T")


@frozen
class Reset(Generic[_T]):
    """The whole present set; what is not in it is gone. The first event of each watch, and again whenever events were lost.

    until: it holds everything that happened before this time, seconds of the platform's clock; None: up to now.
    """

    objects: tuple[_T, ...]
    until: float | None = field(default=None, eq=False)


@frozen
class Put(Generic[_T]):
    """An object was made or changed; this is its present state."""

    object: _T


@frozen
class Gone:
    """An object was deleted; `revision` is at least that of its last state."""

    key: ObjectKey
    uid: str
    revision: int = 0


@frozen
class Alive:
    """Nothing changed, and everything up to now was delivered. Sent at least every 5 s, so that silence means trouble.

    until: where proof took its time, only what happened before this time was delivered for certain, seconds of the platform's
    clock; None: up to now.
    """

    until: float | None = field(default=None, eq=False)


WatchEvent: TypeAlias = Reset[_T] | Put[_T] | Gone | Alive
"""What a watch delivers. Of one object, states come in the order of their revisions; some may be left out, never the last."""
ConfigurationObservation: TypeAlias = Configuration | UnreadableConfiguration
"""A stored Configuration, usable or not."""


class Refusal(Enum):
    """Why a write was refused. Nothing was changed by it, and nothing of it will be."""

    CONFLICT = "conflict"  # the object is not as the write expected it (its state, or its revision)
    EXISTS = "exists"  # creation: an object of this name is there
    MISSING = "missing"  # the object is not there, or it is another one (uid)
    FORBIDDEN = "forbidden"  # access rules; trying again does not help
    INVALID = "invalid"  # the platform's schema refuses it; trying again does not help


@frozen
class Done:
    """The write took effect; `instance` is the state right after it, None if it is deleted. A write that would change nothing is Done."""

    instance: Instance | None


@frozen
class Refused:
    """The write was refused; `instance` is the state read afterwards, None if there is none or it was not read."""

    refusal: Refusal
    message: str
    instance: Instance | None = None


@frozen
class Unknown:
    """The answer did not come: the write may have taken effect, may take effect later, or never."""

    cause: str


Outcome: TypeAlias = Done | Refused | Unknown
"""How a write to an Instance ended. Writes never raise for these; other errors are programming errors."""


@frozen
class ContainerState:
    """What became of one container of a pod; `init` for one that runs to its end before the main ones start.

    started, finished: of its present or last run, seconds since the epoch, 0 where it has not happened. exit_code: of its last
    run that ended, None where none did. restarts: how many times it was started again. reason: one word, "" where there is none.
    """

    name: str
    init: bool = False
    running: bool = False
    started: float = 0.0
    finished: float = 0.0
    exit_code: int | None = None
    restarts: int = 0
    reason: str = ""


@frozen
class PodDetails:
    """A pod as people want to see it: a broker, or one of a user or a job. Times as in BrokerPod.

    spec: a Kubernetes PodSpec. containers: in the order of the spec, init containers first.
    """

    metadata: ObjectMeta
    spec: JsonObject = field(converter=frozen_json, hash=False)
    node: NodeName
    phase: Phase
    reason: str = ""
    message: str = ""
    started: float = 0.0
    finished: float = 0.0
    containers: tuple[ContainerState, ...] = ()


class Clock(Protocol):
    """Time and randomness, so that tests run on a virtual clock."""

    def now(self) -> float:
        """Seconds of a clock that never jumps; for intervals."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, UTC; for what is shown or stored."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for 0 or less."""
        ...

    def random(self) -> float:
        """Return a number from 0 up to, but without, 1."""
        ...


class NodePlatform(Protocol):
    """What the agent of one node needs. Its implementation knows the node's name and speaks for it."""

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations. Never ends by itself; reconnects inside, with capped back-off, and then sends Reset."""
        ...

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances, those of other nodes too."""
        ...

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        """Watch the pods that the platform assigned to this node. A platform without such a watch ends at once."""
        ...

    async def read_instance(self, key: ObjectKey) -> Instance | None:
        """Read the present state, not a cached one; None if there is none. Raises OutcomeUnknownError if it cannot be read."""
        ...

    async def create(self, instance: Instance) -> Outcome:
        """Create the complete object; uid, revision and created of its metadata are ignored and given by the platform."""
        ...

    async def join(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Add the node at the end of `nodes`. Already in it: Done. uid is that of the Instance."""
        ...

    async def leave(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        """Remove the node from `nodes`; none left: delete the Instance unless it changed meanwhile. Not in it, or no Instance: Done."""
        ...

    async def update(self, instance: Instance) -> Outcome:
        """As the reporter (nodes[0]): write capacity, slot keys, brokerProperties and annotations as they are in `instance`,

        if the stored object still has its uid and revision and nodes[0]. Values of slot keys that exist are not changed;
        keys are added (free) or, if they are free, removed.
        """
        ...

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        """Atomically take a free slot: one write that tests for free. A missing key below the capacity counts as free.

        Refused(CONFLICT) with the present state if it is not free, also if it already holds exactly `usage`.
        """
        ...

    async def release(self, instance: Instance, slot: SlotId, usage: Usage) -> Outcome:
        """Free the slot if it still holds `usage` and the Instance still has the revision of `instance`."""
        ...

    async def fence(self, key: ObjectKey) -> Outcome:
        """Change the Instance's revision (annotation `akri.sh/fence`), so that releases and updates sent earlier can no longer succeed.

        Done carries the state after it: a fence is a read as well.
        """
        ...

    async def fetch_secret(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a Secret's data; None if there is none. Raises NotPermittedError where the operator did not grant it."""
        ...

    async def fetch_config_map(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read a ConfigMap's data; None if there is none. Raises NotPermittedError where the operator did not grant it."""
        ...

    def watch_secret(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a Secret's data: what it is now, then each change within 2 s; None while there is none.

        Never ends by itself. Raises NotPermittedError where the operator did not grant it, and OutcomeUnknownError when it cannot
        be read; the reader opens it again.
        """
        ...

    def watch_config_map(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Follow a ConfigMap's data; as `watch_secret`."""
        ...

    async def publish_report(self, report: DiscoveryReport) -> None:
        """Store this node's report on a Configuration, in place of the former one. Raises OutcomeUnknownError."""
        ...

    async def emit(self, event: Event) -> None:
        """Tell people what happened. May drop repetitions; never raises for a failed delivery."""
        ...


class ClusterWatches(Protocol):
    """Watches of everything: what the controller and people look at."""

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        ...

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        ...

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        """Watch the pods that Akri made (label `controller=akri.sh`)."""
        ...

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        """Watch the jobs that Akri made."""
        ...

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        """Watch the services that Akri made."""
        ...

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        """Watch the nodes. Gone carries the node's name in an ObjectKey with an empty namespace."""
        ...

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        """Watch the reports of all nodes. Gone carries an ObjectKey (namespace, `<configuration>.<node>`)."""
        ...


class ClusterPlatform(ClusterWatches, Protocol):
    """What the controller needs."""

    async def execute(self, action: Action) -> Outcome:
        """Do what the controller decided. Creating what is there already and deleting what is gone is Done(None).

        Writes to Instances (RemoveNode, RepairUsage, WriteCapacity, DeleteInstance) test the revision of the Instance they carry.
        """
        ...

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Write a Configuration's status. Raises OutcomeUnknownError."""
        ...

    async def delete_report(self, report: DiscoveryReport) -> None:
        """Delete the report of a lost node; one that is gone already is deleted. Raises OutcomeUnknownError."""
        ...

    async def emit(self, event: Event) -> None:
        """Tell people what happened; as in NodePlatform."""
        ...


class UserPlatform(ClusterWatches, Protocol):
    """What the commands of people need: they look at everything, write Configurations and read logs.

    A new status is a change of its Configuration for the watch. Everything raises OutcomeUnknownError where the platform cannot be
    reached, and NotPermittedError where its access rules refuse.
    """

    async def read_statuses(self) -> Mapping[str, ConfigurationStatus]:
        """Read the status of each Configuration that has one, by the Configuration's uid."""
        ...

    async def read_events(self) -> tuple[PastEvent, ...]:
        """Read the events that are kept, oldest first."""
        ...

    def follow_events(self) -> AsyncIterator[PastEvent]:
        """Give the events that are kept, then each new one. Never ends by itself."""
        ...

    async def read_pod(self, key: ObjectKey) -> PodDetails | None:
        """Read a pod, whoever made it; None if there is none."""
        ...

    async def read_pods(self) -> tuple[PodDetails, ...]:
        """Read the pods of all namespaces that ask for a device of Akri or were made by it; those of users too."""
        ...

    async def read_job_pods(self, job: ObjectKey) -> tuple[PodDetails, ...]:
        """Read the pods of a job, oldest first."""
        ...

    def read_log(
        self, pod: ObjectKey, container: str, *, previous: bool = False, tail: int | None = None, follow: bool = False
    ) -> AsyncIterator[str]:
        """Give the lines that a container wrote, without their ends, oldest first; nothing where it wrote none.

        previous: of the run before the present one. tail: the last so many lines. follow: then each new line, until the pod is gone
        or has ended.
        """
        ...

    async def apply(self, configuration: ConfigurationObservation) -> ConfigurationObservation:
        """Store a Configuration in place of one of its name, and return it as stored.

        Of its metadata only key, labels, annotations and finalizers count. One that changes nothing comes back with the revision
        that it had.
        """
        ...

    async def delete(self, key: ObjectKey) -> bool:
        """Delete a Configuration with all that belongs to it; False if there is none."""
        ...

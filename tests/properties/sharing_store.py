"""A store as `akri.ports` allows the weakest one to be: compare-and-set on single Instances, over a line that loses things.

A request takes effect when it *lands*, which may be long after its sender gave up, or never. Its answer is a matter of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias, assert_never

from attrs import define, evolve, field, frozen

from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, SlotId
from akri.core.instance import ANNOTATION_FENCE, Instance
from akri.core.metadata import ObjectMeta
from akri.core.usage import Usage, print_usage
from akri.ports import Done, Outcome, Refusal, Refused, Unknown

NAMESPACE = "default"
SEEN: Counter[str] = Counter()
"""How often each interesting situation occurred, over all runs."""
CONFIGURATION = ConfigurationName("cam")


@frozen
class Claim:
    """Take a slot if it is free."""

    slot: SlotId
    usage: Usage


@frozen
class Release:
    """Free a slot if it still holds the usage and the Instance still has the revision."""

    slot: SlotId
    usage: Usage
    revision: int


@frozen
class Fence:
    """Change the revision."""

    instance: InstanceName


Operation: TypeAlias = Claim | Release | Fence


@define(eq=False)
class Request:
    """A write on its way. landed: what the store made of it. answer: what its sender was told."""

    node: NodeName
    operation: Operation
    sent_at: float
    landed: Outcome | None = None
    answer: Outcome | None = None
    dead: bool = False

    @property
    def pending(self) -> bool:
        """Whether it may still take effect."""
        return self.landed is None and not self.dead

    @property
    def waiting(self) -> bool:
        """Whether its sender waits."""
        return self.answer is None

    def lose(self) -> None:
        """Give up waiting; the request itself stays on its way."""
        self.answer = Unknown("lost")


def instance_of(operation: Operation) -> InstanceName:
    """Name of the Instance that an operation is about."""
    match operation:
        case Claim(slot) | Release(slot):
            return slot.instance
        case Fence(name):
            return name
    assert_never(operation)


@define(eq=False)
class Store:
    """Instances with their whole history, and the requests under way."""

    nodes: tuple[NodeName, ...]
    history: dict[InstanceName, list[Instance]] = field(factory=dict[InstanceName, list[Instance]])
    requests: list[Request] = field(factory=list[Request])
    revision: int = 0

    def create(self, name: InstanceName, capacity: int) -> None:
        """Make an Instance, all slots free."""
        self.revision += 1
        metadata = ObjectMeta(ObjectKey(NAMESPACE, name), f"uid-{name}", self.revision)
        usage = {str(SlotId(name, index)): "" for index in range(capacity)}
        self.history[name] = [Instance(metadata, CONFIGURATION, "", capacity, shared=True, nodes=self.nodes, device_usage=usage)]

    def present(self, name: InstanceName) -> Instance:
        """Tell the present state."""
        return self.history[name][-1]

    def text(self, slot: SlotId) -> str:
        """Tell the usage text of a slot; a missing key is free."""
        return self.present(slot.instance).device_usage.get(str(slot), "")

    def send(self, node: NodeName, operation: Operation, now: float) -> Request:
        """Put a request on its way."""
        request = Request(node, operation, now)
        self.requests.append(request)
        return request

    def land(self, request: Request) -> Outcome:
        """Let a request take effect now, if it did not before."""
        if request.landed is None:
            request.landed = self._apply(request.operation)
            if not request.waiting:
                SEEN["write landed late"] += 1
                SEEN["write landed late and took effect"] += isinstance(request.landed, Done)
        return request.landed

    def refuse(self, request: Request) -> None:
        """Answer that too many others write at the same time; nothing of the request will take effect."""
        request.dead = True
        name = instance_of(request.operation)
        request.answer = Refused(Refusal.CONFLICT, "too many conflicts", self.present(name))

    def forget_settled(self) -> None:
        """Drop requests that nobody waits for and that cannot take effect any more."""
        self.requests = [request for request in self.requests if request.pending or request.waiting]

    def write(self, after: Instance) -> Instance:
        """Store another state of an Instance, with the next revision."""
        self.revision += 1
        self.history[after.name].append(evolve(after, metadata=evolve(after.metadata, revision=self.revision)))
        return self.present(after.name)

    def edit_usage(self, name: InstanceName, usage: Mapping[str, str]) -> None:
        """Write deviceUsage as others may: upstream, a user, the reporter."""
        self.write(evolve(self.present(name), device_usage=usage))

    def _apply(self, operation: Operation) -> Outcome:
        instance = self.present(instance_of(operation))
        match operation:
            case Claim(slot, usage):
                # A test of the value alone, as weak as JSON Patch: it does not look at the capacity where the key is there.
                missing_is_free = "" if slot.index < instance.capacity else None
                if instance.device_usage.get(str(slot), missing_is_free) == "":
                    return self._set(slot, usage)
                return Refused(Refusal.CONFLICT, "not free", instance)
            case Release(slot, usage, revision):
                if instance.metadata.revision == revision and instance.device_usage.get(str(slot)) == print_usage(usage):
                    return self._set(slot, None)
                return Refused(Refusal.CONFLICT, "changed", instance)
            case Fence():
                annotations = {ANNOTATION_FENCE: str(self.revision)}
                return Done(self.write(evolve(instance, metadata=evolve(instance.metadata, annotations=annotations))))
        assert_never(operation)

    def _set(self, slot: SlotId, usage: Usage | None) -> Done:
        text = print_usage(usage) if usage is not None else ""
        before = self.present(slot.instance)
        return Done(self.write(evolve(before, device_usage={**before.device_usage, str(slot): text})))

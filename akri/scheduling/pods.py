"""Which broker pods of one Instance stay, go and come. Which of the free nodes get the new ones is left to the placement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from akri.core.configuration import PodBroker
from akri.core.ids import NodeName
from akri.core.reports import Reason
from akri.scheduling.model import BrokerJob, BrokerPod, CreatePod, DeletePod, Phase
from akri.scheduling.render import WHY, Hashes, create_pod, pod_key
from akri.scheduling.subject import NEVER, Subject
from akri.scheduling.timing import Timing

__all__ = ["PodsDecision", "Vacancies", "Wanted", "decide_pods", "delete_pods", "next_attempt", "retry_at"]

_OUTDATED: Final = 3
_RANKS: Final = {Phase.RUNNING: 0, Phase.PENDING: 1, Phase.SUCCEEDED: 2, Phase.FAILED: 2}


@frozen(eq=False)
class Vacancies:
    """Brokers that an Instance may still have, and the nodes that may get them, in the order of joining."""

    count: int
    candidates: tuple[NodeName, ...]
    broker: PodBroker
    hashes: Hashes


@frozen(eq=False)
class PodsDecision:
    """What to do about the pods of one Instance; `due` is when to look again; `vacancies` is None where nothing is to choose."""

    actions: tuple[CreatePod | DeletePod, ...] = ()
    due: float = NEVER
    vacancies: Vacancies | None = None


@frozen(eq=False)
class Wanted:
    """What an Instance's pods shall be: made from what, on how many of which nodes (`present`: they see the device and are not lost)."""

    broker: PodBroker
    hashes: Hashes
    limit: int
    present: tuple[NodeName, ...]


@frozen(eq=False)
class _Place:
    """A pod that takes one of the places: how much it is worth keeping (less is better), and when or how it has to go."""

    worth: tuple[int, int]
    pod: BrokerPod
    removal: DeletePod | None = None
    until: float = NEVER


def next_attempt(broker: BrokerPod | BrokerJob, timing: Timing) -> int:
    """Count the failures in a row that the successor of a broker that ended starts with."""
    began = broker.started if isinstance(broker, BrokerPod) else broker.created
    healthy = began > 0 and broker.finished - began >= timing.healthy
    return 1 if healthy else broker.attempt + 1


def retry_at(broker: BrokerPod | BrokerJob, timing: Timing) -> float:
    """Tell when the successor of a broker that ended may come."""
    ended = broker.finished or broker.created
    return ended + timing.back_off.seconds(next_attempt(broker, timing))


def delete_pods(pods: Iterable[BrokerPod], reason: Reason, why: str) -> tuple[DeletePod, ...]:
    """Delete all these pods, but for those that are on their way out or not seen yet."""
    return tuple(_delete(pod, reason, why) for pod in pods if pod.uid and not pod.deleting)


def _delete(pod: BrokerPod, reason: Reason, why: str) -> DeletePod:
    return DeletePod(pod.key, pod.uid, reason, f"broker pod {pod.key} on node {pod.node} is removed: {why}")


def decide_pods(subject: Subject, wanted: Wanted) -> PodsDecision:
    """Decide which pods stay, which go, and which come back where they were before."""
    actions: list[CreatePod | DeletePod] = []
    places: list[_Place] = []
    leaving = 0
    for pod in subject.pods:
        misplaced = _misplaced(pod, subject, wanted)
        if pod.deleting:
            leaving += misplaced is None
        elif misplaced is not None:
            actions.extend(delete_pods((pod,), *misplaced))
        else:
            places.append(_place(pod, subject, wanted))
    places.sort(key=_worth)
    actions.extend(place.removal for place in places[: wanted.limit] if place.removal is not None)
    for place in places[wanted.limit :]:
        actions.extend(delete_pods((place.pod,), Reason.CAPACITY_LOWERED, f"at most {wanted.limit} may run for the device"))
    due = min((place.until for place in places[: wanted.limit]), default=NEVER)
    count = wanted.limit - len(places) - leaving
    if count <= 0:
        return PodsDecision(tuple(actions), due)
    returning, vacancies = _filled(subject, wanted, count)
    return PodsDecision((*actions, *returning), due, vacancies)


def _worth(place: _Place) -> tuple[int, int]:
    return place.worth


def _misplaced(pod: BrokerPod, subject: Subject, wanted: Wanted) -> tuple[Reason, str] | None:
    if pod.node not in wanted.present:
        if subject.lost_at(pod.node) <= subject.now:
            return Reason.NODE_LOST, "the node is lost"
        return Reason.DEVICE_LOST, "the node does not see the device any more"
    if pod.key != pod_key(subject.instance, pod.node):
        return Reason.BROKER_REMOVED, "it does not have the name of a broker of this device and node"
    return None


def _place(pod: BrokerPod, subject: Subject, wanted: Wanted) -> _Place:
    seniority = wanted.present.index(pod.node)
    cause = wanted.hashes.cause(pod.spec_hash)
    if not pod.uid:
        return _Place((_RANKS[pod.phase], seniority), pod)
    if cause is not None:
        return _Place((_OUTDATED, seniority), pod, _delete(pod, cause, WHY[cause]))
    worth = (_RANKS[pod.phase], seniority)
    if not pod.phase.terminal:
        return _Place(worth, pod)
    at = retry_at(pod, subject.timing)
    if at > subject.now:
        return _Place(worth, pod, until=at)
    why = f"it ended ({pod.reason or pod.phase.value}), a new one follows as attempt {next_attempt(pod, subject.timing)}"
    return _Place(worth, pod, _delete(pod, Reason.BROKER_FAILED, why))


def _filled(subject: Subject, wanted: Wanted, count: int) -> tuple[list[CreatePod], Vacancies | None]:
    instance, broker, hashes = subject.instance, wanted.broker, wanted.hashes
    taken = {pod.key for pod in subject.pods}
    free = [name for name in wanted.present if subject.ready(name) and pod_key(instance, name) not in taken]
    attempts = {pod.node: _attempt(pod, hashes, subject.timing) for pod in subject.former_pods}
    returning = [name for name in free if name in attempts][:count]
    created = [create_pod(instance, broker, hashes, name, attempts[name]) for name in returning]
    others = tuple(name for name in free if name not in returning)
    left = count - len(returning)
    return created, Vacancies(left, others, broker, hashes) if left and others else None


def _attempt(former: BrokerPod, hashes: Hashes, timing: Timing) -> int:
    failed = former.phase.terminal and former.spec_hash == str(hashes)
    return next_attempt(former, timing) if failed else 0

"""When a recorded stream of observations would have released slots: the real decision of akri.core.evidence, fed as the agent feeds it.

One recording answers many questions: how often Lists are asked for, when the agent was restarted and how late its pod watch was are
given here, and every variant is held against the real ends of the containers. Times are seconds of one steady clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from akri.core.evidence import LISTS_APART, Evidence, Id, Listing, PodObservation, Verdict
from akri.core.ids import ObjectKey
from akri.ports import Alive, Gone, Put, Reset, WatchEvent

__all__ = [
    "Agent",
    "AgentStarted",
    "Allocating",
    "Answered",
    "Entry",
    "KubeletStarted",
    "Listed",
    "Watched",
    "cut_off",
    "drops",
    "gaps",
    "proofs",
    "releases",
]

_PERIOD: Final = 0.5
"""Seconds between the agent's Lists."""
_SPACING: Final = 0.1
"""Seconds that it leaves between two Lists at least."""
_SECOND_LIST: Final = LISTS_APART + 0.01
"""Seconds after which it asks again where one more List may release something."""


@frozen
class Allocating:
    """An Allocate came in."""

    at: float
    ids: tuple[Id, ...]


@frozen
class Answered:
    """Its answer went out."""

    at: float
    ids: tuple[Id, ...]


@frozen
class Listed:
    """An answer of PodResources List came in."""

    at: float
    listing: Listing


@frozen
class Watched:
    """The pod watch delivered an event."""

    at: float
    event: WatchEvent[PodObservation]


@frozen
class KubeletStarted:
    """The agent saw a new kubelet."""

    at: float


@frozen
class AgentStarted:
    """The agent itself was started anew: all it knows is which ids it holds, and what the API shows now."""

    at: float


Entry: TypeAlias = Allocating | Answered | Listed | Watched | KubeletStarted | AgentStarted


@frozen
class Agent:
    """How the agent observes.

    period: seconds between its Lists, None to use every one that was recorded. phase: seconds by which its first one is late.
    watch_delay: seconds by which the pod watch is late. restarts: when it is started anew.
    """

    period: float | None = _PERIOD
    phase: float = 0.0
    watch_delay: float = 0.0
    restarts: tuple[float, ...] = field(default=())

    def sees(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Put the entries into the order in which this agent meets them."""
        late: list[Entry] = [evolve(entry, at=entry.at + self.watch_delay) if isinstance(entry, Watched) else entry for entry in entries]
        return sorted([*late, *(AgentStarted(at) for at in self.restarts)], key=lambda entry: entry.at)


class _Replay:
    """The agent's memory while the entries pass by."""

    def __init__(self, agent: Agent, begin: float) -> None:
        self.agent = agent
        self.evidence = Evidence(begin)
        self.next_list = begin + agent.phase
        self.last_list = begin
        self.released: list[tuple[float, Id]] = []

    def take(self, entry: Entry) -> None:
        match entry:
            case Allocating(_, ids):
                self.evidence = self.evidence.allocating(ids)
            case Answered(at, ids):
                self.evidence = self.evidence.answered(ids, at)
            case Listed(_, listing):
                self._list(listing)
            case Watched(at, event):
                self._watch(at, event)
            case KubeletStarted(at):
                self.evidence = self.evidence.start(at)
            case AgentStarted(at):
                self._restart(at)
        self._release(entry.at)

    def _list(self, listing: Listing) -> None:
        if self.agent.period is not None and listing.sent_at < self.next_list:
            return
        self.evidence = self.evidence.list(listing)
        self.last_list = listing.sent_at
        soon = any(self.evidence.judge(id_) is Verdict.NOT_ABSENT_TWICE for id_ in self.evidence.uses)
        self.next_list = listing.sent_at + (_SECOND_LIST if soon else self.agent.period or 0.0)

    def _watch(self, at: float, event: WatchEvent[PodObservation]) -> None:
        known_until = at - self.agent.watch_delay
        match event:
            case Reset(objects, until):
                self.evidence = self.evidence.reset_pods(objects).pods_current(known_until if until is None else until)
            case Put(pod):
                self.evidence = self.evidence.put_pod(pod)
            case Gone(key, uid):
                self.evidence = self.evidence.drop_pod(key, uid)
            case Alive(until):
                self.evidence = self.evidence.pods_current(known_until if until is None else until)
        self.next_list = min(self.next_list, max(at, self.last_list + _SPACING))

    def _restart(self, at: float) -> None:
        held, pods = tuple(self.evidence.uses), tuple(self.evidence.pods.values())
        self.evidence = Evidence(at).reset_pods(pods).pods_current(at).hold(held, at)
        self.next_list = self.last_list = at

    def _release(self, at: float) -> None:
        done = self.evidence.releasable()
        if done:
            self.released += [(at, id_) for id_ in done]
            self.evidence = self.evidence.hold([id_ for id_ in self.evidence.uses if id_ not in done], at)


def releases(entries: Sequence[Entry], agent: Agent) -> Sequence[tuple[float, Id]]:
    """Every release that the agent would have decided, and when."""
    replay = _Replay(agent, entries[0].at if entries else 0.0)
    for entry in agent.sees(entries):
        replay.take(entry)
    return replay.released


def drops(entries: Iterable[Entry], id_: Id, begin: float, end: float) -> Sequence[float]:
    """When Lists between two times lost an id: the time at which the first one without it was asked for, each time anew."""
    found: list[float] = []
    present = False
    for entry in entries:
        if isinstance(entry, Listed) and begin <= entry.at <= end:
            shown = id_[1] in entry.listing.users.get(id_[0], {})
            if present and not shown:
                found.append(entry.listing.sent_at)
            present = shown
    return found


def gaps(entries: Iterable[Entry], id_: Id, begin: float, end: float) -> Sequence[float]:
    """For how many seconds Lists lacked an id, each time between two times, after they had shown it once."""
    found: list[float] = []
    since: float | None = None
    shown_once = False
    for entry in entries:
        if isinstance(entry, Listed) and begin <= entry.at <= end:
            shown = id_[1] in entry.listing.users.get(id_[0], {})
            if shown and since is not None:
                found.append(entry.listing.sent_at - since)
            since = None if shown or not shown_once else since or entry.listing.sent_at
            shown_once = shown_once or shown
    return found if since is None else [*found, end - since]


def proofs(entries: Iterable[Entry]) -> Mapping[str, tuple[float | None, float | None]]:
    """When the watch first showed a pod ended, and when it showed it removed, by its uid."""
    found: dict[str, tuple[float | None, float | None]] = {}
    known: dict[ObjectKey, str] = {}

    def put(pod: PodObservation, at: float) -> None:
        known[pod.key] = pod.uid
        if pod.ended and pod.uid not in found:
            found[pod.uid] = (at, None)

    for entry in entries:
        match entry:
            case Watched(at, Put(pod)):
                put(pod, at)
            case Watched(at, Reset(objects)):
                missing = set(known.values()) - {pod.uid for pod in objects}
                found |= {uid: (found.get(uid, (None, None))[0], at) for uid in missing if found.get(uid, (None, None))[1] is None}
                for pod in objects:
                    put(pod, at)
            case Watched(at, Gone(_, uid)):
                found[uid] = (found.get(uid, (None, None))[0], at)
            case _:
                pass
    return found


def cut_off(entries: Sequence[Entry], begin: float, end: float) -> Sequence[Entry]:
    """What an agent sees whose watch was lost between two times: nothing then, and the whole present set afterwards."""
    pods: dict[str, PodObservation] = {}
    for entry in entries:
        if isinstance(entry, Watched) and entry.at < end:
            pods = _present(pods, entry.event)
    kept: list[Entry] = [entry for entry in entries if not (isinstance(entry, Watched) and begin <= entry.at < end)]
    return sorted([*kept, Watched(end, Reset(tuple(pods.values())))], key=lambda entry: entry.at)


def _present(pods: dict[str, PodObservation], event: WatchEvent[PodObservation]) -> dict[str, PodObservation]:
    match event:
        case Reset(objects):
            return {pod.uid: pod for pod in objects}
        case Put(pod):
            return {**pods, pod.uid: pod}
        case Gone(_, uid):
            return {known: pod for known, pod in pods.items() if known != uid}
        case Alive():
            return pods

"""When a slot may be released: a pure function of observations and times (sharing.md, "Release needs evidence").

PodResources is late, partial and early, so no single observation frees anything. `Evidence` gathers what was seen: Allocate
answers, PodResources Lists, the watch of this node's pods, starts of the kubelet or the agent. `judge` says for each id that
this node holds whether it may go, and if not, why not. Times are seconds of one clock that never jumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from math import inf
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName

__all__ = [
    "ABSENCE",
    "ABSENCE_WITHOUT_PODS",
    "LISTS_APART",
    "UNSEEN_GRACE",
    "Evidence",
    "Holder",
    "Id",
    "Listing",
    "PodObservation",
    "Use",
    "Verdict",
]

LISTS_APART: Final = 0.25
"""Seconds that two Lists without an id must be apart at least."""
ABSENCE: Final = 10.0
"""Seconds of absence from Lists that free a slot without proof of its pod's end."""
UNSEEN_GRACE: Final = 30.0
"""Seconds that containers of a pod may have to end that nobody saw: what Kubernetes gives to pods that do not say."""
ABSENCE_WITHOUT_PODS: Final = 60.0
"""The same where the operator switched the pod watch off."""

_UNKNOWN: Final = frozenset({""})
"""In place of a pod's uid: a pod that nobody knows."""

Id: TypeAlias = tuple[ResourceName, PluginDeviceId]
"""A device id of the kubelet, with the resource it belongs to."""


def _counts(value: Mapping[ResourceName, int]) -> Mapping[ResourceName, int]:
    return MappingProxyType(dict(value))


@frozen
class PodObservation:
    """A pod of this node as its watch shows it.

    ended: its phase is terminal, or it is being deleted and all its containers are terminated, so that none starts again.
    requests: for each resource, how many devices the kubelet can give to it at one time: the larger of the sum of its main
    containers and sidecars, and the most that an init container asks for together with the sidecars started before it.
    grace: seconds that its containers have to end where its kubelet is not told otherwise. told: seconds that its deletion gives them,
    None before. A kubelet that saw the deletion gives them so many; one that finds the pod missing in a new list of all, the grace.
    """

    key: ObjectKey
    uid: str
    ended: bool = False
    requests: Mapping[ResourceName, int] = field(factory=dict[ResourceName, int], converter=_counts, hash=False)
    grace: float = 0.0
    told: float | None = None

    def outlived(self, *, seen: bool) -> float:
        """Seconds that its containers may live on once it is removed: `seen` if its deletion was, by this watch and so by the kubelet's."""
        return self.grace if self.told is None or not seen else self.told


@frozen
class Listing:
    """One answer of PodResources List: when it was asked for, and which pod uses which device ids of which resource.

    pods: every pod that it lists, also those without devices, as far as the caller tells; those that use devices always count.
    """

    sent_at: float
    users: Mapping[ResourceName, Mapping[PluginDeviceId, ObjectKey]] = field(
        factory=dict[ResourceName, Mapping[PluginDeviceId, ObjectKey]], hash=False
    )
    pods: frozenset[ObjectKey] = frozenset()


class Verdict(Enum):
    """Whether a held id may be released, and the reason in one word for logs and events."""

    ALLOCATING = "an Allocate for it is under way"
    STARTING = "not every pod of this node was listed since the last start"
    IN_USE = "a pod uses it"
    NOT_ABSENT_TWICE = "it was not absent from two Lists that are far enough apart"
    NOT_PROVEN = "nothing proves the end of its pod, and it is not absent for long enough"
    PODS_NOT_CURRENT = "the pod watch has not caught up since its last Allocate, so an unknown pod may use it"
    PERHAPS_UNLISTED = "a pod asks for more devices than the List shows for it"
    ENDED = "its pod has ended"
    ABSENT = "it is absent for long enough"

    @property
    def release(self) -> bool:
        """Whether the slot may be released."""
        return self in {Verdict.ENDED, Verdict.ABSENT}


@frozen
class Holder:
    """The pod that List last showed for an id, and its uid according to the pod watch.

    None: the watch had none for it yet. Empty: the watch had two in turn under this name, or one that had ended before it
    was listed; it lags behind, or a pod of the same name followed, and nobody can tell which of them uses the id.
    """

    key: ObjectKey
    uid: str | None

    def seen_as(self, pod: PodObservation | None) -> Holder:
        """Take in that the id is listed again under the same name, and which pod the watch has for it now."""
        if pod is None or self.uid in {"", pod.uid}:
            return self
        return Holder(self.key, "") if self.uid else Holder.first(self.key, pod)

    @classmethod
    def first(cls, key: ObjectKey, pod: PodObservation | None) -> Holder:
        """Take in that the id is listed under this name for the first time since its Allocate was answered."""
        if pod is None:
            return cls(key, None)
        return cls(key, "" if pod.ended else pod.uid)


@frozen
class Use:
    """What is known of one id that this node holds.

    since: when the last Allocate answer for it went out, or when it was found; None while an Allocate is under way.
    Only Lists sent later count. absent_from, absent_until: when the first and the last List of an unbroken row of
    Lists without it were sent; None if the last List showed it, or none counts yet. former: uids of the pods that may have
    used it before that Allocate (empty: of one that nobody knows): one that was deleted by force may live on beside the holder.
    grace: seconds beyond ABSENCE that containers of pods which vanished without an end may live on. lingers: until when those of
    pods may live that vanished before this process could see it.
    """

    since: float | None
    holder: Holder | None = None
    absent_from: float | None = None
    absent_until: float | None = None
    former: frozenset[str] = frozenset()
    grace: float = 0.0
    lingers: float = -inf

    def listed(self, sent_at: float, holder: Holder | None, *, alive: bool = False) -> Use:
        """Take in a List: the pod that it shows for the id, None if it does not show it.

        alive: the watch has this very pod, so those that vanished are others. A kubelet may list one that vanished for a while.
        """
        if self.since is None or sent_at <= self.since:
            return self
        over = sent_at - self.since >= ABSENCE + self.grace and sent_at >= self.lingers
        former = frozenset[str]() if over else self.former
        if holder is not None:
            return Use(self.since, holder, former=former, grace=0.0 if alive and not former else self.grace, lingers=self.lingers)
        first = sent_at if self.absent_from is None else self.absent_from
        return evolve(self, absent_from=first, absent_until=sent_at, former=former)

    def absent_anew(self, grace: float, *, unseen: float) -> Use:
        """Let only Lists from now on count for its absence: pods vanished whose containers may live on for so many seconds.

        unseen: the same for a pod that nobody knows, which may have used it as well; 0 if all pods that vanished are known.
        """
        unknown = self.holder is None or not self.holder.uid
        return evolve(self, absent_from=None, absent_until=None, grace=max(self.grace, grace, unseen if unknown else 0.0))

    def asked_for(self) -> Use:
        """Take in that an Allocate asks for it: whoever uses it now, if anybody, belongs to the past."""
        uid = self.holder.uid if self.holder is not None else None
        return evolve(_UNUSED, former=self.former | {uid or ""}, grace=self.grace, lingers=self.lingers) if self.since is not None else self

    @property
    def is_lingering(self) -> bool:
        """Whether a pod that vanished before this process could see it may have lived on until the last List without the id."""
        return self.absent_until is not None and self.absent_until < self.lingers

    @property
    def absent(self) -> float | None:
        """Seconds of unbroken absence, None if it is not absent."""
        if self.absent_from is None or self.absent_until is None:
            return None
        return self.absent_until - self.absent_from


_UNUSED: Final = Use(None)


@frozen
class Evidence:
    """Everything seen so far that bears on releases. A frozen value; each method gives the next one.

    started: the last start of the kubelet or of this agent. watching: whether there is a pod watch at all.
    synced: whether it has delivered the present pods. current: until when it is known to have delivered everything.
    ended: uids of pods that are proven to have ended, gone ones too.
    settled: resources for which every active pod was listed since `started` (rule d). shown: uids of present pods listed since then.
    unseen_grace: seconds that containers may live on of pods that vanished while nobody looked. Nothing where List shows a pod until
    its last process has ended, also over a start of whoever answers.
    """

    started: float
    watching: bool = True
    synced: bool = False
    current: float | None = None
    uses: Mapping[Id, Use] = field(factory=dict[Id, Use], hash=False)
    pods: Mapping[ObjectKey, PodObservation] = field(factory=dict[ObjectKey, PodObservation], hash=False)
    ended: frozenset[str] = frozenset()
    settled: frozenset[ResourceName] = frozenset()
    shown: frozenset[str] = frozenset()
    last: Listing | None = None
    unseen_grace: float = UNSEEN_GRACE

    def hold(self, ids: Iterable[Id], now: float) -> Evidence:
        """Follow exactly these held ids: new ones count from now, those no longer held are forgotten, except in an Allocate.

        Who uses a new one is not known: this process did not answer for it.
        """
        allocating = {id_: use for id_, use in self.uses.items() if use.since is None}
        unknown = Use(now, former=_UNKNOWN, lingers=now + ABSENCE + self.unseen_grace)
        return evolve(self, uses={id_: self.uses.get(id_, unknown) for id_ in ids} | allocating)

    def allocating(self, ids: Iterable[Id]) -> Evidence:
        """An Allocate asks for these ids: nothing frees them until its answer has gone out, and their holders are forgotten."""
        return evolve(self, uses={**self.uses, **{id_: self._use(id_).asked_for() for id_ in ids}})

    def answered(self, ids: Iterable[Id], now: float) -> Evidence:
        """The answer of an Allocate for these ids went out, or it failed: from now on Lists count."""
        asked = {id_: self._use(id_).asked_for() for id_ in ids}
        return evolve(
            self, uses={**self.uses, **{id_: evolve(use, since=now, former=use.former - self.ended) for id_, use in asked.items()}}
        )

    def _use(self, id_: Id) -> Use:
        # Before the first List nobody has said what is held, so this process cannot know that nobody was given the id before.
        return self.uses.get(id_, Use(None, former=_UNKNOWN if self.last is None else frozenset()))

    def start(self, now: float) -> Evidence:
        """The kubelet was started: Lists count from here, and everything has to be shown again."""
        uses = {id_: use if use.since is None else evolve(use.absent_anew(0.0, unseen=0.0), since=now) for id_, use in self.uses.items()}
        return evolve(self, started=now, uses=uses, settled=frozenset(), shown=frozenset(), last=None)

    def reset_pods(self, pods: Iterable[PodObservation]) -> Evidence:
        """Take in the whole present set of pods. One that vanished unseen proves nothing about its end."""
        present = {pod.key: pod for pod in pods}
        ended = self.ended - {pod.uid for pod in present.values()} | {pod.uid for pod in present.values() if pod.ended}
        return evolve(self._with_pods(present, ended, seen=False), synced=True)

    def pods_current(self, now: float) -> Evidence:
        """The pod watch says that everything up to now was delivered: a pod whose Allocate came earlier is among the known ones."""
        return evolve(self, current=now)

    def put_pod(self, pod: PodObservation) -> Evidence:
        """Take in a pod's present state."""
        pods = {**self.pods, pod.key: pod}
        ended = self.ended | {pod.uid} if pod.ended else self.ended - {pod.uid}
        return self._with_pods(pods, ended, seen=True)

    def drop_pod(self, key: ObjectKey, uid: str) -> Evidence:
        """Take in that a pod was removed. Whether it had ended is what was last seen of it."""
        pods = {known: pod for known, pod in self.pods.items() if known != key or pod.uid != uid}
        return self._with_pods(pods, self.ended, seen=True)

    def _with_pods(self, pods: Mapping[ObjectKey, PodObservation], ended: frozenset[str], *, seen: bool) -> Evidence:
        """Take in the pods. One that vanishes without an end may live on, and may use what no List ever showed: absence begins anew.

        seen: whether everything was delivered; else pods may have come and gone unseen, and it begins anew in any case.
        """
        uids = {pod.uid for pod in pods.values()}
        anew: dict[ResourceName, float] = {} if seen else {resource: 0.0 for resource, _ in self.uses}
        for pod in self.pods.values():
            if not pod.ended and pod.uid not in uids:
                anew |= {resource: max(anew.get(resource, 0.0), pod.outlived(seen=seen)) for resource in pod.requests}
        unseen = 0.0 if seen else self.unseen_grace
        uses = {id_: use.absent_anew(anew[id_[0]], unseen=unseen) if id_[0] in anew else use for id_, use in self.uses.items()}
        return evolve(self, uses=uses, pods=pods, ended=self._relevant(ended, pods))

    def _relevant(self, ended: frozenset[str], pods: Mapping[ObjectKey, PodObservation]) -> frozenset[str]:
        holders = {use.holder.uid for use in self.uses.values() if use.holder is not None}
        return ended & holders.union((pod.uid for pod in pods.values()), *(use.former for use in self.uses.values()))

    def list(self, listing: Listing) -> Evidence:
        """Take in an answer of PodResources List. One that was sent before the last start counts for nothing."""
        if listing.sent_at <= self.started or (self.last is not None and listing.sent_at <= self.last.sent_at):
            return self
        holders = {id_: self._holder(listing, id_, use) for id_, use in self.uses.items()}
        uses = {id_: use.listed(listing.sent_at, holders[id_], alive=self._is_alive(holders[id_])) for id_, use in self.uses.items()}
        keys = listing.pods.union(*(users.values() for users in listing.users.values()))
        present = {pod.uid for pod in self.pods.values()}
        shown = self.shown & present | {self.pods[key].uid for key in keys if key in self.pods}
        settled = self.settled | {resource for resource, _ in uses if self._all_shown(resource, shown)}
        return evolve(self, uses=uses, shown=shown, settled=settled, last=listing)

    def _holder(self, listing: Listing, id_: Id, use: Use) -> Holder | None:
        key = listing.users.get(id_[0], {}).get(id_[1])
        if key is None:
            return None
        pod = self.pods.get(key)
        return use.holder.seen_as(pod) if use.holder is not None and use.holder.key == key else Holder.first(key, pod)

    def _is_alive(self, holder: Holder | None) -> bool:
        pod = None if holder is None else self.pods.get(holder.key)
        return pod is not None and holder is not None and pod.uid == holder.uid and not pod.ended

    def _all_shown(self, resource: ResourceName, shown: frozenset[str]) -> bool:
        if not self.watching:
            return True
        asking = (pod for pod in self.pods.values() if not pod.ended and pod.requests.get(resource, 0) > 0)
        return self.synced and all(pod.uid in shown for pod in asking)

    def judge(self, id_: Id) -> Verdict:
        """Say whether a held id may be released, by rules a to d."""
        use = self.uses.get(id_)
        if use is None or use.since is None:
            return Verdict.ALLOCATING
        if id_[0] not in self.settled:
            return Verdict.STARTING
        absent = use.absent
        if absent is None:
            return Verdict.IN_USE if use.holder is not None else Verdict.NOT_ABSENT_TWICE
        if absent < LISTS_APART:
            return Verdict.NOT_ABSENT_TWICE
        if use.holder is not None and self.ended.issuperset({use.holder.uid, *use.former}):
            return Verdict.ENDED
        return self._without_proof(id_[0], use, absent, use.since)

    def _without_proof(self, resource: ResourceName, use: Use, absent: float, since: float) -> Verdict:
        if absent < (ABSENCE + use.grace if self.watching else ABSENCE_WITHOUT_PODS) or use.is_lingering:
            return Verdict.NOT_PROVEN
        if self.watching and (self.current is None or self.current <= since):
            return Verdict.PODS_NOT_CURRENT
        return Verdict.PERHAPS_UNLISTED if self._perhaps_unlisted(resource) else Verdict.ABSENT

    def _perhaps_unlisted(self, resource: ResourceName) -> bool:
        """Rule c: an init container's device is never listed, so a pod that asks for more than is shown may hold one."""
        listed = list(self.last.users.get(resource, {}).values()) if self.last else []
        active = (pod for pod in self.pods.values() if not pod.ended)
        return any(pod.requests.get(resource, 0) > listed.count(pod.key) for pod in active)

    def answered_long_ago(self, id_: Id) -> bool:
        """Whether the last answer for an id is so old that no container lives on that was told anything else before.

        A former process of the agent may have told another slot to a pod that was deleted by force since: `strays` of an id
        are released only if this is so.
        """
        use = self.uses.get(id_)
        if use is None or use.since is None or self.last is None:
            return False
        return self.last.sent_at - use.since >= ABSENCE + use.grace and self.last.sent_at >= use.lingers

    def releasable(self) -> Iterable[Id]:
        """Ids that may be released now."""
        return tuple(id_ for id_ in self.uses if self.judge(id_).release)

    def listed_ids(self, resource: ResourceName) -> frozenset[PluginDeviceId]:
        """Ids of a resource that the last List showed in use."""
        return frozenset(self.last.users.get(resource, {})) if self.last else frozenset()

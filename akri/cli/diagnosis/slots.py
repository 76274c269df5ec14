"""Who holds the slots of a device, and who waits for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import Scope, Sight, all_held
from akri.cli.diagnosis.words import listed, when
from akri.cli.text import count
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.naming import resource_name
from akri.core.reports import PastEvent, Reason
from akri.core.slots import SlotTable
from akri.core.usage import Free, HeldByConfiguration, HeldByNode
from akri.platforms.pod_requests import device_requests
from akri.scheduling.model import BrokerPod, Phase
from akri.scheduling.subject import configuration_key

__all__ = ["asked_for", "holders_of", "slots", "turned_away"]

_MOMENT: Final = 3.0
"""Seconds that a pod is Pending without waiting for anything: slots change hands when a broker is made anew."""
_RECENT: Final = 600.0
"""Seconds for which a refusal tells something about now."""


@frozen
class _Holding:
    """A slot that is held, by whom, and the pods that may be it."""

    slot: SlotId
    usage: HeldByNode | HeldByConfiguration
    pods: tuple[ObjectKey, ...]

    def __str__(self) -> str:
        """Name the holder."""
        virtual = f" (as {self.usage.virtual})" if isinstance(self.usage, HeldByConfiguration) else ""
        by = f"pod {listed(self.pods)} on node {self.usage.node}" if self.pods else f"node {self.usage.node}"
        return f"{by}{virtual}"


def slots(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say which slots are missed, and what is wrong with slots."""
    beside = {one.key: one for pod in scope.pods if pod.phase is Phase.PENDING for one in asked_for(pod, sight)}
    beside.update({one.key: one for one in scope.instances})
    refusals = _refusals(sight)
    for _, instance in sorted(beside.items(), key=lambda item: item[0]):
        table = SlotTable.read(instance, NodeName(""))
        if all_held(instance):
            waiting = tuple(_waiting(instance, sight))
            refused = [past for past in refusals.get(configuration_key(instance), ()) if f"{instance.name}-" in past.event.message]
            if waiting or refused:
                yield _all_held(instance, table, waiting, refused, sight)
        if table.unreadable:
            yield _unreadable(instance, table)
    yield from _lost(scope, sight)


def asked_for(pod: BrokerPod, sight: Sight) -> tuple[Instance, ...]:
    """Give the Instance that a broker serves and others that it waits for: a pod may want more than its own device."""
    details = sight.pod(pod.key, pod.uid)
    asked = {} if details is None else device_requests(details.spec)
    found = {one.key: one for resource, number in asked.items() if number > 0 for one in sight.behind(resource)}
    own = sight.instance(pod.instance)
    if own is not None:
        found[own.key] = own
    return tuple(found.values())


def holders_of(instance: Instance, sight: Sight) -> tuple[str, ...]:
    """Say of each slot that is held by whom, the lowest first."""
    return tuple(f"{one.slot} held by {one}" for one in _holdings(instance, SlotTable.read(instance, NodeName("")), sight))


def _holdings(instance: Instance, table: SlotTable, sight: Sight) -> Iterator[_Holding]:
    for index, usage in sorted(table.usages.items()):
        if isinstance(usage, Free):
            continue
        level = instance.configuration if isinstance(usage, HeldByConfiguration) else instance.name
        pods = (pod for pod in sight.askers(resource_name(level)) if pod.node == usage.node and pod.phase is Phase.RUNNING)
        yield _Holding(SlotId(instance.name, index), usage, tuple(pod.metadata.key for pod in pods))


@frozen
class _Waiting:
    """A pod that waits for a slot, in words, and what shows that it does."""

    who: str
    shown: str


def turned_away(pod: BrokerPod) -> bool:
    """Tell whether a node refused a broker, so that no program of it ran."""
    return pod.phase is Phase.FAILED and (pod.reason == "UnexpectedAdmissionError" or pod.reason.startswith("OutOf"))


def _waiting(instance: Instance, sight: Sight) -> Iterator[_Waiting]:
    """Name the pods that wait for this device: its brokers, and pods that ask for its resource."""
    brokers: dict[ObjectKey, _Waiting] = {}
    for pod in sight.brokers(instance.key):
        if pod.uid and not pod.deleting and (_waits(pod.phase, pod.created, sight) or turned_away(pod)):
            who = f"broker {pod.key} on node {pod.node}"
            away = turned_away(pod)
            brokers[pod.key] = _Waiting(who, f"{who} was refused by its node ({pod.reason})" if away else f"{who} is Pending")
    asking = list(sight.askers(resource_name(instance.name)))
    if sight.full(configuration_key(instance)):
        asking += sight.askers(resource_name(instance.configuration))
    users = {
        pod.metadata.key: _Waiting(f"pod {pod.metadata.key}", f"pod {pod.metadata.key} is Pending")
        for pod in asking
        if _waits(pod.phase, pod.metadata.created, sight) and pod.metadata.key not in brokers
    }
    return (some[key] for some in (brokers, users) for key in sorted(some))


def _waits(phase: Phase, created: float, sight: Sight) -> bool:
    return phase is Phase.PENDING and sight.now - created >= _MOMENT


def _refusals(sight: Sight) -> Mapping[ObjectKey, Sequence[PastEvent]]:
    """Give the claims that were refused a short while ago, by Configuration."""
    refused: dict[ObjectKey, list[PastEvent]] = {}
    for past in sight.overview.events:
        if past.event.reason is Reason.SLOT_REFUSED and sight.now - past.at < _RECENT and "is held by" in past.event.message:
            refused.setdefault(past.event.about, []).append(past)
    return refused


def _all_held(instance: Instance, table: SlotTable, waiting: Sequence[_Waiting], refused: Sequence[PastEvent], sight: Sight) -> Finding:
    holdings = tuple(_holdings(instance, table, sight))
    by = listed(dict.fromkeys(str(one) for one in holdings)) or "nobody knows whom"
    slots_ = "The one slot" if instance.capacity == 1 else f"All {instance.capacity} slots"
    verb = "is" if instance.capacity == 1 else "are"
    wait = f"{listed(one.who for one in waiting)} {'waits' if len(waiting) == 1 else 'wait'}" if waiting else "a claim was refused"
    owner = configuration_key(instance)
    evidence = [f"slot {one.slot} is held by {one}" for one in holdings]
    evidence += [one.shown for one in waiting]
    evidence += [f"{when(past.at, sight.now)}, {past.event.reason.value}: {past.event.message}" for past in refused]
    return Finding(
        Fault.SLOTS_HELD,
        Severity.PROBLEM if waiting else Severity.WARNING,
        f"{slots_} of Instance {instance.key} {verb} held by {by}, and {wait}",
        f"End a holder, or let more share the device: raise spec.capacity, {sight.where.command('edit', owner.name, owner)}",
        evidence,
    )


def _unreadable(instance: Instance, table: SlotTable) -> Finding:
    return Finding(
        Fault.SLOT_UNREADABLE,
        Severity.WARNING,
        f"Nobody can read who holds {count(len(table.unreadable), 'slot')} of Instance {instance.key}",
        "Wait for the controller, which removes unreadable keys; a value that cannot be read is removed by hand when no pod uses the slot",
        [str(entry.problem) for entry in table.unreadable],
    )


def _lost(scope: Scope, sight: Sight) -> Iterator[Finding]:
    own = {one.key for one in scope.instances}
    told = {
        past.event.about: past
        for past in sight.overview.events
        if past.event.reason is Reason.SLOT_LOST and past.event.about in own and sight.now - past.at < _RECENT
    }
    for about, past in told.items():
        yield Finding(
            Fault.SLOT_LOST,
            Severity.WARNING,
            f"A pod uses a slot of Instance {about} that its node lost meanwhile: {past.event.message}",
            "End one of the two pods: the device is used by more of them than it has slots",
            (f"{when(past.at, sight.now)}, {past.event.reason.value}: {past.event.message}",),
        )

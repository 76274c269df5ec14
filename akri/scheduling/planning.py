"""`plan`: from everything that was observed to everything that shall be done. Pure; told the plan before, it looks only at what changed.

Most is decided for each Instance alone (`review`). Three things join Instances: names that can be given once only, the load that a
placement policy looks at, and the services of Configurations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from akri.core.configuration import Configuration
from akri.core.ids import NodeName, ObjectKey
from akri.core.naming import NameRefusal, name_collisions
from akri.scheduling.ledger import Ledger, changed, same_keys
from akri.scheduling.model import Action
from akri.scheduling.placement import FIRST_NODES, Opening, Placement
from akri.scheduling.render import configuration_service, create_pod
from akri.scheduling.review import Review, review, review_absent, specification_digest
from akri.scheduling.services import decide_services
from akri.scheduling.snapshot import EMPTY, Snapshot
from akri.scheduling.subject import configuration_key, subject
from akri.scheduling.timing import Timing
from akri.scheduling.upkeep import foreign_finalizers

__all__ = ["Plan", "plan"]

_DEFAULT: Final = Timing()


@frozen(eq=False)
class _Choice:
    review: Review
    nodes: tuple[NodeName, ...]
    actions: tuple[Action, ...]


@frozen(eq=False)
class _Memory:
    """What one plan leaves for the next. Nothing in it is changed afterwards."""

    snapshot: Snapshot
    now: float
    timing: Timing
    ledger: Ledger
    digests: dict[ObjectKey, str]
    refusals: tuple[NameRefusal, ...]
    configurations: dict[ObjectKey, tuple[Action, ...]]
    choices: dict[ObjectKey, _Choice]


@frozen
class Plan:
    """What shall be done now, and when to plan again at the latest (None: not before something changes; seconds since the epoch).

    actions: those for one Instance together, Instances in the order of their keys, Configurations last. Until an action's effect
    is observed, each plan holds it again. refusals: objects that get nothing, for their name is taken (E9).
    """

    actions: tuple[Action, ...] = ()
    next_due: float | None = None
    refusals: tuple[NameRefusal, ...] = ()
    memory: _Memory | None = field(default=None, eq=False, repr=False)


def plan(
    snapshot: Snapshot, now: float, placement: Placement = FIRST_NODES, timing: Timing = _DEFAULT, previous: Plan | None = None
) -> Plan:
    """Decide what shall be done; `now` is in seconds since the epoch.

    previous: any plan made before with the same timing. It never changes the result; it makes it cheap where `snapshot` has
    come out of the former one by its `with_...` methods.
    """
    if not snapshot.nodes_known:
        return Plan()
    before = _usable(previous, now, timing)
    ledger = before.ledger.copy()
    refusals = _refusals(before, snapshot)
    edited = changed(before.snapshot.configurations, snapshot.configurations)
    governed = edited | _about("Configuration", {*before.refusals} ^ {*refusals})
    digests = _digests(before.digests, snapshot, edited)
    refused = _about("Configuration", refusals)
    unnamed = _about("Instance", refusals)
    touched = governed | changed(before.snapshot.services, snapshot.services)
    for key in _dirty(before, snapshot, governed, now) | _about("Instance", {*before.refusals} ^ {*refusals}):
        instance = snapshot.instances.get(key)
        if instance is None:
            touched |= ledger.enter(key, review_absent(snapshot, key))
            continue
        owner = configuration_key(instance)
        about = subject(snapshot, instance, now, timing, refused=owner in refused or key in unnamed)
        touched |= ledger.enter(key, review(about, digests.get(owner, "")))
    configurations = before.configurations.copy()
    for key in touched:
        configurations.pop(key, None)
        if actions := _configuration_actions(snapshot, key, ledger, refused=key in refused):
            configurations[key] = actions
    choices = _choices(snapshot, ledger, placement, before.choices)
    memory = _Memory(snapshot, now, timing, ledger, digests, refusals, configurations, choices)
    return Plan(_gathered(ledger, choices, configurations), min(ledger.dues.values(), default=None), refusals, memory)


def _usable(previous: Plan | None, now: float, timing: Timing) -> _Memory:
    memory = None if previous is None else previous.memory
    if memory is None or memory.timing != timing or now < memory.now:
        return _Memory(EMPTY, now, timing, Ledger(), {}, (), {}, {})
    return memory


def _refusals(before: _Memory, snapshot: Snapshot) -> tuple[NameRefusal, ...]:
    old = before.snapshot
    if not before.refusals and same_keys(old.instances, snapshot.instances) and same_keys(old.configurations, snapshot.configurations):
        return ()
    names = Counter(key.name for key in (*snapshot.configurations, *snapshot.instances))
    if len(names) == len(snapshot.configurations) + len(snapshot.instances):
        return ()
    configurations = [stored for stored in snapshot.configurations.values() if isinstance(stored, Configuration)]
    return name_collisions(configurations, [instance for key, instance in snapshot.instances.items() if names[key.name] > 1])


def _about(kind: str, refusals: Iterable[NameRefusal]) -> set[ObjectKey]:
    return {refusal.key for refusal in refusals if refusal.kind == kind}


def _digests(before: dict[ObjectKey, str], snapshot: Snapshot, edited: set[ObjectKey]) -> dict[ObjectKey, str]:
    if not edited:
        return before
    digests = {key: digest for key, digest in before.items() if key not in edited}
    for key in edited:
        configuration = snapshot.configurations.get(key)
        if isinstance(configuration, Configuration):
            digests[key] = specification_digest(configuration)
    return digests


def _dirty(before: _Memory, snapshot: Snapshot, governed: set[ObjectKey], now: float) -> set[ObjectKey]:
    old, ledger = before.snapshot, before.ledger
    keys = governed | changed(old.instances, snapshot.instances)
    keys |= changed(old.pods, snapshot.pods) | changed(old.former_pods, snapshot.former_pods)
    keys |= changed(old.jobs, snapshot.jobs) | changed(old.former_jobs, snapshot.former_jobs)
    keys |= changed(old.services, snapshot.services)
    edited = governed | changed(old.edited, snapshot.edited)
    if edited:
        keys |= {key for key, instance in snapshot.instances.items() if configuration_key(instance) in edited}
    nodes = changed(old.nodes, snapshot.nodes) | changed(old.missing, snapshot.missing)
    if nodes:
        keys |= {key for key, entry in ledger.reviews.items() if not nodes.isdisjoint(entry.watched)}
    return keys | {key for key, due in ledger.dues.items() if due <= now}


def _configuration_actions(snapshot: Snapshot, key: ObjectKey, ledger: Ledger, *, refused: bool) -> tuple[Action, ...]:
    configuration = snapshot.configurations.get(key)
    if configuration is None:
        return ()
    finalizers = tuple(foreign_finalizers("Configuration", configuration.metadata))
    if refused or configuration.metadata.deleting or not isinstance(configuration, Configuration):
        return finalizers
    spec = configuration.configuration_service
    wanted = None if spec is None else configuration_service(configuration, spec)
    return (*finalizers, *decide_services(snapshot.services.get(key, ()), wanted, ledger.presence(key)))


def _choices(snapshot: Snapshot, ledger: Ledger, placement: Placement, before: dict[ObjectKey, _Choice]) -> dict[ObjectKey, _Choice]:
    load = ledger.load.copy()
    shown = MappingProxyType(load)
    choices: dict[ObjectKey, _Choice] = {}
    for key in _ordered(ledger.open):
        entry, vacancies, instance = ledger.reviews[key], ledger.open[key], snapshot.instances[key]
        offered = placement.choose(Opening(instance, vacancies.candidates, shown, vacancies.count))
        nodes = tuple(node for node in dict.fromkeys(offered) if node in vacancies.candidates)[: vacancies.count]
        for node in nodes:
            load[node] = load.get(node, 0) + 1
        known = before.get(key)
        if known is not None and known.review is entry and known.nodes == nodes:
            choices[key] = known
            continue
        created = tuple(create_pod(instance, vacancies.broker, vacancies.hashes, node, 0) for node in nodes)
        choices[key] = _Choice(entry, nodes, created)
    return choices


def _gathered(ledger: Ledger, choices: dict[ObjectKey, _Choice], configurations: dict[ObjectKey, tuple[Action, ...]]) -> tuple[Action, ...]:
    actions: list[Action] = []
    for key in _ordered(ledger.acting | choices.keys()):
        actions.extend(ledger.reviews[key].actions)
        if key in choices:
            actions.extend(choices[key].actions)
    for key in _ordered(configurations):
        actions.extend(configurations[key])
    return tuple(actions)


def _ordered(keys: Iterable[ObjectKey]) -> list[ObjectKey]:
    return sorted(keys, key=lambda key: (key.namespace, key.name))

"""The decision about one Instance, as far as it does not depend on other Instances; made again only if something here changed."""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from akri.core.configuration import Configuration, JobBroker, NoBroker, PodBroker
from akri.core.ids import NodeName, ObjectKey
from akri.core.reports import Reason
from akri.scheduling.jobs import decide_jobs, delete_jobs
from akri.scheduling.model import Action, BrokerJob, BrokerPod, CreateJob, CreatePod, Phase
from akri.scheduling.pods import Vacancies, Wanted, decide_pods, delete_pods
from akri.scheduling.render import Hashes, digest_of, instance_service
from akri.scheduling.services import Presence, decide_services, delete_services
from akri.scheduling.snapshot import Snapshot
from akri.scheduling.subject import NEVER, Standing, Subject
from akri.scheduling.upkeep import Upkeep, foreign_finalizers, upkeep

__all__ = ["ABSENT", "Review", "review", "review_absent", "specification_digest"]

ABSENT = Presence(running=False, left=False)
"""No broker at all."""


@frozen(eq=False)
class Review:
    """What to do about one Instance, and what others need to know of it.

    due: when to look again. vacancies: brokers whose nodes are still to be chosen. load: nodes of its brokers, one entry each.
    owner: the Configuration that governs it, None if none does. watched: nodes whose state the decision depends on.
    """

    actions: tuple[Action, ...]
    due: float = NEVER
    vacancies: Vacancies | None = None
    load: tuple[NodeName, ...] = ()
    owner: ObjectKey | None = None
    presence: Presence = ABSENT
    watched: frozenset[NodeName] = frozenset()


@frozen(eq=False)
class _Brokers:
    actions: tuple[Action, ...] = ()
    due: float = NEVER
    vacancies: Vacancies | None = None


def specification_digest(configuration: Configuration) -> str:
    """Hash what a Configuration says about its brokers."""
    broker = configuration.broker
    match broker:
        case PodBroker(spec) | JobBroker(spec):
            return digest_of(spec)
        case NoBroker():
            return ""
    assert_never(broker)


def review_absent(snapshot: Snapshot, key: ObjectKey) -> Review | None:
    """Decide about brokers and services whose Instance is gone; None if there are none."""
    pods, jobs = snapshot.pods.get(key, ()), snapshot.jobs.get(key, ())
    services = () if key in snapshot.configurations else snapshot.services.get(key, ())
    if not (pods or jobs or services):
        return None
    why = f"Instance {key} is gone"
    actions: tuple[Action, ...] = (
        *delete_pods(pods, Reason.DEVICE_LOST, why),
        *delete_jobs(jobs, Reason.DEVICE_LOST, why),
        *delete_services(services),
    )
    return Review(actions, load=tuple(pod.node for pod in pods))


def review(subject: Subject, digest: str) -> Review:
    """Decide about one Instance; `digest` is the `specification_digest` of the Configuration that governs it."""
    instance = subject.instance
    finalizers: tuple[Action, ...] = tuple(foreign_finalizers("Instance", instance.metadata))
    load = tuple(pod.node for pod in subject.pods)
    if instance.metadata.deleting:
        return Review((*finalizers, *_removed(subject, Reason.DEVICE_LOST, "its Instance is being deleted")), load=load)
    care = upkeep(subject)
    if subject.standing is Standing.ORPHANED:
        return Review((*finalizers, *_writes(care), *_removed(subject, Reason.CONFIGURATION_GONE, "its Configuration is gone")), load=load)
    watched = frozenset((*care.watched, *load))
    configuration = subject.configuration
    if configuration is None:
        return Review((*finalizers, *_writes(care)), care.due, load=load, watched=watched)
    brokers = _brokers(subject, configuration, Hashes(digest, digest_of(instance.broker_properties)), care.nodes)
    created = tuple(action.node for action in brokers.actions if isinstance(action, CreatePod))
    presence = _presence(subject, brokers)
    spec = configuration.instance_service
    services = decide_services(subject.services, None if spec is None else instance_service(instance, spec), presence)
    return Review(
        actions=(*finalizers, *_writes(care), *brokers.actions, *services),
        due=min(care.due, brokers.due),
        vacancies=brokers.vacancies,
        load=(*load, *created),
        owner=configuration.key,
        presence=presence,
        watched=watched,
    )


def _writes(care: Upkeep) -> tuple[Action, ...]:
    return () if care.write is None else (care.write,)


def _removed(subject: Subject, reason: Reason, why: str) -> tuple[Action, ...]:
    pods, jobs = delete_pods(subject.pods, reason, why), delete_jobs(subject.jobs, reason, why)
    return (*pods, *jobs, *delete_services(subject.services))


def _brokers(subject: Subject, configuration: Configuration, hashes: Hashes, present: tuple[NodeName, ...]) -> _Brokers:
    broker, instance, unwanted = configuration.broker, subject.instance, "its Configuration wants none of its kind"
    match broker:
        case PodBroker():
            places = min(instance.capacity, configuration.capacity) if instance.shared else 1
            decided = decide_pods(subject, Wanted(broker, hashes, places, present))
            strays: tuple[Action, ...] = delete_jobs(subject.jobs, Reason.BROKER_REMOVED, unwanted)
            return _Brokers((*strays, *decided.actions), decided.due, decided.vacancies)
        case JobBroker():
            strays = delete_pods(subject.pods, Reason.BROKER_REMOVED, unwanted)
            if not present:
                return _Brokers((*strays, *delete_jobs(subject.jobs, Reason.DEVICE_LOST, "no node sees the device any more")))
            jobs = decide_jobs(subject, configuration, broker, hashes)
            return _Brokers((*strays, *jobs.actions), jobs.due)
        case NoBroker():
            return _Brokers(
                (*delete_pods(subject.pods, Reason.BROKER_REMOVED, unwanted), *delete_jobs(subject.jobs, Reason.BROKER_REMOVED, unwanted))
            )
    assert_never(broker)


def _presence(subject: Subject, brokers: _Brokers) -> Presence:
    coming = brokers.vacancies is not None or any(isinstance(action, CreatePod | CreateJob) for action in brokers.actions)
    return Presence(
        running=any(_runs(pod) for pod in subject.pods) or any(_works(job) for job in subject.jobs),
        left=coming or bool(subject.pods) or any(not job.complete and not job.failed for job in subject.jobs),
    )


def _runs(pod: BrokerPod) -> bool:
    return pod.phase is Phase.RUNNING and not pod.deleting


def _works(job: BrokerJob) -> bool:
    return bool(job.uid) and not (job.deleting or job.complete or job.failed)

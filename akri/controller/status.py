"""What is said of each Configuration: conditions and counts, out of everything that was observed and what `plan` refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from akri.core.configuration import Configuration, NoBroker, UnreadableConfiguration
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.naming import NameRefusal
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Reason
from akri.scheduling.model import BrokerJob, BrokerPod, Phase
from akri.scheduling.snapshot import Snapshot, StoredConfiguration
from akri.scheduling.subject import configuration_key

__all__ = ["ACCEPTED", "BROKERS_READY", "DISCOVERING", "since", "statuses"]

ACCEPTED = "Accepted"
DISCOVERING = "Discovering"
BROKERS_READY = "BrokersReady"


@frozen
class _Brokers:
    total: int
    ready: int
    failed: int


def statuses(
    snapshot: Snapshot, reports: Iterable[DiscoveryReport], refusals: Iterable[NameRefusal]
) -> Mapping[ObjectKey, ConfigurationStatus]:
    """Say for each Configuration how it is. Times of conditions are left 0: `since` fills them in."""
    instances: dict[ObjectKey, list[Instance]] = {}
    for instance in snapshot.instances.values():
        instances.setdefault(configuration_key(instance), []).append(instance)
    told: dict[ObjectKey, list[DiscoveryReport]] = {}
    for report in reports:
        told.setdefault(report.configuration, []).append(report)
    refused = {refusal.key: refusal for refusal in refusals if refusal.kind == "Configuration"}
    return {
        key: _status(stored, instances.get(key, []), snapshot, told.get(key, []), refused.get(key))
        for key, stored in snapshot.configurations.items()
    }


def since(status: ConfigurationStatus, former: ConfigurationStatus | None, now: float) -> ConfigurationStatus:
    """Fill in since when each condition holds: it keeps its time as long as its status does."""
    before = {} if former is None else {condition.type: condition for condition in former.conditions}

    def dated(condition: Condition) -> Condition:
        old = before.get(condition.type)
        return evolve(condition, since=old.since if old is not None and old.status == condition.status else now)

    return evolve(status, conditions=tuple(dated(condition) for condition in status.conditions))


def _status(
    stored: StoredConfiguration, instances: list[Instance], snapshot: Snapshot, reports: list[DiscoveryReport], refusal: NameRefusal | None
) -> ConfigurationStatus:
    generation = stored.metadata.generation
    brokers = _brokers(instances, snapshot)
    conditions = [_accepted(stored, refusal)]
    if isinstance(stored, Configuration) and refusal is None:
        own = sorted((report for report in reports if report.configuration_uid == stored.metadata.uid), key=_node)
        conditions.append(_discovering(stored, own))
        if not isinstance(stored.broker, NoBroker):
            conditions.append(_ready(brokers))
    nodes = {node for instance in instances for node in instance.nodes}
    return ConfigurationStatus(generation, tuple(conditions), len(instances), len(nodes), brokers.total, brokers.ready)


def _node(report: DiscoveryReport) -> NodeName:
    return report.node


def _accepted(stored: StoredConfiguration, refusal: NameRefusal | None) -> Condition:
    if isinstance(stored, UnreadableConfiguration):
        return Condition(ACCEPTED, status=False, reason=Reason.INVALID, message="; ".join(str(problem) for problem in stored.problems))
    if refusal is not None:
        return Condition(ACCEPTED, status=False, reason=Reason.NAME_TAKEN, message=refusal.message)
    return Condition(ACCEPTED, status=True, reason=Reason.ACCEPTED)


def _discovering(configuration: Configuration, reports: list[DiscoveryReport]) -> Condition:
    handler = configuration.discovery.handler
    troubles = [trouble for report in reports for trouble in _troubles(report)]
    answering = [report.node for report in reports if any(entry.answered_at > 0 and not entry.error for entry in report.handlers)]
    if answering:
        message = "; ".join((f"handlers for {handler} answer on {len(answering)} of {len(reports)} nodes", *troubles))
        return Condition(DISCOVERING, status=True, reason=Reason.DISCOVERING, message=message)
    if troubles:
        return Condition(DISCOVERING, status=False, reason=_cause(reports), message="; ".join(troubles))
    if any(report.handlers for report in reports):
        return Condition(DISCOVERING, status=False, reason=Reason.DISCOVERING, message=f"handlers for {handler} have not answered yet")
    return Condition(DISCOVERING, status=False, reason=Reason.HANDLER_MISSING, message=f"no node has a discovery handler named {handler}")


def _cause(reports: Iterable[DiscoveryReport]) -> Reason:
    """Name what keeps all handlers from answering, if it is the same everywhere."""
    causes = {entry.reason for report in reports for entry in report.handlers if entry.error}
    cause = causes.pop() if len(causes) == 1 else None
    return Reason.DISCOVERY_FAILED if cause is None else cause


def _troubles(report: DiscoveryReport) -> list[str]:
    failed = [f"node {report.node}: handler {entry.name}: {entry.error}" for entry in report.handlers if entry.error]
    return [*(f"node {report.node}: {problem}" for problem in report.problems), *failed]


def _brokers(instances: list[Instance], snapshot: Snapshot) -> _Brokers:
    pods = [pod for instance in instances for pod in snapshot.pods.get(instance.key, ()) if pod.uid]
    jobs = [job for instance in instances for job in snapshot.jobs.get(instance.key, ()) if job.uid]
    return _Brokers(
        total=len(pods) + len(jobs),
        ready=sum(_pod_ready(pod) for pod in pods) + sum(_job_ready(job) for job in jobs),
        failed=sum(pod.phase.terminal for pod in pods) + sum(job.failed for job in jobs),
    )


def _pod_ready(pod: BrokerPod) -> bool:
    return pod.phase is Phase.RUNNING and not pod.deleting


def _job_ready(job: BrokerJob) -> bool:
    return not job.failed and not job.deleting


def _ready(brokers: _Brokers) -> Condition:
    message = f"{brokers.ready} of {brokers.total} brokers run"
    if brokers.failed:
        reason, message = Reason.BROKER_BACK_OFF, f"{message}, {brokers.failed} ended and wait to be started again"
        return Condition(BROKERS_READY, status=False, reason=reason, message=message)
    ready = brokers.ready == brokers.total > 0
    return Condition(BROKERS_READY, status=ready, reason=Reason.BROKERS_READY if ready else Reason.BROKER_CREATED, message=message)

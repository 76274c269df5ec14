"""Brokers that fail again and again, may not open their device, or wait."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import TIMING, Scope, Sight
from akri.cli.diagnosis.slots import all_held, turned_away
from akri.cli.diagnosis.words import ago, denied, left, span, when
from akri.cli.text import count
from akri.core.ids import ObjectKey
from akri.core.reports import PastEvent, Reason
from akri.ports import ContainerState, PodDetails
from akri.scheduling.model import BrokerJob, BrokerPod, Phase
from akri.scheduling.pods import retry_at

__all__ = ["brokers", "troubled"]

_PATIENCE: Final = 30.0
"""Seconds in which a broker should have started."""
_PATH: Final = re.compile(r"/dev/[\w./-]+")


def troubled(pod: BrokerPod, details: PodDetails | None, now: float) -> bool:
    """Tell whether a broker ended, or ended before and is not well again for long."""
    if pod.deleting or not pod.uid:
        return False
    if pod.phase.terminal:
        return True
    well = pod.phase is Phase.RUNNING and now - pod.started >= TIMING.healthy
    if pod.attempt > 0 and not well:
        return True
    return any(_failing(one, now) for one in (details.containers if details else ()))


def brokers(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say what is wrong with the brokers of the scope."""
    for pod in scope.pods:
        details = sight.pod(pod.key, pod.uid)
        if turned_away(pod) or (pod.phase is Phase.PENDING and pod.attempt == 0 and sight.now - pod.created > _PATIENCE):
            yield from _waiting_pod(pod, details, sight)
        elif troubled(pod, details, sight.now):
            yield _failing_pod(pod, details, sight)
    yield from (_failed_job(job, sight) for job in scope.jobs if job.failed and not job.deleting)


def _failing(container: ContainerState, now: float) -> bool:
    if container.restarts == 0:
        return container.exit_code not in {None, 0} and not container.running
    return not (container.running and now - container.started >= TIMING.healthy)


def _failing_pod(pod: BrokerPod, details: PodDetails | None, sight: Sight) -> Finding:
    ended = _ended(pod, details, sight)
    spoken = sight.logs.get(pod.key, ())
    rights = next((line for line in reversed((*_texts(pod, details, sight), *spoken)) if denied(line)), "")
    logs = sight.where.command("logs", pod.key.name, pod.key)
    where = f"Broker {pod.key} on node {pod.node}"
    if rights:
        path = next(iter(_PATH.findall(rights)), "")
        return Finding(
            Fault.NOT_PERMITTED,
            Severity.PROBLEM,
            f"A permission is lacking on {pod.node}: {where} may not open {path or 'what it needs'}: {rights}",
            f"ls -l {path or '/dev'} on {pod.node} shows who may; let the broker's user be one of them (docs/explain.md); its log: {logs}",
            _history(pod, details, sight),
        )
    failures = (
        pod.attempt + (1 if pod.phase.terminal else 0) + max((one.restarts for one in (details.containers if details else ())), default=0)
    )
    times = f"it failed {failures} times in a row" if failures > 1 else "it failed"
    return Finding(
        Fault.BROKER_FAILING,
        Severity.PROBLEM if not pod.phase.terminal or pod.phase is Phase.FAILED else Severity.WARNING,
        f"{where} does not stay up: {ended}; {times}{_next(pod, sight)}",
        f"See what it wrote: {logs}; then correct spec.brokerSpec or the program",
        _history(pod, details, sight),
    )


def _next(pod: BrokerPod, sight: Sight) -> str:
    if not pod.phase.terminal:
        return ""
    rest = retry_at(pod, TIMING) - sight.now
    return f", the next attempt starts in {left(rest)}" if rest > 0 else ", the next attempt starts now"


def _ended(pod: BrokerPod, details: PodDetails | None, sight: Sight) -> str:
    """Say how it ended last, in the words of who knows best."""
    containers = details.containers if details else ()
    ends = [one for one in containers if one.exit_code is not None and (one.exit_code != 0 or pod.phase.terminal)]
    if ends:
        worst = next((one for one in ends if one.exit_code), ends[0])
        reason = f" ({worst.reason})" if worst.reason and worst.reason != "Completed" else ""
        return f"container {worst.name} ended with exit code {worst.exit_code}{reason}"
    return next(iter(reversed(_texts(pod, details, sight))), pod.reason or f"it is {pod.phase.value}")


def _texts(pod: BrokerPod, details: PodDetails | None, sight: Sight) -> Sequence[str]:
    told = [past.event.message for past in _events(pod.key, sight) if past.event.reason is Reason.BROKER_FAILED and past.event.warning]
    own = [details.message] if details and details.message else []
    return (*told, *own)


def _events(key: ObjectKey, sight: Sight) -> Iterator[PastEvent]:
    return (past for past in sight.overview.events if past.event.kind in {"Pod", "Job"} and past.event.about == key)


def _history(pod: BrokerPod, details: PodDetails | None, sight: Sight) -> list[str]:
    now = sight.now
    lines = [f"{pod.phase.value} on node {pod.node}" + (f" ({pod.reason})" if pod.reason else "")]
    if pod.finished:
        ran = f" after {span(pod.finished - pod.started)}" if pod.started else " before it started"
        lines.append(f"ended {when(pod.finished, now)}{ran}")
    if pod.phase.terminal or pod.attempt:
        wait = retry_at(pod, TIMING) - (pod.finished or pod.created)
        back_off = f"; back-off {span(wait)}, {span(TIMING.back_off.most)} at most, from anew after {span(TIMING.healthy)} without failure"
        lines.append(f"attempt {pod.attempt + 1}{back_off}")
    lines += [_container(one, now) for one in (details.containers if details else ()) if one.restarts or one.exit_code is not None]
    lines += [f"{when(past.at, now)}, {past.event.reason.value}: {past.event.message}" for past in list(_events(pod.key, sight))[-3:]]
    lines += [f"log: {line}" for line in sight.logs.get(pod.key, ())[-4:]]
    return lines


def _container(one: ContainerState, now: float) -> str:
    exit_code = "" if one.exit_code is None else f", exit code {one.exit_code}"
    finished = f", ended {ago(one.finished, now)}" if one.finished else ""
    reason = f" ({one.reason})" if one.reason else ""
    return f"container {one.name}: {count(one.restarts, 'restart')}{exit_code}{finished}{reason}"


def _waiting_pod(pod: BrokerPod, details: PodDetails | None, sight: Sight) -> Iterator[Finding]:
    instance = next((one for one in sight.overview.instances if one.key == pod.instance), None)
    if pod.deleting or not pod.uid or (instance is not None and all_held(instance)):
        return  # who holds the slots is told there
    words = details.message or details.reason if details else ""
    words = words or next((one.reason for one in (details.containers if details else ()) if one.reason and not one.running), "")
    where = f"Broker {pod.key} on node {pod.node}"
    if turned_away(pod):
        title = f"{where} is refused by its node: {words or pod.reason}{_next(pod, sight)}"
    else:
        title = f"{where} waits since {span(sight.now - pod.created)}: {words or 'its node has not started it'}"
    yield Finding(
        Fault.BROKER_WAITING,
        Severity.PROBLEM if turned_away(pod) else Severity.WARNING,
        title,
        f"Look at what it asks for, and at what its node has: {sight.where.command('describe', pod.key.name, pod.key)}",
        _history(pod, details, sight),
    )


def _failed_job(job: BrokerJob, sight: Sight) -> Finding:
    logs = sight.where.command("logs", job.key.name, job.key)
    return Finding(
        Fault.BROKER_FAILING,
        Severity.PROBLEM,
        f"Broker job {job.key} of Instance {job.instance} failed: {job.reason or 'its program fails'}; it is not tried again",
        f"See what it wrote: {logs}; a change of spec.brokerSpec makes a new job",
        [f"ended {when(job.finished, sight.now)}, attempt {job.attempt + 1}"]
        + [f"{when(past.at, sight.now)}, {past.event.reason.value}: {past.event.message}" for past in _events(job.key, sight)],
    )

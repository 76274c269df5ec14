"""Brokers that fail again and again, may not open their device, or wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from akri.cli.diagnosis.ends import BrokerEnds
from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import Scope, Sight, all_held
from akri.cli.diagnosis.slots import asked_for, turned_away
from akri.cli.diagnosis.words import denied, span, when
from akri.scheduling.model import BrokerJob, BrokerPod, Phase

__all__ = ["brokers", "troubled"]

_PATIENCE: Final = 30.0
"""Seconds in which a broker should have started."""
_PATH: Final = re.compile(r"/dev/[\w./-]+")


def troubled(pod: BrokerPod, sight: Sight) -> bool:
    """Tell whether a broker ended, or ended before and is not well again for long."""
    return BrokerEnds(pod, sight.pod(pod.key, pod.uid), sight).troubled


def brokers(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say what is wrong with the brokers of the scope."""
    for pod in scope.pods:
        ends = BrokerEnds(pod, sight.pod(pod.key, pod.uid), sight)
        waits = turned_away(pod) or pod.phase is Phase.PENDING
        if waits and any(map(all_held, asked_for(pod, sight))):
            continue  # who holds the slots is told there
        if turned_away(pod) or (pod.phase is Phase.PENDING and pod.attempt == 0):
            yield from _waiting(ends)
        elif ends.troubled:
            yield _failing(ends)
    yield from (_failed_job(job, sight) for job in scope.jobs if job.failed and not job.deleting)


def _failing(ends: BrokerEnds) -> Finding:
    pod, where = ends.pod, ends.sight.where
    spoken = ends.sight.logs.get(pod.key, ())
    rights = next((line for line in reversed((*ends.texts, *spoken)) if denied(line)), "")
    logs = where.command("logs", pod.key.name, pod.key)
    broker = f"Broker {pod.key} on node {pod.node}"
    if rights:
        path = next(iter(_PATH.findall(rights)), "")
        return Finding(
            Fault.NOT_PERMITTED,
            Severity.PROBLEM,
            f"A permission is lacking on {pod.node}: {broker} may not open {path or 'what it needs'}: {rights}",
            f"ls -l {path or '/dev'} on {pod.node} shows who may; let the broker's user be one of them (docs/explain.md); its log: {logs}",
            ends.history(),
        )
    times = f"it failed {ends.failures} times in a row" if ends.failures > 1 else "it failed"
    return Finding(
        Fault.BROKER_FAILING,
        Severity.WARNING if pod.phase is Phase.SUCCEEDED else Severity.PROBLEM,
        f"{broker} does not stay up: {ends.ended()}; {times}{ends.next()}",
        f"See what it wrote: {logs}; then correct spec.brokerSpec or the program",
        ends.history(),
    )


def _waiting(ends: BrokerEnds) -> Iterator[Finding]:
    pod, sight = ends.pod, ends.sight
    if pod.deleting or not pod.uid or (pod.phase is Phase.PENDING and sight.now - pod.created < _PATIENCE):
        return
    words = ends.details.message or ends.details.reason if ends.details else ""
    words = words or next((one.reason for one in ends.containers if one.reason and not one.running), "")
    broker = f"Broker {pod.key} on node {pod.node}"
    if turned_away(pod):
        title = f"{broker} is refused by its node: {words or pod.reason}{ends.next()}"
    else:
        title = f"{broker} has waited for {span(sight.now - pod.created)}: {words or 'its node has not started it'}"
    yield Finding(
        Fault.BROKER_WAITING,
        Severity.PROBLEM if turned_away(pod) else Severity.WARNING,
        title,
        f"Look at what it asks for, and at what its node has: {sight.where.command('describe', pod.key.name, pod.key)}",
        ends.history(),
    )


def _failed_job(job: BrokerJob, sight: Sight) -> Finding:
    logs = sight.where.command("logs", job.key.name, job.key)
    told = sight.events("Job", job.key)
    return Finding(
        Fault.BROKER_FAILING,
        Severity.PROBLEM,
        f"Broker job {job.key} of Instance {job.instance} failed: {job.reason or 'its program fails'}; it is not tried again",
        f"See what it wrote: {logs}; a change of spec.brokerSpec makes a new job",
        [f"ended {when(job.finished, sight.now)}, attempt {job.attempt + 1}"]
        + [f"{when(past.at, sight.now)}, {past.event.reason.value}: {past.event.message}" for past in told],
    )

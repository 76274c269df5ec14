"""The whole diagnosis of one thing, the worst first; and what is said where nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from akri.cli.diagnosis.acceptance import acceptance
from akri.cli.diagnosis.brokers import brokers
from akri.cli.diagnosis.devices import devices, gone
from akri.cli.diagnosis.discovering import discovering
from akri.cli.diagnosis.finding import Fault, Finding, Severity, ordered
from akri.cli.diagnosis.nodes import nodes
from akri.cli.diagnosis.sight import Scope, Sight
from akri.cli.diagnosis.slots import holders_of, slots
from akri.cli.diagnosis.words import listed, when
from akri.cli.text import count
from akri.core.ids import NodeName
from akri.core.instance import Instance
from akri.core.slots import SlotTable
from akri.scheduling.model import Phase

__all__ = ["diagnose", "wrong"]


def diagnose(scope: Scope, sight: Sight) -> tuple[Finding, ...]:
    """Find out everything about one thing, at least one Finding. Never raises, and the same Sight gives the same answer."""
    found = ordered(one for part in (acceptance, nodes, discovering, gone, devices, brokers, slots) for one in part(scope, sight))
    if wrong(found):
        return found
    return (_well(scope, sight), *found)


def wrong(findings: tuple[Finding, ...]) -> bool:
    """Tell whether something is wrong."""
    return any(one.severity is not Severity.NOTE for one in findings)


def _well(scope: Scope, sight: Sight) -> Finding:
    running = sum(pod.phase is Phase.RUNNING for pod in scope.pods) + sum(not job.failed for job in scope.jobs)
    total = len(scope.pods) + len(scope.jobs)
    seen = {node for one in scope.instances for node in one.nodes}
    there = f"{count(len(scope.instances), 'device')} on {count(len(seen), 'node')}, {running} of {count(total, 'broker')} running"
    if scope.kind in {"Pod", "Job"}:
        there = listed(f"Instance {one.key}" for one in scope.instances) or "no Instance"
    return Finding(
        Fault.NOTHING,
        Severity.NOTE,
        f"Nothing is wrong with {scope.subject}: {there}",
        f"There is nothing to do; {sight.where.command('describe', scope.key.name, scope.key)} shows everything about it",
        _there(scope, sight),
    )


def _there(scope: Scope, sight: Sight) -> Iterator[str]:
    for report in scope.reports:
        for handler in report.handlers:
            answered = f"answered {when(handler.answered_at, sight.now)}" if handler.answered_at else "has not answered yet"
            yield f"node {report.node}: handler {handler.name} {answered}, {count(handler.devices, 'device')}"
    for instance in scope.instances:
        yield f"Instance {instance.key}: {_slots(instance, sight)}; seen by {listed(instance.nodes) or 'no node'}"
    for pod in scope.pods:
        since = f" since {when(pod.started, sight.now)}" if pod.started else ""
        yield f"broker {pod.key}: {pod.phase.value} on node {pod.node}{since}"
    for job in scope.jobs:
        yield f"broker job {job.key}: {'complete' if job.complete else 'at work'}"


def _slots(instance: Instance, sight: Sight) -> str:
    held = holders_of(instance, sight)
    used = SlotTable.read(instance, NodeName("")).used()
    return f"{used} of {count(instance.capacity, 'slot')} held" + (f" ({listed(held)})" if held else "")

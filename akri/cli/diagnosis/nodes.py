"""Nodes that are lost, or about to be, and agents that say nothing any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import TIMING, Scope, Sight
from akri.cli.diagnosis.words import ago, left, listed, span, when
from akri.cli.text import count
from akri.core.ids import NodeName, ObjectKey
from akri.core.reports import PastEvent, Reason
from akri.core.slots import SlotTable
from akri.core.usage import holder_node
from akri.scheduling.model import NodeState, Phase

__all__ = ["nodes"]

_SILENCE: Final = 180.0
"""Seconds without a sign of life of an agent, which gives one a minute."""


def nodes(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say which nodes that bear on the scope are away, and since when."""
    bound = _bound(scope)
    for name in sorted({*bound, *_left(scope, sight)}):
        state = sight.node(name)
        if state is None and name in bound:
            yield _away(scope, sight, name, None)
        elif state is not None and not state.ready:
            yield _away(scope, sight, name, state)
    for report in scope.reports:
        state = sight.node(report.node)
        since = ago(report.written_at, sight.now)
        if state is not None and state.ready and sight.now - report.written_at > _SILENCE:
            yield Finding(
                Fault.NODE_SILENT,
                Severity.WARNING,
                f"The agent on node {report.node} says nothing: its last report on {report.configuration} came {since}",
                f"Look whether the agent runs on {report.node}, and read its log",
                (f"an agent reports at least once a minute; the last report is of {when(report.written_at, sight.now)}",),
            )


def _bound(scope: Scope) -> frozenset[NodeName]:
    """Nodes that see a device, hold a slot or run a broker of the scope; for a broker its own, and those that hold what it waits for."""
    seeing = {node for one in scope.instances for node in one.nodes}
    holding = {node for one in scope.instances for node in SlotTable.read(one, NodeName("")).nodes_holding()}
    running = {pod.node for pod in scope.pods}
    if scope.kind == "Pod":
        waiting = any(pod.phase is Phase.PENDING for pod in scope.pods)
        return frozenset((running | holding if waiting else running) - {NodeName("")})
    return frozenset((seeing | holding | running | {report.node for report in scope.reports}) - {NodeName("")})


def _left(scope: Scope, sight: Sight) -> frozenset[NodeName]:
    """Nodes that were taken out of an Instance of the scope because they were lost, and are not back yet."""
    told = _losses(scope, sight)
    return frozenset(state.name for state in sight.overview.nodes if not state.ready and any(_names(past, state.name) for past in told))


def _losses(scope: Scope, sight: Sight) -> list[PastEvent]:
    own = {one.key for one in scope.instances} | ({scope.key} if scope.kind == "Instance" else set[ObjectKey]())
    prefix = f"{scope.key.name}-" if scope.whole else None
    return [
        past
        for past in sight.overview.events
        if past.event.reason is Reason.NODE_LOST
        and (
            past.event.about in own
            or (prefix and past.event.about.namespace == scope.key.namespace and past.event.about.name.startswith(prefix))
        )
    ]


def _names(past: PastEvent, node: NodeName) -> bool:
    return f"node {node} " in f"{past.event.message} "


def _away(scope: Scope, sight: Sight, name: NodeName, state: NodeState | None) -> Finding:
    now, at = sight.now, 0.0 if state is None else state.since
    grace = TIMING.node_grace if state is not None else 0.0
    rest = at + grace - now
    instances = [one for one in scope.instances if name in one.nodes]
    slots, running = count(_held(scope, name), "slot"), count(_running(scope, name), "broker")
    concerned = f"{count(len(instances), 'device')}, {slots} and {running} of {scope.subject}"
    if state is None:
        title = f"Node {name} is lost: no node of this name is known any more; it has {concerned}"
    elif rest > 0:
        title = f"Node {name} has not been ready for {span(now - at)}: it counts as lost in {left(rest)}; it has {concerned}"
    else:
        title = f"Node {name} is lost: it has not been ready for {span(now - at)}; it has {concerned}"
    start = f"akri node --name {name}{sight.where.options}" if sight.where.state else f"kubectl describe node {name}"
    advice = f"Bring it back: {start}; when it is lost its slots are freed for other nodes, and when it is back it joins again"
    return Finding(Fault.NODE_LOST, Severity.PROBLEM, title, advice, _evidence(scope, sight, name, state))


def _evidence(scope: Scope, sight: Sight, name: NodeName, state: NodeState | None) -> list[str]:
    lines = [] if state is None else [f"node {name} was ready until {when(state.since, sight.now)}"]
    lines.append(f"a node that is not ready counts as lost after {span(TIMING.node_grace)}, unless the controller was told another time")
    lines += [f"Instance {one.key} is seen by {listed(one.nodes)}" for one in scope.instances if name in one.nodes]
    lines += [
        f"{past.event.about}, {when(past.at, sight.now)}: {past.event.message}" for past in _losses(scope, sight) if _names(past, name)
    ]
    return lines


def _running(scope: Scope, name: NodeName) -> int:
    return sum(pod.node == name and not pod.phase.terminal for pod in scope.pods)


def _held(scope: Scope, name: NodeName) -> int:
    usages = (usage for one in scope.instances for usage in SlotTable.read(one, NodeName("")).usages.values())
    return sum(holder_node(usage) == name for usage in usages)

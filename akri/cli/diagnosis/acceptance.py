"""Configurations that cannot be used, names that are taken, and Configurations that nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import Scope, Sight
from akri.cli.diagnosis.words import span, when
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.naming import NameRefusal, name_collisions
from akri.core.reports import ConfigurationStatus, Reason

__all__ = ["acceptance", "refusals"]

_PATIENCE: Final = 15.0
"""Seconds in which an agent should have reported on a new Configuration."""


def acceptance(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say why nothing can become of a Configuration, or of an Instance of it."""
    configuration = scope.configuration
    if sight.where.stopped:
        yield _not_running(scope, sight)
    if isinstance(configuration, UnreadableConfiguration):
        yield _invalid(configuration, sight)
    refused = tuple(refusals(scope, sight))
    yield from (_taken(refusal, sight) for refusal in refused)
    if isinstance(configuration, Configuration):
        status = sight.overview.statuses.get(configuration.metadata.uid)
        if not refused and status is not None:
            yield from _told(configuration, status, sight)
        if not (refused or scope.reports) and (scope.whole or not scope.exists):
            yield from _not_looked_at(configuration, status, sight)


def refusals(scope: Scope, sight: Sight) -> Iterator[NameRefusal]:
    """Give what is refused of the scope: its Configuration, or Instances of it."""
    usable = [one for one in sight.overview.configurations if isinstance(one, Configuration)]
    own = {one.key for one in scope.instances}
    for refusal in name_collisions(usable, sight.overview.instances):
        if refusal.kind == "Configuration":
            concerned = scope.configuration is not None and refusal.key == scope.configuration.key
        else:
            concerned = refusal.key in own
        if concerned:
            yield refusal


def _not_running(scope: Scope, sight: Sight) -> Finding:
    last = max((report.written_at for report in scope.reports), default=0.0)
    return Finding(
        Fault.NOT_RUNNING,
        Severity.PROBLEM,
        f"Nobody looks after {scope.subject}: no 'akri up' runs on {sight.where.state}",
        f"Start it: akri up{sight.where.options}; brokers that run are taken up, and what was found is served again",
        (f"the last report is of {when(last, sight.now)}",) if last else (),
    )


def _invalid(configuration: UnreadableConfiguration, sight: Sight) -> Finding:
    key, problems = configuration.key, configuration.problems
    first = str(problems[0]) if problems else "nobody says why"
    return Finding(
        Fault.INVALID,
        Severity.PROBLEM,
        f"Configuration {key} cannot be used: {first}",
        f"Correct it: {sight.where.command('edit', key.name, key)} (for a file, akri validate FILE names each problem with its line)",
        [str(problem) for problem in problems],
    )


def _taken(refusal: NameRefusal, sight: Sight) -> Finding:
    what = f"{refusal.kind} {refusal.key}"
    older = f"the older {refusal.other_kind} {refusal.other}"
    if refusal.kind == "Configuration":
        advice = f"Give it another name: apply it under one, then {sight.where.command('delete', refusal.key.name, refusal.key)}"
    else:
        advice = f"Give {refusal.other_kind} {refusal.other} another name, for a resource of the kubelet has no namespace"
    return Finding(
        Fault.NAME_TAKEN,
        Severity.PROBLEM,
        f"{what} is refused, for its name is taken: {older} has it",
        advice,
        (f"both would be the kubelet resource {refusal.resource}, and resource names have no namespace: the older one keeps it",),
    )


def _told(configuration: Configuration, status: ConfigurationStatus, sight: Sight) -> Iterator[Finding]:
    """Take the controller's word where what it refuses is not to be seen from here."""
    for condition in status.conditions:
        if condition.type != "Accepted" or condition.status or status.generation != configuration.metadata.generation:
            continue
        taken = condition.reason is Reason.NAME_TAKEN
        yield Finding(
            Fault.NAME_TAKEN if taken else Fault.INVALID,
            Severity.PROBLEM,
            f"Configuration {configuration.key} is refused: {condition.message or condition.reason.value}",
            f"Correct it: {sight.where.command('edit', configuration.name, configuration.key)}",
            (f"the controller says so since {when(condition.since, sight.now)}",),
        )


def _not_looked_at(configuration: Configuration, status: ConfigurationStatus | None, sight: Sight) -> Iterator[Finding]:
    age = sight.now - configuration.metadata.created
    if age < _PATIENCE:
        yield Finding(
            Fault.NOT_LOOKED_AT,
            Severity.NOTE,
            f"Configuration {configuration.key} is new: no node has looked for its devices yet",
            "Wait a moment and ask again",
            (f"it was applied {span(age)} ago",),
        )
        return
    start = "akri up" if sight.where.state else "kubectl get pods -A -l app.kubernetes.io/name=akri-agent"
    yield Finding(
        Fault.NOT_LOOKED_AT,
        Severity.PROBLEM,
        f"No node looks for the devices of Configuration {configuration.key}: no agent has reported on it",
        f"Start an agent: {start}{sight.where.options if sight.where.state else ' shows those that there are'}",
        (
            f"it was applied {when(configuration.metadata.created, sight.now)}",
            _nodes(sight),
            "the controller has not looked at it either" if status is None else "the controller has looked at it",
        ),
    )


def _nodes(sight: Sight) -> str:
    nodes = sight.overview.nodes
    ready = sum(node.ready for node in nodes)
    return f"{ready} of {len(nodes)} nodes are ready" if nodes else "no node is known"

"""Why a device is not found: handlers that are missing, fail or refuse, filters that drop everything, devices that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from attrs import frozen

from akri.cli.diagnosis.acceptance import refusals
from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.missing_property import missing_property
from akri.cli.diagnosis.sight import Scope, Sight
from akri.cli.diagnosis.words import denied, listed, when
from akri.cli.text import count
from akri.core.configuration import Configuration
from akri.core.ids import NodeName
from akri.core.reports import DiscoveryReport, HandlerReport, Reason

__all__ = ["discovering"]

_FAULTS: Final = {
    Reason.HANDLER_MISSING: Fault.HANDLER_MISSING,
    Reason.DETAILS_REFUSED: Fault.DETAILS_REFUSED,
    Reason.PROPERTY_MISSING: Fault.PROPERTY_MISSING,
    Reason.NOT_PERMITTED: Fault.NOT_PERMITTED,
    Reason.HANDLER_SILENT: Fault.HANDLER_SILENT,
}
_REGISTERED: Final = re.compile(r"registered: ([^;]*)")
_KEPT: Final = "kept until its grace is over"
_SILENT: Final = "no answer since it was asked"


@frozen
class _Said:
    """What one handler said to one node."""

    node: NodeName
    handler: HandlerReport

    @property
    def fault(self) -> Fault | None:
        """What is wrong with it, None if it answers."""
        handler = self.handler
        if not handler.error:
            silent = not handler.answered_at and handler.message.startswith(_SILENT)
            return Fault.HANDLER_SILENT if silent else None
        if denied(handler.error):
            return Fault.NOT_PERMITTED
        if handler.reason in _FAULTS:
            return _FAULTS[handler.reason]
        return Fault.DISCOVERY_FAILED if handler.endpoint else Fault.HANDLER_MISSING

    @property
    def text(self) -> str:
        """Its own words."""
        return self.handler.error or self.handler.message

    def told(self, now: float) -> str:
        """Give them as evidence."""
        asked = f", asked {when(self.handler.asked_at, now)}" if self.handler.asked_at else ""
        where = f" at {self.handler.endpoint}" if self.handler.endpoint else ""
        return f"node {self.node}, handler {self.handler.name}{where}{asked}: {self.text}"


def discovering(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say what keeps devices from being found."""
    configuration = scope.configuration
    if not isinstance(configuration, Configuration) or any(refusals(scope, sight)):
        return
    said = [_Said(report.node, handler) for report in scope.reports for handler in report.handlers]
    answering = [one for one in said if one.fault is None and one.handler.answered_at > 0]
    unusable = tuple(_unusable(scope, configuration, sight))
    kept = any(report.kept for report in scope.reports)
    found = bool(scope.instances or unusable or kept) or any(one.handler.devices for one in answering)
    groups: dict[Fault, list[_Said]] = {}
    for one in said:
        if one.fault is not None:
            groups.setdefault(one.fault, []).append(one)
    for fault, members in groups.items():
        yield _trouble(fault, members, configuration, sight, partial=bool(answering) and found)
    yield from unusable
    if answering and not found and (scope.whole or not scope.exists):
        yield _nothing(answering, configuration, sight)


def _trouble(fault: Fault, said: Sequence[_Said], configuration: Configuration, sight: Sight, *, partial: bool) -> Finding:
    nodes = listed(dict.fromkeys(one.node for one in said))
    texts = list(dict.fromkeys(one.text for one in said))
    title, advice = _words(fault, nodes, texts, configuration, sight)
    severity = Severity.PROBLEM
    if partial:
        severity = Severity.NOTE if fault is Fault.HANDLER_MISSING else Severity.WARNING
    return Finding(fault, severity, title, advice, [one.told(sight.now) for one in said])


def _words(fault: Fault, nodes: str, texts: Sequence[str], configuration: Configuration, sight: Sight) -> tuple[str, str]:
    key, handler, text = configuration.key, configuration.discovery.handler, texts[0] if texts else ""
    edit = sight.where.command("edit", configuration.name, key)
    match fault:
        case Fault.HANDLER_MISSING:
            title = (
                f"No discovery handler named {handler} is registered on {nodes}: nobody looks for the devices of Configuration {key} there"
            )
            return title, _start(handler, texts, edit)
        case Fault.DETAILS_REFUSED:
            title = f"Discovery handler {handler} refuses the discoveryDetails of Configuration {key}: {text}"
            return title, f"Correct spec.discoveryHandler.discoveryDetails: {edit} (akri discover FILE tries them out)"
        case Fault.PROPERTY_MISSING:
            return missing_property(configuration, text, sight.where)
        case Fault.NOT_PERMITTED:
            title = f"A permission is lacking on {nodes}: discovery handler {handler} of Configuration {key}: {text}"
            return title, _permit(text)
        case Fault.HANDLER_SILENT:
            title = f"Discovery handler {handler} on {nodes} does not answer for Configuration {key}: {text}"
            return title, "Look whether it runs, and start it again; its devices are kept for their grace meanwhile"
        case _:
            title = f"Discovery handler {handler} on {nodes} fails for Configuration {key}: {text}"
            return title, f"Look into the handler's log on {nodes}; akri discover FILE asks it from there"


def _start(handler: str, texts: Iterable[str], edit: str) -> str:
    known = sorted({name.strip() for text in texts for found in _REGISTERED.findall(text) for name in found.split(",")} - {"none", ""})
    near = get_close_matches(handler, known, n=1)
    if near:
        return f"If {near[0]} is meant, change spec.discoveryHandler.name: {edit}"
    others = f"; registered are {listed(known)}" if known else ""
    return f"Start handler {handler} there, with the agent's DISCOVERY_HANDLERS_DIRECTORY, or change its name: {edit}{others}"


def _permit(text: str) -> str:
    if "was refused" in text or "not allowed on this node" in text:
        return "Let the operator allow it in the agent's settings (handler names, host paths and device nodes), or ask for another one"
    path = next(iter(re.findall(r"/(?:dev|sys|run|proc)/[\w./-]+", text)), "")
    look = f"ls -l {path} on that node shows who may; " if path else ""
    return f"{look}add the user that the handler runs as to the group that may, or run it as one that may"


def _unusable(scope: Scope, configuration: Configuration, sight: Sight) -> Iterator[Finding]:
    told = [(report, problem) for report in scope.reports for problem in report.problems if _concerns(problem, scope)]
    for rejected in (True, False):
        problems = [(report, problem) for report, problem in told if denied(problem) is rejected]
        if not problems:
            continue
        nodes = listed(dict.fromkeys(report.node for report, _ in problems))
        first = problems[0][1]
        what = "A permission is lacking" if rejected else "Something cannot be used"
        yield Finding(
            Fault.NOT_PERMITTED if rejected else Fault.DEVICE_UNUSABLE,
            Severity.WARNING if scope.instances else Severity.PROBLEM,
            f"{what} on {nodes}, for Configuration {configuration.key}: {first}",
            _permit(first) if rejected else "Correct what the handler sends, or the device: the text names the place and what was expected",
            [f"{_reported(report, sight)}: {problem}" for report, problem in problems],
        )


def _concerns(problem: str, scope: Scope) -> bool:
    if _KEPT in problem or problem.startswith("spec.deviceUsage"):
        return False
    ids = [one.device_id for one in scope.instances if one.device_id]
    return (
        scope.whole
        or not scope.exists
        or any(repr(id_)[1:-1] in problem for id_ in ids)
        or any(one.name in problem for one in scope.instances)
    )


def _nothing(answering: Sequence[_Said], configuration: Configuration, sight: Sight) -> Finding:
    key, handler = configuration.key, configuration.discovery.handler
    nodes = listed(dict.fromkeys(one.node for one in answering))
    candidates = sum(one.handler.candidates for one in answering)
    dropped: dict[str, int] = {}
    for one in answering:
        for reason, number in one.handler.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + number
    worst = max(dropped, key=lambda reason: (dropped[reason], reason), default="")
    notes = dict.fromkeys(one.handler.message for one in answering if one.handler.message)
    if worst:
        title = (
            f"The filter of Configuration {key} drops everything: of {count(candidates, 'candidate')} that {handler} sees on {nodes}, "
            f"{dropped[worst]} fail at {worst}"
        )
    else:
        title = f"Discovery handler {handler} finds nothing on {nodes} for Configuration {key}: {next(iter(notes), 'it sees no candidate')}"
    edit = sight.where.command("edit", configuration.name, key)
    advice = f"On the node that has the device: akri discover FILE --explain says what turned each device away; then {edit}"
    evidence = [
        f"node {one.node}, handler {one.handler.name}, answered {when(one.handler.answered_at, sight.now)}: "
        f"{count(one.handler.candidates, 'candidate')}, {count(one.handler.devices, 'device')}"
        for one in answering
    ]
    evidence += [f"{number} dropped by {reason}" for reason, number in sorted(dropped.items(), key=lambda item: (-item[1], item[0]))]
    return Finding(Fault.NOTHING_FOUND, Severity.PROBLEM, title, advice, [*evidence, *notes])


def _reported(report: DiscoveryReport, sight: Sight) -> str:
    return f"node {report.node}, {when(report.written_at, sight.now)}"

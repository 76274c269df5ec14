"""Devices that are not seen: those whose grace runs, and those that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from akri.cli.diagnosis.finding import Fault, Finding, Severity
from akri.cli.diagnosis.sight import Scope, Sight
from akri.cli.diagnosis.words import left, when
from akri.cli.text import count
from akri.core.configuration import ANNOTATION_GRACE, Configuration
from akri.core.reports import DiscoveryReport, KeptDevice

__all__ = ["devices", "gone"]

_LATE: Final = 5.0
"""Seconds by which the end of a grace may be behind in a report: clocks differ a little, and giving up takes a moment."""


def devices(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say which devices are kept though nobody sees them, and for how long still."""
    names = {one.name for one in scope.instances}
    for report in scope.reports:
        for kept in report.kept:
            concerned = kept.instance in names or (scope.whole and not kept.instance)
            if concerned and kept.until + _LATE > sight.now:
                yield _kept(kept, report, scope, sight)


def _kept(kept: KeptDevice, report: DiscoveryReport, scope: Scope, sight: Sight) -> Finding:
    rest = kept.until - sight.now
    instance = f"Instance {report.configuration.namespace}/{kept.instance}" if kept.instance else "a device without an Instance"
    device = f"{kept.device_id} ({instance})" if kept.device_id else instance
    still = f"it is kept for another {left(rest)}" if rest > 0 else "its grace is over, and it goes now"
    grace = f"{scope.configuration.grace:g} s" if isinstance(scope.configuration, Configuration) else "a while"
    edit = sight.where.command("edit", report.configuration.name, report.configuration)
    return Finding(
        Fault.DEVICE_KEPT,
        Severity.WARNING,
        f"Device {device} is lost: node {report.node} does not see it, {kept.why}; {still}",
        f"Connect it again within that time and nothing is lost; the annotation {ANNOTATION_GRACE} sets the time: {edit}",
        (
            f"node {report.node}, {when(report.written_at, sight.now)}: {kept.why}, {count(kept.misses, 'answer')} in a row without it",
            f"it is given up at {when(kept.until, sight.now).partition(' (')[0]}; the grace is {grace}",
        ),
    )


def gone(scope: Scope, sight: Sight) -> Iterator[Finding]:
    """Say what became of something that is not there any more, as far as events still tell."""
    if scope.exists:
        return
    told = [past for past in sight.overview.events if past.event.about == scope.key]
    last = told[-1] if told else None
    words = "nobody says why" if last is None else f"{last.event.message}, {when(last.at, sight.now)}"
    about = (
        "akri explain CONFIGURATION"
        if scope.configuration is None
        else sight.where.command("explain", scope.configuration.key.name, scope.key)
    )
    yield Finding(
        Fault.DEVICE_GONE,
        Severity.PROBLEM,
        f"{scope.subject} is gone: {words}",
        f"If its device should be there, connect it and look at what finds it: {about}",
        [f"{when(past.at, sight.now)}, {past.event.reason.value}: {past.event.message}" for past in reversed(told)],
    )

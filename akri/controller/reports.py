"""Which discovery reports say nothing any more: those of lost nodes."""

from __future__ import annotations

from collections.abc import Iterable

from akri.core.reports import DiscoveryReport
from akri.scheduling.snapshot import Snapshot
from akri.scheduling.subject import lost_at
from akri.scheduling.timing import Timing

__all__ = ["outdated"]


def outdated(
    reports: Iterable[DiscoveryReport], snapshot: Snapshot, now: float, timing: Timing, silence: float
) -> tuple[DiscoveryReport, ...]:
    """Choose the reports of lost nodes that had no sign of life for `silence` seconds: the list of nodes may be behind."""
    return tuple(
        report
        for report in reports
        if report.written_at + silence <= now and lost_at(report.node, snapshot.nodes, snapshot.missing, timing) <= now
    )

"""What an examination comes to: one finding for each thing that was looked at, and what to do where it is not well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final

from attrs import frozen

from akri.cli.cells import Style
from akri.cli.tables import Screen
from akri.cli.text import harmless
from akri.core.metadata import JsonObject

__all__ = ["Finding", "Level", "documents", "lines", "ok", "problem", "summary", "warning", "worst"]


class Level(Enum):
    """How well something is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


_STYLES: Final = {Level.OK: Style.GOOD, Level.WARNING: Style.WAITING, Level.PROBLEM: Style.BAD}


@frozen
class Finding:
    """One line: what was looked at, how it is, and what to do, "" if nothing."""

    level: Level
    subject: str
    message: str
    advice: str = ""


def ok(subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, advice: str) -> Finding:
    """It works, but not as well as it could, or not for long."""
    return Finding(Level.WARNING, subject, message, advice)


def problem(subject: str, message: str, advice: str) -> Finding:
    """Something does not work."""
    return Finding(Level.PROBLEM, subject, message, advice)


def worst(findings: Iterable[Finding]) -> Level:
    """Tell the worst of all levels; of nothing, that it is well."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)


def summary(findings: Iterable[Finding]) -> str:
    """Count in a sentence what is not well."""
    levels = [finding.level for finding in findings]
    problems, warnings = levels.count(Level.PROBLEM), levels.count(Level.WARNING)
    if not problems and not warnings:
        return f"all {len(levels)} checks are well"
    return f"{len(levels)} checks: {_counted(problems, 'problem')}, {_counted(warnings, 'warning')}"


def lines(findings: Sequence[Finding], screen: Screen) -> Iterator[str]:
    """Print a line for each finding: level, subject, and how it is; what to do stands behind it."""
    subjects = max((len(finding.subject) for finding in findings), default=0)
    for one in findings:
        level = screen.paint(f"{one.level.value:<7}", _STYLES[one.level])
        advice = f"; {one.advice}" if one.advice else ""
        yield f"{level}  {one.subject:<{subjects}}  {harmless(one.message + advice)}"


def documents(findings: Iterable[Finding]) -> list[JsonObject]:
    """Give findings as JSON documents."""
    return [{"level": one.level.value, "subject": one.subject, "message": one.message, "advice": one.advice} for one in findings]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

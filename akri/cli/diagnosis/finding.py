"""A finding: one fault in plain words, what to do about it, and what shows that it is so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from attrs import evolve, field, frozen

from akri.cli.diagnosis.words import clean

__all__ = ["Fault", "Finding", "Severity", "ordered"]

_MOST: Final = 12
_ALIKE: Final = 10


class Severity(Enum):
    """How bad a finding is, the worst first."""

    PROBLEM = "problem"  # something that was asked for does not work
    WARNING = "warning"  # it works in part, or will end
    NOTE = "note"  # nothing is wrong; it may explain what somebody wonders about


class Fault(Enum):
    """What can be wrong. In the order in which they are told: what causes others comes before what follows from it."""

    NOT_RUNNING = "nothing runs that could look after it"
    INVALID = "the Configuration cannot be used"
    NAME_TAKEN = "another object has the name"
    NOT_LOOKED_AT = "nobody has looked at it"
    NODE_LOST = "a node is lost"
    NODE_SILENT = "a node's agent says nothing"
    HANDLER_MISSING = "the discovery handler is not registered"
    DETAILS_REFUSED = "the discovery handler refuses its details"
    PROPERTY_MISSING = "a Secret or ConfigMap is missing"
    NOT_PERMITTED = "a permission is lacking"
    HANDLER_SILENT = "the discovery handler does not answer"
    DISCOVERY_FAILED = "the discovery handler fails"
    DEVICE_GONE = "the device is gone"
    DEVICE_KEPT = "the device is not seen, and its grace runs"
    DEVICE_UNUSABLE = "what was found cannot be used"
    NOTHING_FOUND = "no device is found"
    BROKER_FAILING = "a broker fails again and again"
    SLOTS_HELD = "all slots are held"
    SLOT_LOST = "a slot in use was lost"
    SLOT_UNREADABLE = "nobody can read who holds a slot"
    BROKER_WAITING = "a broker waits"
    NOTHING = "nothing is wrong"


def _line(text: str) -> str:
    return clean(text)


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    lines = tuple(clean(text) for text in texts if text)
    return (*lines[:_MOST], f"and {len(lines) - _MOST} more") if len(lines) > _MOST else lines


@frozen
class Finding:
    """One thing that is found out.

    title: names the fault and who is concerned. advice: what to do. evidence: who said what, when, with numbers. Each is a line that
    a terminal can print, whatever it was made of.
    """

    fault: Fault
    severity: Severity
    title: str = field(converter=_line)
    advice: str = field(converter=_line)
    evidence: tuple[str, ...] = field(default=(), converter=_lines)


_SEVERITIES: Final = {one: rank for rank, one in enumerate(Severity)}
_FAULTS: Final = {one: rank for rank, one in enumerate(Fault)}


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put the worst first, causes before what follows from them; each once, and only the first few of many that are alike."""
    found = sorted(dict.fromkeys(findings), key=lambda one: (_SEVERITIES[one.severity], _FAULTS[one.fault], one.title))
    kept: dict[tuple[Severity, Fault], list[Finding]] = {}
    for one in found:
        kept.setdefault((one.severity, one.fault), []).append(one)
    return tuple(one for alike in kept.values() for one in _first_of(alike))


def _first_of(alike: Sequence[Finding]) -> Sequence[Finding]:
    """Give the first few, and let the last of them say how many more there are: nobody reads a thousand."""
    if len(alike) <= _ALIKE:
        return alike
    last = alike[_ALIKE - 1]
    more = f"and {len(alike) - _ALIKE} more like this"
    return [*alike[: _ALIKE - 1], evolve(last, evidence=(*last.evidence[: _MOST - 1], more))]

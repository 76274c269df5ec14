"""Times, counts and foreign text in words, fit for a terminal. Pure, and nothing here raises whatever it is given."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from akri.cli.text import harmless

__all__ = ["ago", "clean", "denied", "left", "listed", "span", "when"]

_LONGEST: Final = 400
_DAY: Final = 86_400.0
_DENIED: Final = re.compile(r"permission ?denied|permissionerror|not permitted|not allowed|forbidden|\bEACCES\b|\bEPERM\b", re.IGNORECASE)


def clean(text: str, limit: int = _LONGEST) -> str:
    """Give a text in one line without control characters, cut to `limit` characters: names and errors are written by others."""
    cut = text if len(text) <= limit else f"{text[: limit - 3]}..."
    return harmless(cut.replace("\n", " "))


def denied(text: str) -> bool:
    """Tell whether a text of a handler, a broker or a platform says that a right is lacking."""
    return _DENIED.search(text) is not None


def span(seconds: float) -> str:
    """Say how long something takes or took, in the one unit that fits."""
    if not math.isfinite(seconds):
        return "an unknown time"
    length = max(0.0, seconds)
    for limit, unit, name in ((90.0, 1.0, "s"), (5400.0, 60.0, "min"), (2 * _DAY, 3600.0, "h")):
        if length < limit:
            return f"{length / unit:.0f} {name}"
    return f"{length / _DAY:.0f} days"


def left(seconds: float) -> str:
    """Say how much of a time is left, to the second where that is less than an hour."""
    if not math.isfinite(seconds) or seconds >= 3600:
        return span(seconds)
    minutes, rest = divmod(max(0, math.ceil(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def ago(at: float, now: float) -> str:
    """Say how long ago something was; what lies ahead, for clocks differ, is now."""
    return f"{span(now - at)} ago" if at else "at a time that nobody kept"


def when(at: float, now: float) -> str:
    """Give a time of day, UTC, and how long ago it is."""
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return "at a time that nobody kept"
    if not at:
        return ago(at, now)
    day = f"{moment:%Y-%m-%d} " if abs(now - at) >= _DAY else ""
    return f"{day}{moment:%H:%M:%S} UTC ({ago(at, now)})"


def listed(names: Iterable[object], most: int = 4) -> str:
    """Name the first few, and say how many there are beside them: `a, b and 3 more`."""
    texts: Sequence[str] = [str(name) for name in names]
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return " and ".join(part for part in (", ".join(texts[:-1]), *texts[-1:]) if part)

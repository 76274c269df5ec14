"""Text for people: what may reach a terminal, how wide it is there, how long ago something was. Pure.

What devices, handlers and brokers say is not trusted: no control character of it reaches the terminal.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

__all__ = ["age", "count", "cut", "harmless", "listed", "log_line", "moment", "width"]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY
_STEPS: Final = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (math.inf, _YEAR, "y", 0, ""),
)
_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]{0,40}m)")


def harmless(text: str) -> str:
    """Write control characters, line ends too, in the way that Python does: an escape becomes `x1b` after a backslash."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def log_line(text: str, *, colour: bool) -> str:
    """Make a line that a broker wrote harmless; tabs stay, and with `colour` the sequences that do nothing but colour."""
    parts = _COLOUR.split(text)
    kept = [part if index % 2 and colour else "\t".join(map(harmless, part.split("\t"))) for index, part in enumerate(parts)]
    reset = "\x1b[0m" if colour and len(parts) > 1 else ""
    return "".join(kept) + reset


def width(text: str) -> int:
    """Tell how many columns of a terminal a text takes that is harmless."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int) -> str:
    """Cut a text so that it takes no more than so many columns; what was cut ends in an ellipsis."""
    if width(text) <= columns:
        return text
    kept, used = list[str](), 0
    for c in text:
        used += width(c)
        if used > columns - 1:
            break
        kept.append(c)
    return "".join(kept) + "…"


def age(seconds: float) -> str:
    """Tell how long something lasts as kubectl does: `45s`, `5m10s`, `3h20m`, `12d`. A time to come is `0s`."""
    whole = int(max(seconds, 0))
    _, unit, letter, part, smaller = next(step for step in _STEPS if whole < step[0])
    rest = whole % unit // part if part else 0
    return f"{whole // unit}{letter}" + (f"{rest}{smaller}" if rest else "")


def moment(since: float, now: float) -> str:
    """Tell how long ago a time was, seconds since the epoch; `-` for 0, which stands for never."""
    return age(now - since) if since else "-"


def count(number: int, what: str) -> str:
    """Print `1 device`, `2 devices`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str]) -> str:
    """Print names with commas; `-` for none."""
    return ",".join(names) or "-"

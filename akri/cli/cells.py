"""The cells of tables, as values: a text and what it means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from attrs import frozen

from akri.cli.text import harmless

__all__ = ["Cell", "Row", "Style", "cell"]


class Style(Enum):
    """What a cell means; the value is its colour as terminals have it."""

    PLAIN = ""
    GOOD = "32"
    WAITING = "33"
    BAD = "31"
    NAME = "1"
    QUIET = "2"


@frozen
class Cell:
    """A text in a table, and what it means."""

    text: str
    style: Style = Style.PLAIN


Row: TypeAlias = Sequence[Cell]
"""One line of a table."""


def cell(text: object, style: Style = Style.PLAIN) -> Cell:
    """Make a cell of a text that may come from anywhere; an empty one becomes `-`, so that each column holds something."""
    return Cell(harmless(str(text)) or "-", style)

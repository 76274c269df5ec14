"""Columns as kubectl prints them: all of it in a pipe, coloured and cut to fit on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TextIO

from attrs import frozen

from akri.cli.cells import Cell, Row, Style
from akri.cli.text import cut, width

__all__ = ["Screen", "Table"]

_GAP: Final = 3
_LEAST: Final = 8
_USUAL: Final = 80


@frozen
class Screen:
    """What is printed to. width: columns of the terminal, None for a pipe or a file, to which everything goes whole."""

    width: int | None = None
    colour: bool = False

    @classmethod
    def of(cls, stream: TextIO | None = None) -> Screen:
        """Look at a stream, the standard output if none is named. NO_COLOR and a dumb terminal get no colours."""
        out: TextIO = sys.stdout if stream is None else stream
        if not out.isatty():
            return cls()
        colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"
        return cls(_columns(out), colour)

    def paint(self, text: str, style: Style) -> str:
        """Colour a text."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self.colour and style.value else text


class Table:
    """A table whose lines may come in several parts: its columns grow with them, and never shrink."""

    def __init__(self, header: Sequence[str], screen: Screen) -> None:
        """Take the names of the columns."""
        self._header = [Cell(name, Style.QUIET) for name in header]
        self._screen = screen
        self._widths = [len(name) for name in header]

    def lines(self, rows: Iterable[Row], *, heading: bool = True) -> Iterator[str]:
        """Print rows, the names of the columns before them."""
        rows = [self._header, *rows] if heading else list(rows)
        for row in rows:
            self._widths = [max(known, width(one.text)) for known, one in zip(self._widths, row, strict=True)]
        widths = self._fitting()
        yield from (self._line(row, widths) for row in rows)

    def _fitting(self) -> list[int]:
        """Take from the widest columns until all fit; the first one, a name, is never cut."""
        widths = list(self._widths)
        if self._screen.width is None:
            return widths
        excess = sum(widths) + _GAP * (len(widths) - 1) - self._screen.width
        while excess > 0 and len(widths) > 1:
            widest = max(range(1, len(widths)), key=lambda index: widths[index])
            if widths[widest] <= _LEAST:
                break
            widths[widest] -= 1
            excess -= 1
        return widths

    def _line(self, row: Row, widths: Sequence[int]) -> str:
        parts: list[str] = []
        for index, (one, columns) in enumerate(zip(row, widths, strict=True)):
            text = cut(one.text, columns)
            last = index == len(row) - 1
            parts.append(self._screen.paint(text, one.style) + ("" if last else " " * (columns - width(text))))
        return (" " * _GAP).join(parts)


def _columns(stream: TextIO) -> int:
    """Ask COLUMNS, as every program does, and then the terminal. (`shutil` could, but is slow to load.)"""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    return _USUAL

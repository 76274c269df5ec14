"""Columns: whole in a pipe, fitted and coloured on a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.cli.cells import Style, cell
from akri.cli.tables import Screen, Table
from akri.cli.text import width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(screen: Screen, *rows: tuple[str, ...]) -> list[str]:
    return list(Table(("NAME", "VALUE"), screen).lines([[cell(text) for text in row] for row in rows]))


def test_columns_are_as_wide_as_their_widest_cell_and_three_apart() -> None:
    assert lines(Screen(), ("a", "long value"), ("longer", "")) == ["NAME     VALUE", "a        long value", "longer   -"]


def test_a_pipe_gets_everything_whole() -> None:
    assert lines(Screen(), ("n", "x" * 500))[1].endswith("x" * 500)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=5), st.integers(40, 120))
def test_on_a_terminal_lines_fit_where_names_leave_room(rows: list[tuple[str, str]], columns: int) -> None:
    longest = max((width(cell(name).text) for name, _ in rows), default=0)
    if longest + 3 + 8 <= columns:
        assert all(width(line) <= columns for line in lines(Screen(columns), *rows))


def test_names_are_never_cut() -> None:
    assert lines(Screen(20), ("n" * 30, "value " * 5))[1].startswith("n" * 30)


def test_a_table_goes_on_with_the_same_columns() -> None:
    table = Table(("NAME", "VALUE"), Screen())
    first = list(table.lines([[cell("longer"), cell("1")]]))

    assert list(table.lines([[cell("a"), cell("2")]], heading=False)) == ["a        2"]
    assert first[1] == "longer   1"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "77")

    assert Screen.of(io.StringIO()) == Screen()
    assert Screen.of(Terminal()) == Screen(77, colour=True)
    assert Screen(80, colour=True).paint("x", Style.BAD) == "\x1b[31mx\x1b[0m"
    assert Screen(80).paint("x", Style.BAD) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen.of(Terminal()) == Screen(77)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen.of(Terminal()).colour


def test_painted_cells_keep_their_columns() -> None:
    table = Table(("A", "B"), Screen(80, colour=True))
    plain = [
        line.replace("\x1b[31m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        for line in table.lines([[cell("xx", Style.BAD), cell("y")]])
    ]

    assert plain == ["A    B", "xx   y"]

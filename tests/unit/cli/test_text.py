"""Texts for terminals: harmless, of a known width, and ages as kubectl prints them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.cli.text import age, count, cut, harmless, listed, log_line, moment, width


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert harmless(text).isprintable()
    assert "\x1b" not in log_line(text, colour=False)
    assert all(part.isprintable() for part in log_line(text, colour=False).split("\t"))


def test_what_is_harmless_stays() -> None:
    assert harmless("Größe 大 a b") == "Größe 大 a b"
    assert harmless("a\x1b[31mb\nc\x9b\u202e") == "a\\x1b[31mb\\nc\\x9b\\u202e"


def test_colours_of_a_log_stay_on_a_terminal_alone() -> None:
    assert log_line("\x1b[31mred\x1b[2J\there", colour=True) == "\x1b[31mred\\x1b[2J\there\x1b[0m"
    assert log_line("\x1b[31mred", colour=False) == "\\x1b[31mred"
    assert log_line("plain", colour=True) == "plain"


@given(st.text(st.characters(exclude_categories=["C", "Z"])), st.integers(1, 40))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    assert width(cut(text, columns)) <= columns
    assert cut(text, width(text)) == text


def test_wide_characters_count_twice() -> None:
    assert (width("abc"), width("大大"), width("e\u0301")) == (3, 4, 1)
    assert cut("大大大", 5) == "大大…"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (310, "5m10s"),
        (3600, "60m"),
        (3 * 3600 + 60, "3h1m"),
        (20 * 3600 + 59, "20h"),
        (2 * 86400 + 3600, "2d1h"),
        (40 * 86400, "40d"),
        (3 * 365 * 86400 + 86400, "3y1d"),
        (20 * 365 * 86400, "20y"),
    ],
)
def test_ages_are_those_of_kubectl(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_small_words() -> None:
    assert (moment(0, 100), moment(40, 100)) == ("-", "60s")
    assert (count(1, "device"), count(2, "device")) == ("1 device", "2 devices")
    assert (listed([]), listed(["a", "b"])) == ("-", "a,b")

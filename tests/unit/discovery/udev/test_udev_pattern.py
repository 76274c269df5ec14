"""Patterns mean what udev(7) says, whatever characters they hold, and never take exponential time."""

from __future__ import annotations

import ctypes
import platform
import time

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core.errors import InvalidValueError
from akri.discovery.udev.pattern import Pattern

VALUES = st.text("ab09-]^!/.[\\\\", max_size=6)
LETTERS = "ab0-]^!/."


@frozen
class Piece:
    """A piece of a pattern: its text, and what it stands for: any number of characters, or one of `one`."""

    text: str
    many: bool = False
    one: str = ""
    negated: bool = False

    def takes(self, character: str) -> bool:
        return (character in self.one) != self.negated


def bracket(characters: str, sign: str) -> Piece:
    # Inside brackets ']' stands first, '-' last, and a sign never first, so that each means itself.
    ordered = "".join(sorted(set(characters), key=lambda c: {"]": 0, "-": 3, "!": 2, "^": 2}.get(c, 1)))
    if ordered[0] in "!^":
        ordered = f"z{ordered}"
    return Piece(f"[{sign}{ordered}]", one=ordered, negated=bool(sign))


PIECES = st.one_of(
    st.sampled_from(LETTERS).map(lambda c: Piece(c, one=c)),
    st.sampled_from("*?[\\a").map(lambda c: Piece(f"\\{c}", one=c)),
    st.just(Piece("*", many=True)),
    st.just(Piece("?", negated=True)),
    st.builds(bracket, st.text(LETTERS, min_size=1, max_size=4), st.sampled_from(["", "!", "^"])),
    st.just(Piece("[0-9]", one="0123456789")),
    st.just(Piece("[!a-b]", one="ab", negated=True)),
)


def naive(pieces: list[Piece], value: str) -> bool:
    if not pieces:
        return not value
    first, rest = pieces[0], pieces[1:]
    if first.many:
        return any(naive(rest, value[index:]) for index in range(len(value) + 1))
    return bool(value) and first.takes(value[0]) and naive(rest, value[1:])


@given(st.lists(PIECES, max_size=6), st.text(LETTERS + "*?[\\z", max_size=7))
def test_agrees_with_a_naive_matcher(pieces: list[Piece], value: str) -> None:
    wildcard = Piece("*", many=True)  # makes sure that a backslash is read as one
    text = "".join(piece.text for piece in [*pieces, wildcard])
    assert Pattern(text).matches(value) == naive([*pieces, wildcard], value)


@given(st.text(alphabet="ab\\-!]^ |", max_size=8), st.text(alphabet="ab\\-!]^ ", max_size=8))
def test_without_a_wildcard_alternatives_are_compared_as_they_are(text: str, value: str) -> None:
    pattern = Pattern(text)
    assert pattern.matches(value) == (value in text.split("|"))
    assert all(pattern.matches(part) for part in text.split("|"))


@given(st.text(alphabet="a*?[]!^-:|\\", max_size=10), st.text(max_size=5))
def test_no_text_escapes_as_another_error(text: str, value: str) -> None:
    refused = False
    try:
        Pattern(text).matches(value)
    except InvalidValueError as error:
        refused = "']'" in str(error)
    assert not refused or "[" in text


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("video*|vbi*", ["video0", "vbi", "video"], ["xvideo", "", "media"]),
        ("video[0-9]", ["video7"], ["video", "video10", "videox"]),
        ("?*", ["a", "ab"], [""]),
        ("", [""], ["a"]),
        ("a|", ["a", ""], ["b"]),
        ("*demo*", ["/srv/demo.img", "demo"], ["dem"]),
        ("[]a]*", ["]", "ab"], ["b"]),
        ("[!]a]", ["b"], ["]", "a"]),
        ("USB\\x20Camera", ["USB\\x20Camera"], ["USBx20Camera"]),
        (".*", [".x"], ["x"]),
    ],
)
def test_examples(text: str, matching: list[str], other: list[str]) -> None:
    pattern = Pattern(text)
    assert [value for value in matching + other if pattern.matches(value)] == matching


@pytest.mark.parametrize("text", ["[", "video[0-9", "[a|b]", "[!]", "[]", "[[:foo:]]", "[[.a.]]", "a*["])
def test_an_open_bracket_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"expected '\[' with its '\]'"):
        Pattern(text)


def test_patterns_with_one_text_are_equal() -> None:
    assert Pattern("a*") == Pattern("a*")
    assert Pattern("a*") != Pattern("b*")
    assert repr(Pattern("a*")) == "Pattern(text='a*')"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("*a" * 40 + "b", "a" * 4000),
        ("*a" * 511 + "b", "a" * 4096),
        ("*" + "?" * 1000 + "b", "a" * 4096),
        ("*[!b]" * 200 + "b", "a" * 4096),
        ("*" * 1000 + "b", "a" * 4096),
        ("|".join(["*a*"] * 4000), "b" * 4096),
    ],
)
def test_no_pattern_takes_long(text: str, value: str) -> None:
    began = time.process_time()
    assert not Pattern(text).matches(value)
    assert time.process_time() - began < 2


ASCII = "ab09-]^!/.[*?\\:|"
FNMATCH = ctypes.CDLL(None).fnmatch


def library_matches(text: str, value: str) -> bool:
    """What udev does: alternatives between bars, an empty one for the empty value, the others through the C library."""
    parts = text.split("|")
    if not any(character in text for character in "*?["):
        return value in parts
    return any(FNMATCH(part.encode(), value.encode(), 0) == 0 if part else not value for part in parts)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="udev runs on glibc, whose fnmatch is asked")
@given(
    st.text(ASCII, max_size=10) | st.lists(st.sampled_from(["[a-b]", "[!", "[[:digit:]", "]", "*", "\\", "a", "-"])).map("".join), VALUES
)
@settings(max_examples=1000)
def test_agrees_with_the_c_library(text: str, value: str) -> None:
    try:
        pattern = Pattern(text)
    except InvalidValueError:
        return
    assert pattern.matches(value) == library_matches(text, value)


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("[[:digit:]]", ["7"], ["a", ""]),
        ("[![:alpha:]_]", ["7"], ["a", "_"]),
        ("[a\\]b]", ["]", "a"], ["\\"]),
        ("[b-a]*", [], ["b", "a"]),
        ("[!b-a]", ["b"], [""]),
        ("a\\", ["a\\"], ["a"]),
        ("*|a\\", ["a\\", ""], []),
        ("a\\|[b]", ["b"], ["a\\", "a"]),
        ("??", ["\u00e9"], ["a", "\u20ac"]),
        ("[\u00e9]*", ["\u00e9"], ["e"]),
    ],
)
def test_corners(text: str, matching: list[str], other: list[str]) -> None:
    pattern = Pattern(text)
    assert [value for value in matching + other if pattern.matches(value)] == matching


def test_bytes_that_are_no_text_are_compared_too() -> None:
    value = b"\xffcam".decode("utf-8", "surrogateescape")
    assert Pattern("?cam").matches(value)
    assert Pattern(value).matches(value)
    assert not Pattern("cam").matches(value)

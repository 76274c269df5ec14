"""Patterns of udev rules, as udev(7) describes them: `*`, `?`, `[..]` and `|` between alternatives. Pure.

They mean what glibc's fnmatch(3) makes of them in the C locale, in which udev runs: bytes are compared, not characters.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from akri.core.errors import InvalidValueError

__all__ = ["MAXIMUM_WILDCARDS", "Pattern"]

MAXIMUM_WILDCARDS: Final = 1024
"""Bytes of an alternative with wildcards: the time to compare it grows with its length and with the value's."""
_BLANKS: Final = b" \t\n\v\f\r"
_WILDCARDS: Final = frozenset(b"*?[")
_TOKEN: Final = re.compile(rb"\\(?P<escaped>.)|(?P<wildcard>[*?[])|(?P<plain>[^*?[\\]+)", re.DOTALL)
_MEMBER: Final = re.compile(
    rb"""(?P<collating>\[[=.]) | \[:(?P<name>[a-y]*):\]
       | (?:\\(?P<escaped>.)|(?P<first>[^\\])) (?:-(?!\])(?:\\(?P<escaped_last>.)|(?P<last>[^\\])))?""",
    re.VERBOSE | re.DOTALL,
)
_NEVER: Final = rb"(?!)"


def _class(ranges: str) -> frozenset[int]:
    pairs = zip(ranges[::2], ranges[1::2], strict=True)
    return frozenset(code for first, last in pairs for code in range(ord(first), ord(last) + 1))


_CLASSES: Final = {
    b"alnum": _class("09AZaz"),
    b"alpha": _class("AZaz"),
    b"blank": _class("  \t\t"),
    b"cntrl": _class("\0\x1f\x7f\x7f"),
    b"digit": _class("09"),
    b"graph": _class("!~"),
    b"lower": _class("az"),
    b"print": _class(" ~"),
    b"punct": _class("!/:@[`{~"),
    b"space": _class("\t\r  "),
    b"upper": _class("AZ"),
    b"xdigit": _class("09AFaf"),
}


class _UnreadableError(Exception):
    """A bracket that fnmatch would read in a way that nobody means."""


def _bracket(text: bytes, start: int) -> tuple[bytes, int]:
    """Read a bracket expression that begins at `start`, behind its '['; give it as a regular expression, and where it ends."""
    position = start + 1 if text[start : start + 1] in {b"!", b"^"} else start
    negated, first, members = position > start, position, set[int]()
    while position == first or text[position : position + 1] != b"]":
        found = _MEMBER.match(text, position)
        if found is None or found["collating"] is not None:
            raise _UnreadableError
        members |= _members(found)
        position = found.end()
    if not members:
        return (b"." if negated else _NEVER), position + 1
    return b"[" + (b"^" if negated else b"") + _ranges(sorted(members)) + b"]", position + 1


def _ranges(codes: list[int]) -> bytes:
    """Write codes as ranges: patterns with many brackets would take long to compile otherwise."""
    pieces: list[bytes] = []
    first = last = codes[0]
    for code in [*codes[1:], -1]:
        if code != last + 1:
            pieces.append(b"\\x%02x" % first if first == last else b"\\x%02x-\\x%02x" % (first, last))
            first = code
        last = code
    return b"".join(pieces)


def _members(found: re.Match[bytes]) -> frozenset[int]:
    if found["name"] is not None:
        if found["name"] not in _CLASSES:
            raise _UnreadableError
        return _CLASSES[found["name"]]
    first = (found["escaped"] or found["first"])[0]
    last = found["escaped_last"] or found["last"]
    return frozenset(range(first, last[0] + 1)) if last else frozenset({first})


def _segments(text: bytes) -> list[bytes]:
    """Turn an alternative into regular expressions of fixed length, between which stars stand."""
    segments, position = [b""], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:  # a backslash at the end, which fnmatch compares with nothing
            return [_NEVER]
        position = found.end()
        if found["wildcard"] is None:
            segments[-1] += re.escape(found["escaped"] or found["plain"])
        elif found["wildcard"] == b"[":
            piece, position = _bracket(text, position)
            segments[-1] += piece
        elif found["wildcard"] == b"?":
            segments[-1] += b"."
        else:
            segments.append(b"")
    return segments


def _compile(text: bytes) -> re.Pattern[bytes]:
    """Turn an alternative into a regular expression that never looks back over a star: no exponential time."""
    segments = _segments(text)
    middle = b"".join(b"(?>.*?" + segment + b")" for segment in segments[1:-1] if segment)
    last = b".*" + segments[-1] if len(segments) > 1 else b""
    return re.compile(segments[0] + middle + last, re.DOTALL)


@frozen
class Pattern:
    """A pattern and its compiled alternatives; two patterns with the same text are equal.

    Without a wildcard anywhere the alternatives are compared as they are; beside one, a backslash takes the next character's
    meaning away. Raises InvalidValueError for a bracket that is not closed and for more than MAXIMUM_WILDCARDS bytes.
    """

    text: str
    keeps_blanks: bool = field(init=False, eq=False, repr=False)
    """Whether blanks at the end of an attribute count; udev looks at the end of the first alternative."""
    _plain: frozenset[bytes] = field(init=False, eq=False, repr=False)
    _globs: tuple[re.Pattern[bytes], ...] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Compile once, when the rule is parsed."""
        try:
            text = self.text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise InvalidValueError("pattern", self.text, "characters that UTF-8 can hold") from error
        parts = text.split(b"|")
        wild = not _WILDCARDS.isdisjoint(text)
        first = next((part for part in parts if part), b"")
        object.__setattr__(self, "keeps_blanks", not first or first[-1] in _BLANKS)
        object.__setattr__(self, "_plain", frozenset(part for part in parts if not part or not wild))
        object.__setattr__(self, "_globs", tuple(self._glob(part) for part in parts if part and wild))

    def matches(self, value: str) -> bool:
        """Tell whether the whole value matches one of the alternatives. Lone surrogates stand for bytes that are no UTF-8."""
        content = value.encode("utf-8", "surrogateescape")
        return content in self._plain or any(glob.fullmatch(content) for glob in self._globs)

    def _glob(self, part: bytes) -> re.Pattern[bytes]:
        if len(part) > MAXIMUM_WILDCARDS:
            raise InvalidValueError("pattern", self.text, f"at most {MAXIMUM_WILDCARDS} bytes in an alternative, with wildcards")
        try:
            return _compile(part)
        except _UnreadableError as error:
            expected = "'[' with its ']' in the same alternative, and of the named classes [:digit:] and the like only those of C"
            raise InvalidValueError("pattern", self.text, expected) from error

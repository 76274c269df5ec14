"""Patterns of udev rules, as udev(7) describes them: `*`, `?`, `[..]` and `|` between alternatives. Pure."""

from __future__ import annotations

import fnmatch
import re
from typing import Final

from attrs import field, frozen

from akri.core.errors import InvalidValueError

__all__ = ["Pattern"]

_WILDCARD: Final = re.compile(r"[*?[]")
_PIECE: Final = re.compile(r"\\(?P<escaped>.)|\[(?P<negated>[!^]?+)(?P<set>[^]]+|\][^]]*)\]|(?P<plain>.)", re.DOTALL)


def _compile(text: str) -> re.Pattern[str]:
    """Turn one alternative into a regular expression that needs no exponential time (fnmatch's, by construction)."""
    if not _WILDCARD.search(text):
        return re.compile(re.escape(text))
    pieces: list[str] = []
    for piece in _PIECE.finditer(text):
        escaped, inside, plain = piece["escaped"], piece["set"], piece["plain"]
        if plain == "[" or (inside is not None and "[:" in inside):
            expected = "'[' with its ']' in the same alternative, and no named class such as [:digit:]"
            raise InvalidValueError("pattern", text, expected)
        if inside is not None:
            pieces.append(f"[{'!' if piece['negated'] else ''}{inside}]")
        elif escaped is not None:
            pieces.append(f"[{escaped}]" if _WILDCARD.match(escaped) else escaped)
        else:
            pieces.append(plain)
    return re.compile(fnmatch.translate("".join(pieces)))


@frozen
class Pattern:
    """A pattern and its compiled alternatives; two patterns with the same text are equal.

    Without a wildcard an alternative is compared as it is; beside one, a backslash takes the next character's meaning away.
    Raises InvalidValueError for a bracket that is not closed.
    """

    text: str
    _alternatives: tuple[re.Pattern[str], ...] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Compile once, when the rule is parsed."""
        object.__setattr__(self, "_alternatives", tuple(_compile(part) for part in self.text.split("|")))

    def matches(self, value: str) -> bool:
        """Tell whether the whole value matches one of the alternatives."""
        return any(alternative.fullmatch(value) for alternative in self._alternatives)

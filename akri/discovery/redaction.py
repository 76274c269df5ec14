"""Takes secrets out of what a handler says: its errors and reports go to logs, reports and events, and it knows passwords (T3)."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

__all__ = ["Redaction"]

_SHORTEST: Final = 4
"""Bytes of the shortest value that is looked for: what is shorter occurs in any text."""
_LONGEST_TRACE: Final = 8000
_INSTEAD: Final = "<secret>"


class Redaction:
    """Replaces each of these values in texts, also as a URL, Base64 or a Python literal has it."""

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        """Take the values, which are never printed."""
        forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for form in self._forms:
            text = text.replace(form, _INSTEAD)
        return text

    def trace(self, error: BaseException) -> str:
        """Print an exception with its frames, without them."""
        return self("".join(traceback.format_exception(error)))[-_LONGEST_TRACE:]


def _forms(value: bytes) -> Iterable[str]:
    text = value.decode(errors="replace")
    trimmed = text.strip()
    shown = repr(value)[2:-1], repr(text)[1:-1], base64.b64encode(value).decode()
    yield from (form for form in (text, trimmed, quote(trimmed, safe=""), *shown) if len(form) >= _SHORTEST)

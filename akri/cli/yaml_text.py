"""JSON values as YAML text that people like to edit: block style, long texts as they are written. Pure, and fast.

A reader of YAML 1.1 or 1.2 gets the same values back. What is not printable is escaped, so a terminal is safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from akri.core.metadata import Json

__all__ = ["yaml_text"]

_PLAIN: Final = re.compile(r"[A-Za-z/_.][A-Za-z0-9_./=@+-]*(?: [A-Za-z0-9_./=@+(-][A-Za-z0-9_./=@+()-]*)*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", ".nan", ".inf", "="})
_NUMBER: Final = re.compile(r"[-+.0-9]", re.ASCII)


def yaml_text(value: Json) -> str:
    """Print a value as a YAML document."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Json, indent: str) -> Iterator[str]:
    match value:
        case Mapping() if value:
            for name, item in value.items():
                yield from _entry(f"{indent}{_scalar(name)}:", item, f"{indent}  ", is_list_aligned=True)
        case str() | None | bool() | int() | float():
            yield f"{indent}{_scalar(value)}"
        case Sequence() if value:
            for item in value:
                yield from _item(item, indent)
        case _:
            yield f"{indent}{'{}' if isinstance(value, Mapping) else '[]'}"


def _entry(head: str, item: Json, deeper: str, *, is_list_aligned: bool) -> Iterator[str]:
    if isinstance(item, str):
        yield from _text(head, item, deeper)
    elif isinstance(item, Mapping) and item:
        yield head
        yield from _lines(item, deeper)
    elif isinstance(item, Sequence) and item:
        yield head
        yield from _lines(item, deeper[:-2] if is_list_aligned else deeper)
    else:
        yield f"{head} {next(iter(_lines(item, '')))}"


def _item(item: Json, indent: str) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        first, *rest = _lines(item, f"{indent}  ")
        yield f"{indent}- {first[len(indent) + 2 :]}"
        yield from rest
    else:
        yield from _entry(f"{indent}-", item, f"{indent}  ", is_list_aligned=False)


def _text(head: str, text: str, deeper: str) -> Iterator[str]:
    """Print a text of several lines as a block, if it can stand there as it is."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    if len(lines) > 1 and plain and lines[0] and lines[-1] and not lines[0].startswith(" "):
        yield f"{head} |" if text.endswith("\n") else f"{head} |-"
        yield from (f"{deeper}{line}" if line else "" for line in lines)
    else:
        yield f"{head} {_scalar(text)}"


def _scalar(value: Json) -> str:
    return _scalar_text(value) if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1024)  # names of fields come again and again
def _scalar_text(text: str) -> str:
    return text if _is_plain(text) else _quoted(text)


def _is_plain(text: str) -> bool:
    """Whether no reader takes the bare word for anything but this text."""
    return text.isascii() and bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS and not _NUMBER.match(text)


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and "'" not in text:
        return f"'{text}'"
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(text, ensure_ascii=False))


def _escaped(c: str) -> str:
    code = ord(c)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

"""JSON values as YAML text that people like to edit: block style, long texts as they are written. Pure, and fast.

A reader of YAML 1.1 or 1.2 gets the same values back. What is not printable is escaped, so a terminal is safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from akri.core.metadata import Json

__all__ = ["yaml_text"]

_PLAIN: Final = re.compile(r"[A-Za-z/_.][A-Za-z0-9_./=@+-]*(?: [A-Za-z0-9_./=@+(-][A-Za-z0-9_./=@+()-]*)*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", ".nan", ".inf", "="})
_NUMBER: Final = re.compile(r"[-+.0-9]", re.ASCII)


def yaml_text(value: Json) -> str:
    """Print a value as a YAML document."""
    out: list[str] = []
    _write(value, "", out)
    return "\n".join(out) + "\n"


def _write(value: Json, indent: str, out: list[str]) -> None:
    match value:
        case Mapping() if value:
            deeper = f"{indent}  "
            for name, item in value.items():
                _entry(f"{indent}{_scalar_text(name)}:", item, deeper, indent, out)
        case str() | None | bool() | int() | float():
            out.append(f"{indent}{_scalar(value)}")
        case Sequence() if value:
            for item in value:
                _item(item, indent, out)
        case _:
            out.append(f"{indent}{'{}' if isinstance(value, Mapping) else '[]'}")


def _entry(head: str, item: Json, deeper: str, lists: str, out: list[str]) -> None:
    """Write what stands behind a name or a dash; `lists` is the indent of a list below it."""
    match item:
        case str():
            _text(head, item, deeper, out)
        case Mapping() if item:
            out.append(head)
            _write(item, deeper, out)
        case Mapping():
            out.append(f"{head} {{}}")
        case None | bool() | int() | float():
            out.append(f"{head} {_scalar(item)}")
        case Sequence() if item:
            out.append(head)
            _write(item, lists, out)
        case _:
            out.append(f"{head} []")


def _item(item: Json, indent: str, out: list[str]) -> None:
    deeper = f"{indent}  "
    if isinstance(item, Mapping) and item:
        first = len(out)
        _write(item, deeper, out)
        out[first] = f"{indent}- {out[first][len(deeper) :]}"
    else:
        _entry(f"{indent}-", item, deeper, deeper, out)


def _text(head: str, text: str, deeper: str, out: list[str]) -> None:
    """Print a text of several lines as a block, if it can stand there as it is."""
    if "\n" in text and _is_block(lines := text.removesuffix("\n").split("\n")):
        out.append(f"{head} |" if text.endswith("\n") else f"{head} |-")
        out += [f"{deeper}{line}" if line else "" for line in lines]
    else:
        out.append(f"{head} {_scalar_text(text)}")


def _is_block(lines: list[str]) -> bool:
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    return len(lines) > 1 and plain and bool(lines[0] and lines[-1]) and not lines[0].startswith(" ")


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

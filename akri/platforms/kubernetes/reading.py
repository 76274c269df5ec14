"""Single fields of objects that the API server hands out. It has checked their types, so what is not there is simply empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from akri.core.metadata import Json, JsonObject

__all__ = ["items", "members", "seconds", "text", "texts"]


def members(value: Json) -> JsonObject:
    """Return an object as it is, and anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Json) -> Iterator[JsonObject]:
    """Go through the objects in a list; anything else has none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))


def text(value: Json) -> str:
    """Return a text as it is, and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: Json) -> tuple[str, ...]:
    """Return the texts in a list; anything else has none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(item for item in value if isinstance(item, str))
    return ()


def seconds(value: Json) -> float:
    """Read a time as RFC 3339 has it, in seconds since the epoch; 0 where there is none."""
    try:
        moment = datetime.fromisoformat(text(value))
    except ValueError:
        return 0.0
    return 0.0 if moment.tzinfo is None else moment.timestamp()

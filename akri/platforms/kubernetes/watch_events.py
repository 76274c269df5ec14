"""What comes over a watch, from bytes to values: lines of JSON, each an event. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import frozen

from akri.core.errors import AkriError, short
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.api_errors import status_error

__all__ = [
    "Bookmark",
    "BrokenWatchError",
    "Changed",
    "Identity",
    "Lines",
    "Removed",
    "WireEvent",
    "identity_of",
    "parse_event",
    "revision_of",
]

_LONGEST_LINE: Final = 16 * 1024 * 1024  # the server takes objects of up to 3 MiB


class BrokenWatchError(AkriError):
    """What came is not what the Kubernetes API sends; nothing that follows on the same connection can be trusted."""


@frozen
class Identity:
    """Which object, and which state of it. revision: the resourceVersion as a number (KEP-5504)."""

    key: ObjectKey
    uid: str
    revision: int


@frozen
class Changed:
    """ADDED or MODIFIED: the object's present state."""

    identity: Identity
    document: JsonObject


@frozen
class Removed:
    """DELETED; the revision of the identity is that of the deletion."""

    identity: Identity


@frozen
class Bookmark:
    """Everything up to this revision was sent."""

    revision: int


WireEvent: TypeAlias = Changed | Removed | Bookmark
"""An event of a watch that is no error."""


class Lines:
    """Puts lines together from pieces that end anywhere."""

    def __init__(self, longest: int = _LONGEST_LINE) -> None:
        """Take how many bytes a line may have."""
        self._longest = longest
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Take in the next piece and return the lines that it ends, without empty ones. Raises BrokenWatchError for one too long."""
        *ended, rest = piece.split(b"\n")
        if ended:
            ended[0] = b"".join((*self._rest, ended[0]))
            self._rest, self._size = [], 0
        self._rest.append(rest)
        self._size += len(rest)
        if self._size > self._longest or any(len(line) > self._longest for line in ended):
            message = f"a line of a watch has more than {self._longest} bytes"
            raise BrokenWatchError(message)
        return [line for line in ended if line.strip()]

    @property
    def complete(self) -> bool:
        """Whether no line has begun without an end."""
        return self._size == 0


def parse_event(line: bytes) -> WireEvent:
    """Read one line. Raises the ApiStatusError that an ERROR event carries, and BrokenWatchError for anything unknown."""
    try:
        event: Json = json.loads(line)
    except (ValueError, RecursionError) as error:
        message = f"a line of a watch is no JSON: {short(line)}"
        raise BrokenWatchError(message) from error
    kind = event.get("type") if isinstance(event, Mapping) else None
    document = event.get("object") if isinstance(event, Mapping) else None
    if not isinstance(document, Mapping):
        message = f"a line of a watch is no event: {short(line)}"
        raise BrokenWatchError(message)
    match kind:
        case "ADDED" | "MODIFIED":
            return Changed(identity_of(document), document)
        case "DELETED":
            return Removed(identity_of(document))
        case "BOOKMARK":
            return Bookmark(revision_of(document))
        case _:
            raise status_error(document, 500) or BrokenWatchError(f"a watch sent an event of type {short(kind)}: {short(document)}")


def identity_of(document: JsonObject) -> Identity:
    """Tell which object this is, and which state. Raises BrokenWatchError without name, uid or resourceVersion."""
    metadata = document.get("metadata")
    match metadata:
        case {"name": str(name), "uid": str(uid), **others} if name:
            namespace = others.get("namespace")
            return Identity(ObjectKey(namespace if isinstance(namespace, str) else "", name), uid, revision_of(document))
        case _:
            message = f"an object has no name or no uid: {short(metadata)}"
            raise BrokenWatchError(message)


def revision_of(document: JsonObject) -> int:
    """Read the resourceVersion of an object, a bookmark or a list. Raises BrokenWatchError if it is not a number above 0."""
    metadata = document.get("metadata")
    text = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    if isinstance(text, str) and text.isascii() and text.isdecimal() and int(text):
        return int(text)
    message = f"a resourceVersion is not a number: {short(text)}"
    raise BrokenWatchError(message)

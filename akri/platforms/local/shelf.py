"""Stored objects of one kind, by key and by owner, and what the code that changes them asks of whatever holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from akri.core.ids import ObjectKey

__all__ = ["Entry", "Rows", "Shelf", "no_owners"]

_T = TypeVar("_T")
_V_co = TypeVar("_V_co", covariant=True)


def no_owners(_value: object) -> tuple[str, ...]:
    """Say that an object goes with nobody."""
    return ()


@frozen
class Entry(Generic[_V_co]):
    """A stored object; `revision` is that of its last change."""

    key: ObjectKey
    uid: str
    revision: int
    value: _V_co


class Rows(Protocol[_T]):
    """Objects of one kind, as a change reads and writes them."""

    def get(self, key: ObjectKey) -> Entry[_T] | None:
        """Return the object under this key."""
        ...

    def entries(self) -> tuple[Entry[_T], ...]:
        """Return all objects."""
        ...

    def owned(self, owner: str) -> tuple[Entry[_T], ...]:
        """Return the objects that go with the owner of this uid."""
        ...

    def put(self, entry: Entry[_T]) -> None:
        """Store an object in place of the former one."""
        ...

    def remove(self, key: ObjectKey, revision: int) -> None:
        """Delete the object under this key, if there is one; `revision` is that of the deletion."""
        ...


class Shelf(Generic[_T]):
    """Objects in memory. Not thread-safe."""

    def __init__(self, owners: Callable[[_T], Iterable[str]] = no_owners) -> None:
        """Take what tells the uids of those that an object goes with."""
        self._owners = owners
        self._entries: dict[ObjectKey, Entry[_T]] = {}
        self._owned: dict[str, dict[ObjectKey, None]] = {}

    def __len__(self) -> int:
        """Tell how many objects there are."""
        return len(self._entries)

    def get(self, key: ObjectKey) -> Entry[_T] | None:
        """Return the object under this key."""
        return self._entries.get(key)

    def entries(self) -> tuple[Entry[_T], ...]:
        """Return all objects, oldest key first."""
        return tuple(self._entries.values())

    def owned(self, owner: str) -> tuple[Entry[_T], ...]:
        """Return the objects that go with the owner of this uid."""
        return tuple(self._entries[key] for key in self._owned.get(owner, ()))

    def put(self, entry: Entry[_T]) -> None:
        """Store an object in place of the former one."""
        self._disown(self._entries.get(entry.key))
        self._entries[entry.key] = entry
        for owner in self._owners(entry.value):
            self._owned.setdefault(owner, {})[entry.key] = None

    def take(self, key: ObjectKey) -> Entry[_T] | None:
        """Take the object under this key away, and return it."""
        last = self._entries.pop(key, None)
        self._disown(last)
        return last

    def _disown(self, entry: Entry[_T] | None) -> None:
        if entry is None:
            return
        for owner in self._owners(entry.value):
            keys = self._owned[owner]
            del keys[entry.key]
            if not keys:
                del self._owned[owner]

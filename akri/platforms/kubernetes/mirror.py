"""What a watch knows of the server, and what its reader was told of it. Pure.

A watch that nobody reads keeps for each object its present state, and of one that was deleted since the reader heard of it the
last state: so a slow reader costs as much memory as there are objects, hears the last state of everything, and of a deleted
object its last state before that it is gone. States that come and go between two looks of the reader are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeAlias, TypeVar

from attrs import evolve, frozen

from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.watch_events import Bookmark, Changed, Identity, Removed, WireEvent, identity_of
from akri.ports import Alive, Gone, Put, Reset, WatchEvent

__all__ = ["Decode", "Entry", "Mirror"]

_T = TypeVar("_T")

Decode: TypeAlias = Callable[[JsonObject], _T | None]
"""Makes a value of an object; None where the object is not there for this watch."""


@frozen
class Entry(Generic[_T]):
    """An object as last seen; `value` is None where it could not be decoded."""

    identity: Identity
    value: _T | None


@frozen
class _Ending(Generic[_T]):
    """What is to be told of an object that the reader knows and that was deleted: its last state (None once told), then Gone."""

    last: Entry[_T] | None
    gone: Gone


@frozen
class _Proof:
    """Once everything up to `revision` was taken in, everything that happened before `until` was."""

    revision: int
    until: float


class Mirror(Generic[_T]):
    """The server's objects as far as the watch delivered them, and the events that its reader has not heard yet."""

    def __init__(self, decode: Decode[_T]) -> None:
        """Begin empty and knowing nothing: `revision` is 0 until a list came."""
        self.revision = 0
        self._decode = decode
        self._present: dict[ObjectKey, Entry[_T]] = {}
        self._told: dict[ObjectKey, Entry[_T]] = {}
        self._pending: dict[ObjectKey, _Ending[_T] | None] = {}
        self._proofs: list[_Proof] = []
        self._until: float | None = None
        self._reset_due = False

    def read(self, document: JsonObject) -> Entry[_T]:
        """Read an object of a list. One that is known in this state is not decoded again."""
        return self._entry(identity_of(document), document)

    def reset(self, entries: Iterable[Entry[_T]], revision: int, until: float) -> None:
        """Take in a list as the whole present set. until: when it was asked for."""
        self._present = {entry.identity.key: entry for entry in entries}
        self._pending.clear()
        self._proofs.clear()
        self._reset_due = True
        self._until = until
        self.revision = revision

    def lose(self) -> None:
        """Events were lost: the next that counts is a list."""
        self.revision = 0
        self._proofs.clear()

    def take(self, event: WireEvent) -> None:
        """Take in an event. What is not newer than all that came before is known already, by a second watch that ran beside."""
        revision = event.revision if isinstance(event, Bookmark) else event.identity.revision
        if revision <= self.revision or not self.revision:
            return
        match event:
            case Changed(identity, document):
                self._put(self._entry(identity, document))
            case Removed(identity):
                self._remove(identity)
            case Bookmark():
                pass
        self.revision = revision
        self._settle()

    def expect(self, revision: int, until: float) -> None:
        """Learn that the server had reached `revision` after `until`: when all up to there is taken in, the reader is told Alive."""
        self._proofs.append(_Proof(revision, until))
        self._settle()

    def give_up(self) -> None:
        """Forget what `expect` announced: it may never come."""
        self._proofs.clear()

    @property
    def waits(self) -> bool:
        """Whether something that `expect` announced did not come yet."""
        return bool(self._proofs)

    def compare(self, seen: Collection[Identity], revision: int, until: float) -> bool:
        """Compare with a list of this revision, asked for at `until`. If nothing in it is unknown here, everything up to it is taken in."""
        if self.revision < revision:
            if {entry.identity for entry in self._present.values()} != set(seen):
                return False
            self.revision = revision
        self.expect(revision, until)
        return True

    def next(self) -> WatchEvent[_T] | None:
        """Take the next event for the reader; None when there is nothing to tell."""
        if self._reset_due:
            return self._tell_all()
        while self._pending:
            key = next(iter(self._pending))
            ending = self._pending.pop(key)
            event = self._tell_present(key) if ending is None else self._tell_ending(key, ending)
            if event is not None:
                return event
        until, self._until = self._until, None
        return None if until is None else Alive(until)

    def _entry(self, identity: Identity, document: JsonObject) -> Entry[_T]:
        known = self._present.get(identity.key)
        return known if known is not None and known.identity == identity else Entry(identity, self._decode(document))

    def _put(self, entry: Entry[_T]) -> None:
        former = self._present.get(entry.identity.key)
        if former is not None and former.identity.uid != entry.identity.uid:
            self._remove(evolve(former.identity, revision=entry.identity.revision))
        self._present[entry.identity.key] = entry
        if not self._reset_due:
            self._pending.setdefault(entry.identity.key, None)

    def _remove(self, gone: Identity) -> None:
        last = self._present.pop(gone.key, None)
        if last is not None and last.identity.uid != gone.uid:
            last = None
        told = self._told.get(gone.key)
        if told is not None and told.identity.uid == gone.uid and not self._reset_due:
            self._pending[gone.key] = _Ending(last, Gone(gone.key, gone.uid, gone.revision))

    def _settle(self) -> None:
        proven = [proof.until for proof in self._proofs if proof.revision <= self.revision]
        if proven:
            self._proofs = [proof for proof in self._proofs if proof.revision > self.revision]
            self._until = max(proven if self._until is None else (*proven, self._until))

    def _tell_all(self) -> Reset[_T]:
        self._reset_due = False
        self._told = {key: entry for key, entry in self._present.items() if entry.value is not None}
        until, self._until = self._until, None
        return Reset(tuple(entry.value for entry in self._told.values() if entry.value is not None), until)

    def _tell_ending(self, key: ObjectKey, ending: _Ending[_T]) -> WatchEvent[_T]:
        """Tell the last state first: how a pod ended proves more than that it is gone."""
        last, value = ending.last, None if ending.last is None else ending.last.value
        if last is not None and value is not None and value != self._told[key].value:
            self._told[key] = last
            self._pending[key] = _Ending(None, ending.gone)
            return Put(value)
        del self._told[key]
        if key in self._present:
            self._pending[key] = None
        return ending.gone

    def _tell_present(self, key: ObjectKey) -> WatchEvent[_T] | None:
        entry, told = self._present.get(key), self._told.get(key)
        if entry is None:
            return None
        if entry.value is None:
            return None if told is None else self._withdraw(key, told, entry.identity)
        self._told[key] = entry
        return None if told is not None and told.value == entry.value else Put(entry.value)

    def _withdraw(self, key: ObjectKey, told: Entry[_T], now: Identity) -> Gone:
        """An object that can no longer be decoded is not there for the reader."""
        del self._told[key]
        return Gone(key, told.identity.uid, now.revision)

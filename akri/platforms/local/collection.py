"""Stored objects of one kind, and watches of them that cannot grow without bound.

A watch that nobody reads keeps, for each object, only that it changed; what it then delivers is the present state. So a
slow reader costs as much memory as there are objects, and still hears the last state of everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from attrs import frozen

from akri.core.ids import ObjectKey
from akri.platforms.local.shelf import Entry, Shelf, no_owners
from akri.ports import Alive, Clock, Gone, Put, Reset, WatchEvent

__all__ = ["ALIVE_EVERY", "Collection"]

ALIVE_EVERY: Final = 4.0
"""Seconds between two Alive events of a watch; the port asks for one at least every 5 s."""

_T = TypeVar("_T")
_U = TypeVar("_U")
_C_contra = TypeVar("_C_contra", contravariant=True)


@frozen
class _Known(Generic[_U]):
    uid: str
    value: _U


@frozen
class _Ending(Generic[_U]):
    """What a watch still has to tell about an object that was deleted: its last state (None once told), then Gone."""

    last: _U | None
    gone: Gone


class _Listener(Protocol[_C_contra]):
    """What a collection tells its watches."""

    def changed(self, key: ObjectKey) -> None: ...

    def removed(self, last: Entry[_C_contra], revision: int) -> None: ...


class _Watcher(Generic[_T, _U]):
    """One watch: what its reader was told, and which objects changed since."""

    def __init__(self, entries: Mapping[ObjectKey, Entry[_T]], project: Callable[[_T], _U | None]) -> None:
        self.wake = asyncio.Event()
        self._entries = entries
        self._project = project
        self._known: dict[ObjectKey, _Known[_U]] = {}
        self._pending: dict[ObjectKey, _Ending[_U] | None] = {}
        self._alive_due = False

    def begin(self) -> Reset[_U]:
        for entry in self._entries.values():
            value = self._project(entry.value)
            if value is not None:
                self._known[entry.key] = _Known(entry.uid, value)
        return Reset(tuple(known.value for known in self._known.values()))

    def changed(self, key: ObjectKey) -> None:
        self._pending.setdefault(key, None)
        self.wake.set()

    def removed(self, last: Entry[_T], revision: int) -> None:
        known = self._known.get(last.key)
        if known is not None and known.uid == last.uid:
            self._pending[last.key] = _Ending(self._project(last.value), Gone(last.key, last.uid, revision))
            self.wake.set()

    def beat(self) -> None:
        self._alive_due = True
        self.wake.set()

    def next(self) -> WatchEvent[_U] | None:
        """Take the next event; None when there is nothing to tell."""
        while self._pending:
            key = next(iter(self._pending))
            ending = self._pending.pop(key)
            event = self._present(key) if ending is None else self._end(key, ending)
            if event is not None:
                return event
        self.wake.clear()
        due, self._alive_due = self._alive_due, False
        return Alive() if due else None

    def _end(self, key: ObjectKey, ending: _Ending[_U]) -> WatchEvent[_U]:
        """Tell the last state first: how a pod ended proves more than that it is gone."""
        if ending.last is not None and self._known[key].value != ending.last:
            self._pending[key] = _Ending(None, ending.gone)
            return Put(ending.last)
        del self._known[key]
        if key in self._entries:
            self._pending[key] = None
        return ending.gone

    def _present(self, key: ObjectKey) -> WatchEvent[_U] | None:
        entry = self._entries.get(key)
        value = None if entry is None else self._project(entry.value)
        known = self._known.get(key)
        if entry is None or value is None:
            return None if known is None else self._gone(key, known.uid, entry)
        if known is not None and known.value == value:
            return None
        self._known[key] = _Known(entry.uid, value)
        return Put(value)

    def _gone(self, key: ObjectKey, uid: str, entry: Entry[_T] | None) -> Gone:
        del self._known[key]
        return Gone(key, uid, 0 if entry is None else entry.revision)


class Collection(Shelf[_T]):
    """Objects of one kind that can be watched. Not thread-safe; all changes happen on the loop and none of them awaits."""

    def __init__(self, clock: Clock, owners: Callable[[_T], Iterable[str]] = no_owners) -> None:
        """Take the clock that paces Alive, and what tells the uids of those that an object goes with."""
        super().__init__(owners)
        self._clock = clock
        self._watchers: set[_Listener[_T]] = set()

    def put(self, entry: Entry[_T]) -> None:
        """Store an object in place of the former one."""
        super().put(entry)
        for watcher in self._watchers:
            watcher.changed(entry.key)

    def remove(self, key: ObjectKey, revision: int) -> None:
        """Delete the object under this key; `revision` is that of the deletion."""
        last = self.take(key)
        if last is not None:
            for watcher in self._watchers:
                watcher.removed(last, revision)

    def replace(self, entries: Iterable[Entry[_T]], revision: int) -> None:
        """Hold these objects and no other ones; `revision` is at least that of the deletion of each that is not among them."""
        present = {entry.key: entry for entry in entries}
        for former in self.entries():
            entry = present.get(former.key)
            if entry is None or entry.uid != former.uid:
                self.remove(former.key, revision)
        for entry in present.values():
            if entry != self.get(entry.key):
                self.put(entry)

    async def watch(self, project: Callable[[_T], _U | None]) -> AsyncGenerator[WatchEvent[_U]]:
        """Watch what `project` makes of the objects; those of which it makes None are not there for this watch."""
        watcher = _Watcher(self._entries, project)
        self._watchers.add(watcher)
        beat = asyncio.create_task(self._beat(watcher))
        try:
            yield watcher.begin()
            while True:
                event = watcher.next()
                if event is None:
                    await watcher.wake.wait()
                else:
                    yield event
        finally:
            self._watchers.discard(watcher)
            beat.cancel()
            await asyncio.wait({beat})

    async def _beat(self, watcher: _Watcher[_T, _U]) -> None:
        while True:
            await self._clock.sleep(ALIVE_EVERY)
            watcher.beat()

"""The copy of the state on which the store's thread works, and what each change of it means for the file and for the loop.

A step reads and changes the copy alone. What it changed is in the journal: written to the file it becomes what is stored, told on
the loop it becomes what this process shows, and undone it never was.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

from attrs import frozen

from akri.core.errors import InvalidDocumentError
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.core.reports import PastEvent
from akri.platforms.local import documents
from akri.platforms.local.collection import Collection
from akri.platforms.local.documents import Form
from akri.platforms.local.events import KEPT_EVENTS, EventLog, EventRows, Repetitions
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections, configuration_uid, instance_owners, object_owners
from akri.platforms.local.shelf import Entry, Rows, Shelf, no_owners
from akri.platforms.local.sqlite.file import EventRow, GoneRow, News, ObjectRow, StoreFile
from akri.platforms.local.tables import Tables

__all__ = ["Change", "EventSheet", "Sheet", "Sheets", "Tell"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")

Tell: TypeAlias = Callable[[], None]
"""Shows a change on the loop."""


class Change(Protocol):
    """Something that a step changed."""

    @property
    def about(self) -> tuple[str, ObjectKey]:
        """Kind and key of what was changed."""
        ...

    def write(self, file: StoreFile) -> None:
        """Write it to the file, in the transaction that is open."""
        ...

    def undo(self) -> None:
        """Take it back in the copy."""
        ...

    def tell(self) -> None:
        """Show it on the loop."""
        ...


class Sheet(Generic[_T]):
    """The objects of one kind."""

    def __init__(
        self, form: Form[_T], shown: Collection[_T], journal: list[Change], owners: Callable[[_T], Iterable[str]] = no_owners
    ) -> None:
        """Begin empty. shown: what the loop shows."""
        self._form = form
        self._shown = shown
        self._journal = journal
        self._owners = owners
        self._shelf = Shelf(owners)

    def get(self, key: ObjectKey) -> Entry[_T] | None:
        """Return the object under this key."""
        return self._shelf.get(key)

    def entries(self) -> tuple[Entry[_T], ...]:
        """Return all objects."""
        return self._shelf.entries()

    def owned(self, owner: str) -> tuple[Entry[_T], ...]:
        """Return the objects that go with the owner of this uid."""
        return self._shelf.owned(owner)

    def put(self, entry: Entry[_T]) -> None:
        """Store an object in place of the former one."""
        self._journal.append(_Put(self._form, self._shelf, self._shown, self._shelf.get(entry.key), entry))
        self._shelf.put(entry)

    def remove(self, key: ObjectKey, revision: int) -> None:
        """Delete the object under this key, if there is one."""
        last = self._shelf.take(key)
        if last is not None:
            self._journal.append(_Removal(self._form, self._shelf, self._shown, last, revision))

    def read(self, row: ObjectRow | GoneRow) -> Tell:
        """Take over what another process did."""
        if isinstance(row, ObjectRow):
            entry = self._entry(row)
            if entry is None:
                return _nothing
            self._shelf.put(entry)
            return lambda: self._shown.put(entry)
        self._shelf.take(ObjectKey(row.namespace, row.name))
        last = self._entry(ObjectRow(row.last, row.kind, row.namespace, row.name, row.uid, row.document))
        return lambda: self._end(ObjectKey(row.namespace, row.name), last, row.revision)

    def copy_into(self, rows: Rows[_T]) -> None:
        """Put all objects into other rows, as they are."""
        for entry in self._shelf.entries():
            rows.put(entry)

    def load(self, rows: Iterable[ObjectRow], revision: int) -> Tell:
        """Hold these objects and no other ones."""
        entries = [entry for entry in map(self._entry, rows) if entry is not None]
        self._shelf = Shelf(self._owners)
        for entry in entries:
            self._shelf.put(entry)
        return lambda: self._shown.replace(entries, revision)

    def _end(self, key: ObjectKey, last: Entry[_T] | None, revision: int) -> None:
        shown = self._shown.get(key)
        if shown is not None and last is not None and shown.revision < last.revision:
            self._shown.put(last)
        self._shown.remove(key, revision)

    def _entry(self, row: ObjectRow) -> Entry[_T] | None:
        try:
            value = self._form.read(_parsed(row.document))
        except (InvalidDocumentError, TypeError, ValueError, RecursionError) as error:
            _LOG.error("a stored object cannot be read kind=%s name=%s/%s error=%s", row.kind, row.namespace, row.name, error)
            return None
        return Entry(ObjectKey(row.namespace, row.name), row.uid, row.revision, value)


@frozen
class _Put(Generic[_T]):
    form: Form[_T]
    shelf: Shelf[_T]
    shown: Collection[_T]
    former: Entry[_T] | None
    entry: Entry[_T]

    @property
    def about(self) -> tuple[str, ObjectKey]:
        return self.form.kind, self.entry.key

    def write(self, file: StoreFile) -> None:
        entry = self.entry
        document = _text(self.form.write(entry.value))
        file.put(ObjectRow(entry.revision, self.form.kind, entry.key.namespace, entry.key.name, entry.uid, document))

    def undo(self) -> None:
        if self.former is None:
            self.shelf.take(self.entry.key)
        else:
            self.shelf.put(self.former)

    def tell(self) -> None:
        self.shown.put(self.entry)


@frozen
class _Removal(Generic[_T]):
    form: Form[_T]
    shelf: Shelf[_T]
    shown: Collection[_T]
    last: Entry[_T]
    revision: int

    @property
    def about(self) -> tuple[str, ObjectKey]:
        return self.form.kind, self.last.key

    def write(self, file: StoreFile) -> None:
        last = self.last
        document = _text(self.form.write(last.value))
        file.remove(GoneRow(self.revision, self.form.kind, last.key.namespace, last.key.name, last.uid, last.revision, document))

    def undo(self) -> None:
        self.shelf.put(self.last)

    def tell(self) -> None:
        self.shown.remove(self.last.key, self.revision)


class EventSheet:
    """The events."""

    def __init__(self, shown: EventLog, journal: list[Change], identities: Identities) -> None:
        """Begin empty. shown: what the loop shows."""
        self._shown = shown
        self._journal = journal
        self._identities = identities
        self._clear()

    def add(self, past: PastEvent) -> None:
        """Keep an event, unless it only repeats the last one about its object."""
        if not self._repetitions.repeats(past.event):
            self._keep(past)
            self._journal.append(_NewEvent(self, self._identities.revision(), past))

    def undo(self, past: PastEvent) -> None:
        """Forget the event that was kept last."""
        self._events.pop()
        self._repetitions.forget(past.event)

    def tell(self, past: PastEvent) -> None:
        """Show an event on the loop."""
        self._shown.append(past)

    def copy_into(self, rows: EventRows) -> None:
        """Put all events where others are kept."""
        for past in self._events:
            rows.add(past)

    def read(self, row: EventRow) -> Tell:
        """Take over what another process told."""
        past = _past(row)
        if past is None:
            return _nothing
        self._keep(past)
        return lambda: self._shown.append(past)

    def load(self, rows: Iterable[EventRow]) -> Tell:
        """Have these events and no other ones; those that the loop shows already are not shown again."""
        self._clear()
        found = [past for past in map(_past, rows) if past is not None]
        for past in found:
            self._keep(past)
        return lambda: self._shown.merge(found)

    def _keep(self, past: PastEvent) -> None:
        self._repetitions.hear(past.event)
        self._events.append(past)

    def _clear(self) -> None:
        self._repetitions = Repetitions()
        self._events: deque[PastEvent] = deque(maxlen=KEPT_EVENTS)


@frozen
class _NewEvent:
    sheet: EventSheet
    revision: int
    past: PastEvent

    @property
    def about(self) -> tuple[str, ObjectKey]:
        return documents.EVENT.kind, self.past.event.about

    def write(self, file: StoreFile) -> None:
        file.add_event(EventRow(self.revision, _text(documents.EVENT.write(self.past))), KEPT_EVENTS)

    def undo(self) -> None:
        self.sheet.undo(self.past)

    def tell(self) -> None:
        self.sheet.tell(self.past)


class Sheets:
    """The sheets of all kinds, and the journal that they share."""

    def __init__(self, shown: Collections, identities: Identities) -> None:
        """Begin empty."""
        self.journal: list[Change] = []
        self.configurations = Sheet(documents.CONFIGURATION, shown.configurations, self.journal)
        self.statuses = Sheet(documents.STATUS, shown.statuses, self.journal)
        self.instances = Sheet(documents.INSTANCE, shown.instances, self.journal, instance_owners)
        self.reports = Sheet(documents.REPORT, shown.reports, self.journal, configuration_uid)
        self.nodes = Sheet(documents.NODE, shown.nodes, self.journal)
        self.pods = Sheet(documents.POD, shown.pods, self.journal, object_owners)
        self.jobs = Sheet(documents.JOB, shown.jobs, self.journal, object_owners)
        self.services = Sheet(documents.SERVICE, shown.services, self.journal, object_owners)
        self.events = EventSheet(shown.events, self.journal, identities)

    def read(self, news: Iterable[News]) -> list[Tell]:
        """Take over what other processes did."""
        return [self._read(row) for row in news]

    def load(self, rows: Iterable[ObjectRow | EventRow], revision: int) -> list[Tell]:
        """Take over everything there is."""
        by_kind: dict[str, list[ObjectRow]] = {}
        events: list[EventRow] = []
        for row in rows:
            if isinstance(row, ObjectRow):
                by_kind.setdefault(row.kind, []).append(row)
            else:
                events.append(row)
        return [*(load(by_kind.get(kind, []), revision) for kind, load in self._loaders().items()), self.events.load(events)]

    def copy_into(self, tables: Tables) -> None:
        """Put everything into other tables; objects stay as they are."""
        rows = tables.rows
        self.configurations.copy_into(rows.configurations)
        self.statuses.copy_into(rows.statuses)
        self.instances.copy_into(rows.instances)
        self.reports.copy_into(rows.reports)
        self.nodes.copy_into(rows.nodes)
        self.pods.copy_into(rows.pods)
        self.jobs.copy_into(rows.jobs)
        self.services.copy_into(rows.services)
        self.events.copy_into(tables.events)

    def _read(self, row: News) -> Tell:
        if isinstance(row, EventRow):
            return self.events.read(row)
        read = self._readers().get(row.kind)
        return _nothing if read is None else read(row)

    def _readers(self) -> dict[str, Callable[[ObjectRow | GoneRow], Tell]]:
        return {
            documents.CONFIGURATION.kind: self.configurations.read,
            documents.STATUS.kind: self.statuses.read,
            documents.INSTANCE.kind: self.instances.read,
            documents.REPORT.kind: self.reports.read,
            documents.NODE.kind: self.nodes.read,
            documents.POD.kind: self.pods.read,
            documents.JOB.kind: self.jobs.read,
            documents.SERVICE.kind: self.services.read,
        }

    def _loaders(self) -> dict[str, Callable[[Iterable[ObjectRow], int], Tell]]:
        return {
            documents.CONFIGURATION.kind: self.configurations.load,
            documents.STATUS.kind: self.statuses.load,
            documents.INSTANCE.kind: self.instances.load,
            documents.REPORT.kind: self.reports.load,
            documents.NODE.kind: self.nodes.load,
            documents.POD.kind: self.pods.load,
            documents.JOB.kind: self.jobs.load,
            documents.SERVICE.kind: self.services.load,
        }


def _nothing() -> None:
    """Show nothing."""


def _past(row: EventRow) -> PastEvent | None:
    try:
        return documents.EVENT.read(_parsed(row.document))
    except (InvalidDocumentError, TypeError, ValueError, RecursionError) as error:
        _LOG.error("a stored event cannot be read revision=%s error=%s", row.revision, error)
        return None


def _text(document: JsonObject) -> str:
    return json.dumps(document, separators=(",", ":"))


def _parsed(text: str) -> JsonObject:
    document: object = json.loads(text)
    if not isinstance(document, dict):
        message = "expected an object"
        raise TypeError(message)
    return cast("JsonObject", document)

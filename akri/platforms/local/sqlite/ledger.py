"""The copy and the file together, as the store's thread uses them: each change one transaction, then the news for the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections
from akri.platforms.local.sqlite.file import KEPT_TOMBSTONES, StoreFile
from akri.platforms.local.sqlite.sheets import Sheets, Tell
from akri.platforms.local.tables import Tables
from akri.ports import Clock

__all__ = ["Ledger"]

_T = TypeVar("_T")


class Ledger:
    """An open store. For one thread at a time; raises sqlite3.Error.

    tells: gets what the loop has to show, also of others' changes, and also where a change failed.
    """

    def __init__(self, file: StoreFile, shown: Collections, clock: Clock) -> None:
        """Nothing is read before `catch_up` or `change`."""
        self._file = file
        self._identities = Identities(clock)
        self._sheets = Sheets(shown, self._identities)
        self._tables = Tables(self._sheets, self._sheets.events, self._identities)
        self._known = -1
        self._commits = -1

    def change(self, step: Callable[[Tables], _T], tells: list[Tell], *, durable: bool = False) -> tuple[_T, bool]:
        """Carry out a step in one transaction; tell its result, and whether it changed anything."""
        journal = self._sheets.journal
        with self._file.transaction(durable=durable):
            self._read(tells)
            try:
                result = step(self._tables)
                if journal:
                    for change in journal:
                        change.write(self._file)
                    self._file.commit(self._identities.last)
            except BaseException:
                self._undo()
                raise
        changed = bool(journal)
        if changed:
            self._known = self._identities.last
        else:
            self._identities.last = self._known
        tells += [change.tell for change in journal]
        journal.clear()
        return result, changed

    def catch_up(self, tells: list[Tell]) -> None:
        """Read what others did."""
        if self._file.revision() != self._known:
            with self._file.transaction(writing=False):
                self._read(tells)

    def look(self, tells: list[Tell]) -> None:
        """Read what others did, if there are signs of it that cost next to nothing."""
        commits = self._file.foreign_commits()
        if commits != self._commits:
            self.catch_up(tells)
            self._commits = commits

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, tells: list[Tell]) -> None:
        revision = self._file.revision()
        if revision != self._known:
            if self._known <= max(0, revision - KEPT_TOMBSTONES) or revision < self._known:
                tells += self._sheets.load(self._file.everything(), self._known, revision)
            else:
                tells += self._sheets.read(self._file.since(self._known))
            self._known = revision
        self._identities.last = revision

    def _undo(self) -> None:
        for change in reversed(self._sheets.journal):
            change.undo()
        self._sheets.journal.clear()
        self._identities.last = self._known

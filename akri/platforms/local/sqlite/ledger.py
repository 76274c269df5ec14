"""The copy and the file together, as the store's thread uses them: each change one transaction, then the news for the loop."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.platforms.local.documents import CONFIGURATION
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections
from akri.platforms.local.sqlite.file import KEPT_TOMBSTONES, DamagedError, StoreFile, is_damage
from akri.platforms.local.sqlite.former import read_former
from akri.platforms.local.sqlite.keeper import Keeper
from akri.platforms.local.sqlite.records import Applied, Papers
from akri.platforms.local.sqlite.restoring import hold, restore
from akri.platforms.local.sqlite.sheets import Sheets, Tell
from akri.platforms.local.tables import Tables
from akri.ports import Clock

__all__ = ["Ledger"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Ledger:
    """An open store. For one thread at a time; raises sqlite3.Error, OSError and, for a newer version, StateError.

    A file that turns out to be damaged, or is gone, is built anew out of what this process knows and the records beside it.
    tells: gets what the loop has to show, also of others' changes, and also where a change failed.
    """

    def __init__(self, folder: Path, shown: Collections, clock: Clock) -> None:
        """Nothing is opened before `open`. The folder is there."""
        self._folder = folder
        self._keeper = Keeper(folder, clock)
        self._applied = Applied(folder / "applied")
        self._identities = Identities(clock)
        self._sheets = Sheets(shown, self._identities)
        self._tables = Tables(self._sheets, self._sheets.events, self._identities)
        self._file: StoreFile | None = None
        self._opened: tuple[int, int] | None = None
        self._known = -1
        self._newest = 0
        self._former: tuple[Instance, ...] = ()
        self._commits = -1

    def open(self, tells: list[Tell]) -> None:
        """Open the store, look for damage, read everything, and take over from the records what the store lost."""
        papers = Papers.collect(self._folder)
        self._inside(partial(self._first_look, tells))
        if papers.revision() > self._known:
            self.change(lambda tables: self._take_over(tables, papers), tells, durable=True)
        self._reconcile(papers.configurations(), tells)

    def change(self, step: Callable[[Tables], _T], tells: list[Tell], *, durable: bool = False) -> tuple[_T, bool]:
        """Carry out a step in one transaction; tell its result, and whether it changed anything."""
        return self._inside(lambda file: self._change(file, step, tells, durable=durable))

    def catch_up(self, tells: list[Tell]) -> None:
        """Read what others did."""
        self._inside(partial(self._catch_up, tells))

    def look(self, tells: list[Tell]) -> None:
        """Read what others did, if there are signs of it that cost next to nothing."""
        self._inside(partial(self._look, tells))

    def tidy(self, *, at_once: bool = False) -> None:
        """Do what can wait, for a moment at which nobody does; `at_once`: because a change failed."""
        if self._file is not None:
            self._file.tidy(at_once=at_once)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._keeper.close()

    def _inside(self, work: Callable[[StoreFile], _T]) -> _T:
        """Work on the file that is there; where there is none, or it is damaged, on the one that takes its place."""
        try:
            return self._pass(work)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._replace(str(error))
        return self._pass(work)

    def _pass(self, work: Callable[[StoreFile], _T]) -> _T:
        with self._keeper.gate.pass_through():
            return work(self._present())

    def _present(self) -> StoreFile:
        """Return the open file, if it is still the one that is there, and else open that."""
        present = self._keeper.identity()
        if present is None:
            message = "it is gone"
            raise DamagedError(message)
        if self._file is not None and self._opened == present:
            return self._file
        self._shut()
        self._former = self._former or tuple(entry.value for entry in self._sheets.instances.entries())
        self._opened, self._known, self._commits = present, -1, -1
        self._file = self._keeper.open()
        return self._file

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _replace(self, why: str) -> None:
        """Build the file anew, unless another process has done so meanwhile."""
        with self._keeper.gate.alone():
            present = self._keeper.identity()
            if present is not None and present != self._opened:
                return
            self._shut()
            former = read_former(self._keeper.path)
            if former is not None:
                self._sheets.load(former.rows, former.revision)
                self._newest = former.revision
            records = Papers.collect(self._folder).read()

            def fill(tables: Tables) -> None:
                self._sheets.copy_into(tables)
                restore(tables, records, self._newest)

            self._keeper.replace(fill, "damaged" if former is None else f"version-{former.version}", why)

    def _take_over(self, tables: Tables, papers: Papers) -> None:
        """Get back what the store lost, unless another process did so meanwhile."""
        if papers.revision() > self._known:
            _LOG.error("the store lost its last changes and takes them from the records beside it folder=%s", self._folder)
            restore(tables, papers.read(), self._known)

    def _reconcile(self, recorded: set[ObjectKey], tells: list[Tell]) -> None:
        """Make applied/ what is stored, where a process was killed between the two."""
        if recorded == {entry.key for entry in self._sheets.configurations.entries()}:
            return
        with self._keeper.gate.alone():
            self._catch_up(tells, self._present())
            self._follow(recorded ^ {entry.key for entry in self._sheets.configurations.entries()})

    def _follow(self, keys: Iterable[ObjectKey]) -> None:
        for key in keys:
            entry = self._sheets.configurations.get(key)
            self._applied.follow(key, None if entry is None else entry.value, self._known)

    def _first_look(self, tells: list[Tell], file: StoreFile) -> None:
        file.check()
        self._catch_up(tells, file)

    def _change(self, file: StoreFile, step: Callable[[Tables], _T], tells: list[Tell], *, durable: bool) -> tuple[_T, bool]:
        journal = self._sheets.journal
        with file.transaction(durable=durable):
            self._read(tells, file)
            try:
                hold(self._tables, self._former)
                result = step(self._tables)
                if journal:
                    for change in journal:
                        change.write(file)
                    file.commit(self._identities.last)
            except BaseException:
                self._undo()
                raise
        changed = bool(journal)
        self._former = ()
        if changed:
            self._known = self._newest = self._identities.last
        else:
            self._identities.last = self._known
        tells += [change.tell for change in journal]
        touched = {change.about for change in journal}
        self._follow(key for kind, key in touched if kind == CONFIGURATION.kind)
        journal.clear()
        return result, changed

    def _catch_up(self, tells: list[Tell], file: StoreFile) -> None:
        if file.revision() != self._known:
            with file.transaction(writing=False):
                self._read(tells, file)

    def _look(self, tells: list[Tell], file: StoreFile) -> None:
        commits = file.foreign_commits()
        if commits != self._commits:
            self._catch_up(tells, file)
            self._commits = commits
        self._follow(tuple(self._applied.behind))

    def _read(self, tells: list[Tell], file: StoreFile) -> None:
        revision = file.revision()
        if revision != self._known:
            if self._known <= max(0, revision - KEPT_TOMBSTONES) or revision < self._known:
                tells += self._sheets.load(file.everything(), revision)
            else:
                tells += self._sheets.read(file.since(self._known))
            self._known = self._newest = revision
        self._identities.last = revision

    def _undo(self) -> None:
        for change in reversed(self._sheets.journal):
            change.undo()
        self._sheets.journal.clear()
        self._identities.last = self._known

"""All reviews and the sums over them, kept up to date one review at a time: what makes a plan after one change cheap."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TypeVar

from akri.core.ids import NodeName, ObjectKey
from akri.scheduling.pods import Vacancies
from akri.scheduling.review import Review
from akri.scheduling.services import Presence
from akri.scheduling.subject import NEVER

__all__ = ["Ledger", "changed", "same_keys"]

_K = TypeVar("_K")
_V = TypeVar("_V")


def changed(old: Mapping[_K, _V], new: Mapping[_K, _V]) -> set[_K]:
    """Tell which keys came, went or have another value (another object: values are not compared)."""
    if old is new:
        return set()
    if same_keys(old, new):
        return {key for key, before, after in zip(new, old.values(), new.values(), strict=True) if before is not after}
    return {key for key, value in new.items() if old.get(key) is not value} | {key for key in old if key not in new}


def same_keys(old: Mapping[_K, _V], new: Mapping[_K, _V]) -> bool:
    """Tell whether one is a copy of the other in which only values were replaced: quick, and False is always a safe answer."""
    return len(old) == len(new) and all(map(operator.is_, old, new))


class Ledger:
    """The reviews by the key of their Instance.

    load: brokers on each node, without those whose nodes are still to be chosen. acting: Instances with something to do.
    open: Instances with brokers whose nodes are still to be chosen. dues: when to look at an Instance again.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.reviews: dict[ObjectKey, Review] = {}
        self.load: dict[NodeName, int] = {}
        self.acting: set[ObjectKey] = set()
        self.open: dict[ObjectKey, Vacancies] = {}
        self.dues: dict[ObjectKey, float] = {}
        self._running: dict[ObjectKey, int] = {}
        self._left: dict[ObjectKey, int] = {}

    def copy(self) -> Ledger:
        """Copy it, so that the plan before keeps its own."""
        other = Ledger()
        other.reviews, other.load, other.dues = self.reviews.copy(), self.load.copy(), self.dues.copy()
        other.acting, other.open = self.acting.copy(), self.open.copy()
        other._running, other._left = self._running.copy(), self._left.copy()
        return other

    def presence(self, configuration: ObjectKey) -> Presence:
        """Tell whether a broker of a Configuration runs, and whether any is left."""
        return Presence(configuration in self._running, configuration in self._left)

    def enter(self, key: ObjectKey, review: Review | None) -> set[ObjectKey]:
        """Put a review in place of the one before (None: there is none any more); return the Configurations whose brokers it touches."""
        old = self.reviews.pop(key, None)
        if old is not None:
            self._count(old, -1)
        self.acting.discard(key)
        self.open.pop(key, None)
        self.dues.pop(key, None)
        if review is not None:
            self._count(review, 1)
            self._file(key, review)
        return {entry.owner for entry in (old, review) if entry is not None and entry.owner is not None}

    def _file(self, key: ObjectKey, review: Review) -> None:
        self.reviews[key] = review
        if review.actions:
            self.acting.add(key)
        if review.vacancies is not None:
            self.open[key] = review.vacancies
        if review.due < NEVER:
            self.dues[key] = review.due

    def _count(self, review: Review, step: int) -> None:
        for node in review.load:
            _add(self.load, node, step)
        if review.owner is not None and review.presence.running:
            _add(self._running, review.owner, step)
        if review.owner is not None and review.presence.left:
            _add(self._left, review.owner, step)


def _add(counts: dict[_K, int], key: _K, step: int) -> None:
    count = counts.get(key, 0) + step
    if count:
        counts[key] = count
    else:
        del counts[key]

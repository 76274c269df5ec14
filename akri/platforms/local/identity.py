"""What every stored object gets from the store: a uid, revisions that only grow, and the time of its creation."""

from __future__ import annotations

from attrs import evolve

from akri.core.metadata import ObjectMeta
from akri.ports import Clock

__all__ = ["Identities"]


class Identities:
    """Source of uids and revisions. One counter serves all objects, so later changes always have larger revisions.

    last: the revision that was given out last.
    """

    def __init__(self, clock: Clock) -> None:
        """Take the clock for times of creation and for the random part of uids."""
        self._clock = clock
        self.last = 0

    def uid(self) -> str:
        """Return a uid that no object had before."""
        return f"{int(self._clock.random() * 2**52):013x}-{self.revision():x}"

    def revision(self) -> int:
        """Return a revision larger than all before."""
        self.last += 1
        return self.last

    def now(self) -> float:
        """Return the time, seconds since the epoch in whole microseconds: no store keeps more of it."""
        return round(self._clock.wall(), 6)

    def new(self, metadata: ObjectMeta) -> ObjectMeta:
        """Give a new object its identity; key, labels, annotations, finalizers and owners stay."""
        return evolve(metadata, uid=self.uid(), revision=self.revision(), generation=1, created=self.now(), deleting=False)

    def changed(self, metadata: ObjectMeta, former: ObjectMeta, *, same_spec: bool) -> ObjectMeta:
        """Give a changed object the identity of the former one, a new revision and, if its spec changed, a new generation."""
        generation = former.generation + (not same_spec)
        return evolve(metadata, uid=former.uid, created=former.created, revision=self.revision(), generation=generation)

"""The objects of one watch, as far as it has shown them, and what each of its events changes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Generic, TypeVar, assert_never

from attrs import frozen

from akri.core.ids import ObjectKey
from akri.ports import Alive, Gone, Put, Reset, WatchEvent

__all__ = ["Change", "Mirror"]

_T = TypeVar("_T")


@frozen
class Change(Generic[_T]):
    """Objects that are gone (in their last known state), and then objects that are there."""

    gone: tuple[_T, ...] = ()
    put: tuple[_T, ...] = ()


class Mirror(Generic[_T]):
    """The objects of one watch by their keys. `known` is false until the watch has delivered the whole set once."""

    def __init__(
        self,
        key: Callable[[_T], ObjectKey],
        group: Callable[[_T], object] = lambda _thing: None,
        same: Callable[[_T, _T], bool] = operator.eq,
    ) -> None:
        """Take how an object is named, and what it is filed under elsewhere: one that moves there is gone and put again.

        same: whether two states of an object are alike in all that counts.
        """
        self.objects: dict[ObjectKey, _T] = {}
        self.known = False
        self._key = key
        self._group = group
        self._same = same

    def take(self, event: WatchEvent[_T]) -> Change[_T]:
        """Take in an event and tell what it changes. A state that is known already changes nothing."""
        match event:
            case Reset(objects):
                return self._reset(objects)
            case Put(thing):
                return self._put(thing)
            case Gone(key):
                old = self.objects.pop(key, None)
                return Change() if old is None else Change((old,))
            case Alive():
                return Change()
        assert_never(event)

    def _reset(self, objects: tuple[_T, ...]) -> Change[_T]:
        self.known = True
        present = {self._key(thing) for thing in objects}
        vanished = tuple(self.objects.pop(key) for key in [key for key in self.objects if key not in present])
        changes = [self._put(thing) for thing in objects]
        moved = tuple(thing for change in changes for thing in change.gone)
        return Change((*vanished, *moved), tuple(thing for change in changes for thing in change.put))

    def _put(self, thing: _T) -> Change[_T]:
        key = self._key(thing)
        old = self.objects.get(key)
        if old is not None and self._same(old, thing):
            return Change()
        self.objects[key] = thing
        moved = old is not None and self._group(old) != self._group(thing)
        return Change((old,) if old is not None and moved else (), (thing,))

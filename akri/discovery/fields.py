"""Read the fields of a details document one by one and collect everything that is wrong with it, so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar, cast

from akri.core.errors import InvalidDocumentError, InvalidValueError, Problem, short

__all__ = ["Fields"]

_T = TypeVar("_T")


class Fields:
    """The fields of one document. Each method reads one field; `finish` raises if anything was wrong.

    A field that no method asked for is unknown, and a problem. After a problem the methods answer with the default.
    """

    def __init__(self, title: str, document: object) -> None:
        """Take what the document is (`udev discovery details`) and its content; None counts as no fields."""
        self._title = title
        self._problems: list[Problem] = []
        self._asked: list[str] = []
        self._values: Mapping[object, object] = {}
        if isinstance(document, Mapping):
            self._values = cast("Mapping[object, object]", document)
        elif document is not None:
            self.problem("", f"{short(document)} is not valid: expected fields, as in 'name: value'")

    def problem(self, place: str, message: str) -> None:
        """Note something that is wrong at `place`."""
        self._problems.append(Problem(place, message))

    def texts(self, name: str, read: Callable[[str], _T]) -> tuple[_T, ...]:
        """Read a list of texts that must be there; it may be empty, its texts may not. Each goes through `read`.

        `read` may raise InvalidValueError, which becomes a problem of that text.
        """
        value = self._take(name)
        if value is None and name not in self._values:
            self.problem(name, "is missing: expected a list of texts")
            return ()
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            self.problem(name, f"{short(value)} is not valid: expected a list of texts")
            return ()
        results: list[_T] = []
        for index, item in enumerate(cast("Sequence[object]", value)):
            place = f"{name}[{index}]"
            if not isinstance(item, str) or not item:
                self.problem(place, f"{short(item)} is not valid: expected a text that is not empty (quotes make a text of a number)")
                continue
            try:
                results.append(read(item))
            except InvalidValueError as error:
                self.problem(place, str(error))
        return tuple(results)

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """Read one of a few texts."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.problem(name, f"{short(value)} is not valid: expected one of {', '.join(allowed)}")
            return default
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(name, f"{short(value)} is not valid: expected true or false")
            return default
        return value

    def finish(self, result: _T) -> _T:
        """Return `result`; raise InvalidDocumentError with all problems if there are any, unknown fields included."""
        known = ", ".join(self._asked)
        for key in self._values:
            if key not in self._asked:
                self.problem(key if isinstance(key, str) else short(key), f"unknown field: expected {known}")
        if self._problems:
            raise InvalidDocumentError(self._title, self._problems)
        return result

    def _take(self, name: str) -> object:
        self._asked.append(name)
        return self._values.get(name)

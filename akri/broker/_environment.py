"""A device's properties are in the environment twice: as `KEY`, and as `KEY_8120FE` with the digest of the device's Instance.

The suffix tells devices apart when a container has several. With one Configuration the plain `KEY` belongs to the first of
them; with several Configurations it is undefined. So devices are read by suffix here, and the plain names only on request.

Brokers start often and are small, so this module avoids the slower parts of the standard library when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

TYPE_CHECKING = False  # what type checkers take for true; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import NoReturn, TypeVar

    _T = TypeVar("_T")

__all__ = [
    "BrokerError",
    "Device",
    "DeviceMissingError",
    "Properties",
    "PropertyInvalidError",
    "PropertyMissingError",
    "device",
    "devices",
    "properties",
]

_SHORTEST_SUFFIX = 6
_SHOWN = 60
_HEXADECIMAL = frozenset("0123456789ABCDEF")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class BrokerError(Exception):
    """Root of what this package raises; `str(error)` is one sentence that says what is wrong and what is there."""


class DeviceMissingError(BrokerError, LookupError):
    """The environment does not hold the device that was asked for, or holds several and none was named."""


class PropertyMissingError(BrokerError, LookupError):
    """A property that was asked for, without a default, is not there."""


class PropertyInvalidError(BrokerError, ValueError):
    """A property is there, but its text is not what was asked for."""


class Properties(Mapping[str, str]):
    """Texts by name, read with a type. A mapping that does not change.

    Each reader raises PropertyMissingError if the property is not there and no default was given, and
    PropertyInvalidError if its text does not fit; a default never hides a text that does not fit.
    """

    __slots__ = ("_owner", "_values")
    _owner: str
    _values: Mapping[str, str]

    def __init__(self, values: Mapping[str, str], owner: str = "the environment") -> None:
        """Take the texts, which are copied in sorted order, and whose they are, for messages."""
        object.__setattr__(self, "_values", MappingProxyType(dict(sorted(values.items()))))
        object.__setattr__(self, "_owner", owner)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: these values are frozen."""
        message = f"{type(self).__name__} does not change: {name} cannot be set"
        raise AttributeError(message)

    def __getitem__(self, name: str) -> str:
        """Return a text as it is; KeyError if it is not there, as mappings do."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names in sorted order."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the properties."""
        return len(self._values)

    def __hash__(self) -> int:
        """Hash by content, as comparison goes."""
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        """Show the names alone: values may be secret."""
        return f"<{type(self).__name__} of {self._owner}: {', '.join(self._values)}>"

    def text(self, name: str, default: str | None = None) -> str:
        """Read a text as it is."""
        return self._read(name, default, "a text", str)

    def integer(self, name: str, default: int | None = None) -> int:
        """Read a whole number in decimal digits, with or without a sign."""
        return self._read(name, default, "a whole number", _integer)

    def number(self, name: str, default: float | None = None) -> float:
        """Read a finite number such as `3`, `-0.5` or `1e3`."""
        return self._read(name, default, "a number", _number)

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """Read `true`, `yes`, `on`, `1`, or `false`, `no`, `off`, `0`, in any case."""
        return self._read(name, default, "true or false", _boolean)

    def path(self, name: str, default: Path | None = None) -> Path:
        """Read an absolute path; whether anything is there is not looked at."""
        return self._read(name, default, "an absolute path", _path)

    def _read(self, name: str, default: _T | None, expected: str, convert: Callable[[str], _T]) -> _T:
        text = self._values.get(name)
        if text is None:
            if default is not None:
                return default
            message = f"property {name} is missing: {self._owner} has {_listed(self._names())}"
            raise PropertyMissingError(message)
        try:
            return convert(text)
        except ValueError as error:
            shown = repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
            message = f"property {name} of {self._owner} is {shown}: expected {expected}"
            raise PropertyInvalidError(message) from error

    def _names(self) -> Iterable[str]:
        """List what a message may offer; of a whole environment only what belongs to devices."""
        return sorted({name for found in _found(self._values).values() for name in found}) or self._values


class Device(Properties):
    """One device of this container: its properties by their names without suffix.

    suffix: the digest of its Instance in upper case, `8120FE`; the same in every container that gets the device.
    """

    __slots__ = ("suffix",)
    suffix: str

    def __init__(self, suffix: str, values: Mapping[str, str]) -> None:
        """Take the suffix and the properties without it."""
        super().__init__(values, f"device {suffix}")
        object.__setattr__(self, "suffix", suffix)

    def __eq__(self, other: object) -> bool:
        """Compare suffix and properties."""
        if not isinstance(other, Device):
            return NotImplemented
        return self.suffix == other.suffix and self._values == other._values

    def __hash__(self) -> int:
        """Hash by suffix and properties."""
        return hash((self.suffix, super().__hash__()))

    def _names(self) -> Iterable[str]:
        return self._values


def devices(environ: Mapping[str, str] | None = None) -> tuple[Device, ...]:
    """Give all devices of this container in the order of their suffixes; none is no error.

    environ: where to read, for tests; the process's environment without it. A device is known by a suffix of at least six
    hexadecimal digits behind the name of a variable that exists without it as well. A device that has no property cannot
    be seen.
    """
    found = _found(os.environ if environ is None else environ)
    return tuple(Device(suffix, values) for suffix, values in sorted(found.items()))


def device(suffix: str | None = None, environ: Mapping[str, str] | None = None) -> Device:
    """Give the one device of this container, or, of several, the one with this suffix (in any case).

    Raises DeviceMissingError, which says which devices there are.
    """
    present = devices(environ)
    wanted = None if suffix is None else suffix.upper()
    chosen = [one for one in present if wanted in {None, one.suffix}]
    if len(chosen) == 1:
        return chosen[0]
    there = ", ".join(f"{one.suffix} with {_listed(one)}" for one in present) or "no variable with a suffix, as in KEY_8120FE"
    if wanted is not None:
        problem = f"device {wanted} is not in the environment"
    else:
        problem = "several devices are in the environment, so a suffix is needed" if present else "no device is in the environment"
    message = f"{problem}: there is {there}"
    raise DeviceMissingError(message)


def properties(environ: Mapping[str, str] | None = None) -> Properties:
    """Give all variables by their full names, `KEY` and `KEY_8120FE` alike, to be read with a type.

    Which device a plain `KEY` belongs to is certain only where the container has one device.
    """
    return Properties(os.environ if environ is None else environ)


def _found(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sort suffixed variables by suffix. One that has a suffixed form itself is a property whose name looks like that."""
    split = {variable: (name, suffix) for variable in environ for name, suffix in [_split(variable)] if suffix and name in environ}
    names = {name for name, _ in split.values()}
    found: dict[str, dict[str, str]] = {}
    for variable, (name, suffix) in split.items():
        if variable not in names:
            found.setdefault(suffix, {})[name] = environ[variable]
    return found


def _split(variable: str) -> tuple[str, str]:
    """Split off what may be a suffix; "" where nothing may be."""
    name, _, suffix = variable.rpartition("_")
    whole = len(suffix) >= _SHORTEST_SUFFIX and len(suffix) % 2 == 0 and _HEXADECIMAL.issuperset(suffix)
    return name, suffix if whole else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _integer(text: str) -> int:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if "_" in text or not text.isascii() or value - value != 0:  # infinities and "not a number" have no such difference
        raise ValueError
    return value


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError
    return word in _TRUE


def _path(text: str) -> Path:
    from pathlib import Path  # noqa: PLC0415 - many brokers never need it

    if not text.startswith("/") or "\0" in text:
        raise ValueError
    return Path(text)

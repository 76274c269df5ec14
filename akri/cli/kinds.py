"""The kinds of things that people look at, under all the names that they have: ours, kubectl's and the short ones. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

from akri.core.errors import InvalidValueError

__all__ = ["Chosen", "Kind", "chosen", "configuration_names", "kind_of"]


class Kind(Enum):
    """A kind of thing; the value is its name in the plural."""

    CONFIGURATIONS = "configurations"
    INSTANCES = "instances"
    BROKERS = "brokers"
    REPORTS = "reports"
    NODES = "nodes"

    @property
    def one(self) -> str:
        """Its name in the singular."""
        return self.value[:-1]

    @property
    def namespaced(self) -> bool:
        """Whether things of this kind have a namespace."""
        return self is not Kind.NODES


_ALL: Final = "all"
_NAMES: Final = {
    **{kind.value: kind for kind in Kind},
    **{kind.one: kind for kind in Kind},
    "akric": Kind.CONFIGURATIONS,
    "akrii": Kind.INSTANCES,
    "discoveryreports": Kind.REPORTS,
    "discoveryreport": Kind.REPORTS,
    "no": Kind.NODES,
    "pod": Kind.BROKERS,
    "pods": Kind.BROKERS,
    "po": Kind.BROKERS,
    "job": Kind.BROKERS,
    "jobs": Kind.BROKERS,
}
_EXPECTED: Final = "configurations (akric), instances (akrii), brokers, reports, nodes or all"


def kind_of(text: str) -> Kind | None:
    """Read the name of a kind, `instances`, `akrii` or `Instance.akri.sh`; None for one that is not known."""
    return _NAMES.get(text.lower().partition(".")[0])


@frozen
class Chosen:
    """What somebody asked for: things of these kinds, those of these names, or all where there is no name."""

    kinds: tuple[Kind, ...]
    names: tuple[str, ...] = ()


def chosen(words: tuple[str, ...]) -> tuple[Chosen, ...]:
    """Read `KIND[,KIND] [NAME...]` or `KIND/NAME...`. Raises InvalidValueError for a kind that is not known."""
    if not words:
        raise InvalidValueError("KIND", "", _EXPECTED)
    if any("/" in word for word in words):
        pairs = [word.partition("/")[::2] for word in words]
        return tuple(Chosen(_kinds(kind), (_name(name, kind),)) for kind, name in pairs)
    first, *names = words
    return (Chosen(_kinds(first), tuple(names)),)


def configuration_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Read `[KIND] NAME...` or `KIND/NAME...` where the kind can only be that of Configurations. Raises InvalidValueError."""
    if len(words) > 1 and "/" not in words[0] and (kind := kind_of(words[0])):
        words = tuple(f"{kind.value}/{word}" for word in words[1:])
    names: list[str] = []
    for word in words:
        kind_name, slash, name = word.rpartition("/")
        if not name or (slash and kind_of(kind_name) is not Kind.CONFIGURATIONS):
            raise InvalidValueError("KIND", kind_name, "configurations: all else comes and goes with them")
        names.append(name)
    return tuple(names)


def _name(name: str, kind: str) -> str:
    if not name:
        raise InvalidValueError("NAME", kind, "KIND/NAME for each, as in 'instance/echo-8120fe'")
    return name


def _kinds(text: str) -> tuple[Kind, ...]:
    if text.lower() == _ALL:
        return tuple(Kind)
    found: dict[Kind, None] = {}
    for word in text.split(","):
        kind = kind_of(word)
        if kind is None:
            raise InvalidValueError("KIND", word, _EXPECTED)
        found[kind] = None
    return tuple(found)

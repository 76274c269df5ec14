"""Discovery properties: values for a handler, written out or fetched from a Secret or ConfigMap.

`needs` says what to fetch, `resolve` combines what was fetched. Values that were fetched are secrets: they appear in no repr.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from attrs import field, frozen

from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import ObjectKey

__all__ = [
    "DEFAULT_NAMESPACE",
    "EXPECTED_PROPERTY_NAME",
    "PATTERN_PROPERTY_NAME",
    "DiscoveryProperty",
    "FromConfigMap",
    "FromSecret",
    "Literal",
    "Reference",
    "Resolved",
    "Sources",
    "needs",
    "require_property_name",
    "resolve",
]

DEFAULT_NAMESPACE: Final = "default"
"""Namespace of a Secret or ConfigMap, and of an object, where none is written."""
EXPECTED_PROPERTY_NAME: Final = "letters, digits and '_', not beginning with a digit"
"""What a discovery property's name looks like, in words."""
PATTERN_PROPERTY_NAME: Final = "^[_A-Za-z][_A-Za-z0-9]*$"
"""What a discovery property's name looks like, as a regular expression; upstream's."""


def require_property_name(value: str) -> str:
    """Return the name of a discovery property; raise InvalidValueError if it is none."""
    if not re.fullmatch(PATTERN_PROPERTY_NAME, value):
        raise InvalidValueError("name", value, EXPECTED_PROPERTY_NAME)
    return value


@frozen
class Literal:
    """A value written out in the Configuration."""

    name: str
    value: str


@frozen
class FromSecret:
    """A value in a Secret: which one, its key, and whether it may be missing."""

    name: str
    source: ObjectKey
    key: str
    optional: bool = False


@frozen
class FromConfigMap:
    """A value in a ConfigMap."""

    name: str
    source: ObjectKey
    key: str
    optional: bool = False


DiscoveryProperty: TypeAlias = Literal | FromSecret | FromConfigMap
"""One of a Configuration's discoveryProperties."""
Reference: TypeAlias = FromSecret | FromConfigMap
"""A discovery property that has to be fetched."""
Sources: TypeAlias = Mapping[ObjectKey, Mapping[str, bytes]]
"""Secrets or ConfigMaps that were fetched, with their data; one that does not exist is left out."""


def _values(value: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return MappingProxyType(dict(value))


@frozen
class Resolved:
    """What a handler is sent: `values` by property name (never printed), and what was missing, each with its name."""

    values: Mapping[str, bytes] = field(factory=dict[str, bytes], converter=_values, repr=False, hash=False)
    missing: tuple[Problem, ...] = ()


def needs(properties: Iterable[DiscoveryProperty]) -> tuple[Reference, ...]:
    """List the properties that have to be fetched; the objects to fetch are their `source`."""
    return tuple(item for item in properties if not isinstance(item, Literal))


def resolve(properties: Iterable[DiscoveryProperty], secrets: Sources, config_maps: Sources) -> Resolved:
    """Combine written and fetched values. One that is missing is left out, and named unless it is optional.

    Of two properties with one name the later one counts, as upstream does.
    """
    values: dict[str, bytes] = {}
    missing: list[Problem] = []
    for item in properties:
        found = _look_up(item, secrets, config_maps)
        if isinstance(found, bytes):
            values[item.name] = found
        elif found is not None:
            missing.append(found)
    return Resolved(values, tuple(missing))


def _look_up(item: DiscoveryProperty, secrets: Sources, config_maps: Sources) -> bytes | Problem | None:
    """Return the value, or what is missing; None where it may be missing."""
    match item:
        case Literal(_, value):
            return value.encode("utf-8", "surrogatepass")
        case FromSecret():
            return _fetched("Secret", item, secrets)
        case FromConfigMap():
            return _fetched("ConfigMap", item, config_maps)
    assert_never(item)


def _fetched(kind: str, item: Reference, sources: Sources) -> bytes | Problem | None:
    data = sources.get(item.source)
    if data is not None and item.key in data:
        return data[item.key]
    if item.optional:
        return None
    what = "does not exist" if data is None else f"has no key '{item.key}'"
    return Problem(f"discoveryProperties.{item.name}", f"{kind} {item.source} {what}")

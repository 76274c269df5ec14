"""Discovery properties: values for a handler, written out or fetched from a Secret or ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from akri.core.ids import ObjectKey

__all__ = ["DiscoveryProperty", "FromConfigMap", "FromSecret", "Literal", "Reference"]


@frozen
class Literal:
    """A value written out in the Configuration."""

    name: str
    value: str


@frozen
class FromSecret:
    """A value in a Secret: which one, its key (None: the whole Secret has no meaning upstream, so it is a problem), and whether it may be missing."""

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

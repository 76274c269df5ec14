"""Stored objects of Akri's own kinds as values: what the watches and reads of both platforms make of JSON.

What cannot be used raises; a watch then counts the object as absent. A Configuration never does: one that is unusable is a
value of its own, for its user is to be told.
"""

from __future__ import annotations

from typing import Final, TypeVar

from akri.core.codec import UnreadableObject, observe_configuration, observe_instance, observe_report
from akri.core.errors import InvalidDocumentError
from akri.core.instance import Instance
from akri.core.metadata import JsonObject
from akri.core.reports import DiscoveryReport
from akri.platforms.kubernetes.reading import members
from akri.ports import ConfigurationObservation

__all__ = ["configuration", "instance", "report"]

_T = TypeVar("_T")
_MANAGED_FIELDS: Final = "managedFields"


def configuration(document: JsonObject) -> ConfigurationObservation:
    """Read a Configuration as the server has it, usable or not; never raises."""
    return observe_configuration(_trimmed(document))


def instance(document: JsonObject) -> Instance:
    """Read an Instance as the server has it; raises InvalidDocumentError with all that is wrong with it."""
    return _usable(observe_instance(_trimmed(document)))


def report(document: JsonObject) -> DiscoveryReport:
    """Read a DiscoveryReport as the server has it; raises InvalidDocumentError with all that is wrong with it."""
    return _usable(observe_report(_trimmed(document)))


def _usable(found: _T | UnreadableObject) -> _T:
    if isinstance(found, UnreadableObject):
        raise InvalidDocumentError(f"{found.kind} {found.key}", found.problems)
    return found


def _trimmed(document: JsonObject) -> JsonObject:
    # Who wrote which field is the longest part of an object and read by nobody here.
    metadata = members(document.get("metadata"))
    if _MANAGED_FIELDS not in metadata:
        return document
    return {**document, "metadata": {name: value for name, value in metadata.items() if name != _MANAGED_FIELDS}}

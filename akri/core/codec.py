"""Configurations, Instances and reports as JSON, in both directions (compat.md, "Resources").

Strict for what users write: every problem at once, each with its path. Tolerant for what is read back from a store, where
upstream, older and newer versions wrote too: fields that are not known are passed over, and what cannot be read at all
becomes a value that says why, so that one bad object never ends a watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from attrs import frozen

from akri.core.codec_converter import FlawError, structure
from akri.core.codec_documents import ConfigurationDocument, InstanceDocument, MetadataDocument, ReportDocument
from akri.core.codec_print import API_VERSION, print_configuration, print_instance, print_owner, print_report, print_status
from akri.core.configuration import (
    ANNOTATION_GRACE,
    ANNOTATION_POLL_INTERVAL,
    Configuration,
    UnreadableConfiguration,
    seconds_of,
)
from akri.core.errors import InvalidDocumentError, Problem, short
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta
from akri.core.properties import DEFAULT_NAMESPACE
from akri.core.reports import DiscoveryReport

__all__ = [
    "API_VERSION",
    "UnreadableObject",
    "observe_configuration",
    "observe_instance",
    "observe_report",
    "print_configuration",
    "print_instance",
    "print_owner",
    "print_report",
    "print_status",
    "read_configuration",
]

_T = TypeVar("_T")


@frozen
class UnreadableObject:
    """A stored Instance or DiscoveryReport that cannot be used, and everything that is wrong with it."""

    kind: str
    key: ObjectKey
    problems: tuple[Problem, ...]


def read_configuration(document: JsonObject) -> Configuration:
    """Read a Configuration that a user wrote; raise InvalidDocumentError with all that is wrong with it."""
    problems = [*_heading_problems(document), *_annotation_problems(document)]
    configuration: Configuration | None = None
    try:
        configuration = structure(document, ConfigurationDocument, strict=True).value()
    except FlawError as error:
        problems += error.problems
    if problems or configuration is None:
        raise InvalidDocumentError(f"Configuration {_key(document)}", problems)
    return configuration


def observe_configuration(document: JsonObject) -> Configuration | UnreadableConfiguration:
    """Read a Configuration that a store holds, as far as it can be read; never raises."""
    try:
        return structure(document, ConfigurationDocument, strict=False).value()
    except FlawError as error:
        return UnreadableConfiguration(_metadata(document), error.problems)


def observe_instance(document: JsonObject) -> Instance | UnreadableObject:
    """Read an Instance that a store holds, as far as it can be read; never raises."""
    return _observe("Instance", document, lambda: structure(document, InstanceDocument, strict=False).value())


def observe_report(document: JsonObject) -> DiscoveryReport | UnreadableObject:
    """Read a DiscoveryReport that a store holds, as far as it can be read; never raises."""
    return _observe("DiscoveryReport", document, lambda: structure(document, ReportDocument, strict=False).value())


def _observe(kind: str, document: JsonObject, read: Callable[[], _T]) -> _T | UnreadableObject:
    try:
        return read()
    except FlawError as error:
        return UnreadableObject(kind, _key(document), error.problems)


def _heading_problems(document: JsonObject) -> Iterator[Problem]:
    for place, expected in (("apiVersion", API_VERSION), ("kind", "Configuration")):
        found = document.get(place)
        if found is None:
            yield Problem(place, f"is missing: expected '{expected}'")
        elif isinstance(found, str) and found != expected:
            yield Problem(place, f"{short(found)} is not valid: expected '{expected}'")


def _annotation_problems(document: JsonObject) -> Iterator[Problem]:
    annotations = _mapping(_mapping(document.get("metadata")).get("annotations"))
    for name in (ANNOTATION_GRACE, ANNOTATION_POLL_INTERVAL):
        text = annotations.get(name)
        if isinstance(text, str) and seconds_of(text) is None:
            yield Problem(f"metadata.annotations.{name}", f"{short(text)} is not valid: expected seconds, as in '300' or '0.5'")


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _key(document: JsonObject) -> ObjectKey:
    """Tell which object this is, also where its metadata is not as it should be."""
    metadata = _mapping(document.get("metadata"))
    name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
    return ObjectKey(namespace if isinstance(namespace, str) else "", name if name and isinstance(name, str) else "(no name)")


def _metadata(document: JsonObject) -> ObjectMeta:
    try:
        return structure(document.get("metadata"), MetadataDocument, strict=False).value()
    except FlawError:
        return ObjectMeta(_key(document))

"""What is wrong with the documents of a file, each problem with its line: `akri validate` without its words and exit codes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from attrs import evolve, frozen

from akri.core.codec import API_VERSION, UnreadableObject, observe_instance, observe_report, read_configuration
from akri.core.configuration import Configuration
from akri.core.edits import unusual_property_names
from akri.core.errors import InvalidDocumentError, Problem, short
from akri.core.ids import HandlerName
from akri.core.metadata import Json, JsonObject
from akri.core.naming import name_collisions
from akri.manifests import Manifest, read_manifests

__all__ = ["DetailsChecks", "Finding", "Severity", "check_files", "other_objects", "usable_configurations"]

DetailsChecks: TypeAlias = Mapping[HandlerName, Callable[[object], object]]
"""For the handlers that we know: what reads their details (a YAML document) and raises InvalidDocumentError."""


class Severity(Enum):
    """What a finding means for the person who wrote the file."""

    PROBLEM = "problem"  # it would be refused
    WARNING = "warning"  # it works, and probably not as meant
    NOTE = "note"  # what was looked at


@frozen
class Finding:
    """Something to say about a file; `problem.line` is a line of that file, 0 for all of it."""

    file: str
    problem: Problem
    severity: Severity = Severity.PROBLEM


@frozen
class _Checked:
    file: str
    prefix: str
    manifest: Manifest
    configuration: Configuration


def check_files(files: Sequence[tuple[str, str]], details: DetailsChecks) -> tuple[Finding, ...]:
    """Check files, given as name and text, on their own and against each other; findings come in the order of the lines."""
    findings: list[Finding] = []
    checked: list[_Checked] = []
    for file, text in files:
        manifests = read_manifests(text)
        here = [Finding(file, problem) for problem in manifests.problems]
        if not manifests.documents and not here:
            here.append(Finding(file, Problem("", "no document in it: expected a Configuration")))
        for manifest in manifests.documents:
            here += _check_manifest(file, manifest, details, checked)
        findings += sorted(here, key=lambda finding: finding.problem.line)
    return (*findings, *_collisions(checked))


def usable_configurations(texts: Sequence[str], namespace: str = "") -> tuple[Configuration, ...]:
    """Read the Configurations that can be used, and leave out everything else; `check_files` says why.

    namespace: of those that name none; "" for the usual default.
    """
    documents = (_in_namespace(document, namespace) for document in _documents(texts))
    return tuple(read for document in documents if isinstance(read := _read_object(document), Configuration))


def other_objects(texts: Sequence[str]) -> tuple[str, ...]:
    """Name the objects of other kinds that stand among the Configurations: `Secret safe`."""
    others = (document for document in _documents(texts) if isinstance(document, Mapping))
    return tuple(f"{document.get('kind')} {_member(document.get('metadata'), 'name')}" for document in others if _is_other(document))


def _is_other(document: JsonObject) -> bool:
    return isinstance(_read_object(document), str)


def _documents(texts: Sequence[str]) -> Iterator[Json]:
    return (document for text in texts for manifest in read_manifests(text).documents for _, document in _objects(manifest.document))


def _in_namespace(document: Json, namespace: str) -> Json:
    metadata = _member(document, "metadata")
    if not namespace or not isinstance(document, Mapping) or not isinstance(metadata, Mapping) or "namespace" in metadata:
        return document
    return {**document, "metadata": {**metadata, "namespace": namespace}}


def _read_object(document: Json) -> Configuration | str | None:
    try:
        return _check_object(document) if isinstance(document, Mapping) else None
    except InvalidDocumentError:
        return None


def _check_manifest(file: str, manifest: Manifest, details: DetailsChecks, checked: list[_Checked]) -> Iterator[Finding]:
    for prefix, document in _objects(manifest.document):
        if not isinstance(document, Mapping):
            yield Finding(file, Problem(prefix, f"{short(document)} is not valid: expected an object", manifest.line_of(prefix)))
            continue
        problems: list[Problem] = []
        warnings: list[Problem] = []
        notes: list[Problem] = []
        try:
            read = _check_object(document)
        except InvalidDocumentError as error:
            problems += [_placed(problem, prefix, manifest) for problem in error.problems]
        else:
            notes.append(Problem("", read if isinstance(read, str) else f"Configuration {read.key} is valid", manifest.line_of(prefix)))
            if isinstance(read, Configuration):
                checked.append(_Checked(file, prefix, manifest, read))
                warnings += [_placed(problem, prefix, manifest) for problem in _warnings(read)]
                notes += [_placed(problem, prefix, manifest) for problem in _notes(read, details)]
        problems += _details_problems(document, details, manifest, prefix)
        yield from (Finding(file, problem) for problem in problems)
        yield from (Finding(file, problem, Severity.WARNING) for problem in warnings)
        yield from (Finding(file, problem, Severity.NOTE) for problem in notes if not problems)


def _objects(document: Json) -> Iterator[tuple[str, Json]]:
    """Take lists apart."""
    if isinstance(document, Mapping) and str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        items = document["items"]
        yield from ((f"items[{index}]", item) for index, item in enumerate(items if isinstance(items, list) else ()))
    else:
        yield "", document


def _check_object(document: JsonObject) -> Configuration | str:
    """Read a Configuration; for a good object of another kind, say what became of it."""
    kind, version = document.get("kind"), document.get("apiVersion")
    ours = isinstance(version, str) and version.partition("/")[0] == API_VERSION.partition("/")[0]
    if kind == "Instance" and ours:
        read: object = observe_instance(document)
    elif kind == "DiscoveryReport" and ours:
        read = observe_report(document)
    elif kind == "Configuration" or ours or kind is None:
        return read_configuration(document)
    else:
        return f"{short(kind)} is not a Configuration and was not checked"
    if isinstance(read, UnreadableObject):
        raise InvalidDocumentError(f"{read.kind} {read.key}", read.problems)
    return f"{kind} is readable"


def _placed(problem: Problem, prefix: str, manifest: Manifest) -> Problem:
    place = f"{prefix}.{problem.place}" if prefix and problem.place else prefix or problem.place
    return evolve(problem, place=place, line=manifest.line_of(place))


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, Mapping) else None


def _details_problems(document: JsonObject, details: DetailsChecks, manifest: Manifest, prefix: str) -> Iterator[Problem]:
    """Check the details of a handler that we know, whatever else is wrong with the document."""
    asked = _member(_member(document, "spec"), "discoveryHandler")
    handler, text = _member(asked, "name"), _member(asked, "discoveryDetails")
    check = details.get(HandlerName(handler)) if isinstance(handler, str) else None
    if check is None or not isinstance(text, str | None):
        return
    outer = _placed(Problem("spec.discoveryHandler.discoveryDetails", ""), prefix, manifest)
    for problem in _inner_problems(text or "", check):
        message = f"{problem.place}: {problem.message}" if problem.place else problem.message
        line = outer.line + problem.line if outer.place in manifest.blocks else outer.line
        yield Problem(outer.place, message, line)


def _inner_problems(text: str, check: Callable[[object], object]) -> Iterator[Problem]:
    inner = read_manifests(text)
    yield from inner.problems
    document = inner.documents[0] if inner.documents else Manifest(None, 0, {})
    if len(inner.documents) > 1:
        yield Problem("", "more than one YAML document: expected one", inner.documents[1].line)
    elif not inner.problems:
        try:
            check(document.document)
        except InvalidDocumentError as error:
            yield from (evolve(problem, line=document.line_of(problem.place)) for problem in error.problems)


def _warnings(configuration: Configuration) -> Iterator[Problem]:
    for name in unusual_property_names(configuration.broker_properties):
        yield Problem(f"spec.brokerProperties.{name}", "a shell cannot read a variable of this name")


def _notes(configuration: Configuration, details: DetailsChecks) -> Iterator[Problem]:
    handler = configuration.discovery.handler
    if handler not in details:
        yield Problem("spec.discoveryHandler.name", f"the details of handler {short(handler)} were not checked: only it knows them")


def _collisions(checked: Sequence[_Checked]) -> Iterator[Finding]:
    by_key = {item.configuration.key: item for item in checked}
    for refusal in name_collisions([item.configuration for item in checked], ()):
        item = by_key[refusal.key]
        message = f"{refusal.key} and {refusal.other} would share the kubelet resource {refusal.resource}: the younger one would be refused"
        yield Finding(item.file, _placed(Problem("metadata.name", message), item.prefix, item.manifest))

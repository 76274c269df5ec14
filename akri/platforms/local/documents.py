"""What the local platform stores, as JSON documents, in both directions.

Configurations and Instances look as everywhere (`akri.core.codec`), so that people can read them and other versions as well; the
rest follows its values field by field. Fields that are not known are passed over, and those that are missing have their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, Generic, TypeVar, cast, get_args, get_origin

from attrs import frozen, resolve_types
from cattrs import Converter

from akri.core.codec import UnreadableObject, observe_configuration, observe_instance, print_configuration, print_instance
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.errors import InvalidDocumentError, InvalidValueError, Problem
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta
from akri.core.reports import ConfigurationStatus, DiscoveryReport, PastEvent
from akri.platforms.local.objects import Job, Node, Pod, Service
from akri.ports import ConfigurationObservation

__all__ = [
    "CONFIGURATION",
    "EVENT",
    "INSTANCE",
    "JOB",
    "NODE",
    "POD",
    "REPORT",
    "SERVICE",
    "STATUS",
    "Form",
]

_T = TypeVar("_T")
_DELETING: Final = "1970-01-01T00:00:00Z"
"""deletionTimestamp of an object that waits for its finalizers; when that was asked nobody has to know."""


@frozen
class Form(Generic[_T]):
    """How values of one kind are written and read.

    write: gives plain dictionaries and lists, ready for `json.dumps`. read: raises InvalidDocumentError for what it cannot read.
    """

    kind: str
    write: Callable[[_T], JsonObject]
    read: Callable[[JsonObject], _T]


def _write_configuration(configuration: ConfigurationObservation) -> JsonObject:
    if isinstance(configuration, Configuration):
        return _marked(print_configuration(configuration), configuration.metadata)
    problems = [{"place": one.place, "message": one.message, "line": one.line} for one in configuration.problems]
    bare = _converter().unstructure(configuration.metadata, ObjectMeta)
    return {"unreadable": bare, "problems": problems}


def _read_configuration(document: JsonObject) -> ConfigurationObservation:
    if "unreadable" not in document:
        return observe_configuration(document)
    metadata = _structured("Configuration", document["unreadable"], ObjectMeta)
    return UnreadableConfiguration(metadata, _structured("Configuration", document.get("problems", ()), tuple[Problem, ...]))


def _write_instance(instance: Instance) -> JsonObject:
    return _marked(print_instance(instance), instance.metadata)


def _read_instance(document: JsonObject) -> Instance:
    instance = observe_instance(document)
    if isinstance(instance, UnreadableObject):
        raise InvalidDocumentError(f"Instance {instance.key}", instance.problems)
    return instance


def _marked(document: JsonObject, metadata: ObjectMeta) -> JsonObject:
    """Add what the codec leaves to a server."""
    if not metadata.deleting:
        return document
    return {**document, "metadata": {**cast("JsonObject", document["metadata"]), "deletionTimestamp": _DELETING}}


def _structured(kind: str, document: object, shape: type[_T]) -> _T:
    try:
        return _converter().structure(document, shape)
    except (InvalidValueError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidDocumentError(kind, [Problem("", str(error))]) from error


def _form(kind: str, shape: type[_T]) -> Form[_T]:
    def write(value: _T) -> JsonObject:
        return cast("JsonObject", _converter().unstructure(value, shape))

    def read(document: JsonObject) -> _T:
        return _structured(kind, document, shape)

    return Form(kind, write, read)


def _is_json(shape: object) -> bool:
    """Whether this is JsonObject, whose own name in it is resolved or not."""
    return get_origin(shape) is Mapping and get_args(shape)[1] not in {str, int}


def _as_it_is(value: object, _type: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        message = f"expected an object, found {type(value).__name__}"
        raise TypeError(message)
    return cast("Mapping[str, object]", value)


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=False, omit_if_default=True)
    for shape in (Pod, Job, Service):  # the names in which JsonObject describes itself are not those of their module
        resolve_types(shape, localns={"Json": Json, "Mapping": Mapping, "Sequence": Sequence})
    converter.register_structure_hook_func(_is_json, _as_it_is)
    converter.register_unstructure_hook_func(_is_json, _plain)
    return converter


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, str) or not isinstance(value, list | tuple):
        return value
    return [_plain(part) for part in value]


CONFIGURATION: Final = Form("Configuration", _write_configuration, _read_configuration)
STATUS: Final = _form("ConfigurationStatus", ConfigurationStatus)
INSTANCE: Final = Form("Instance", _write_instance, _read_instance)
REPORT: Final = _form("DiscoveryReport", DiscoveryReport)
NODE: Final = _form("Node", Node)
POD: Final = _form("Pod", Pod)
JOB: Final = _form("Job", Job)
SERVICE: Final = _form("Service", Service)
EVENT: Final = _form("Event", PastEvent)

"""How JSON becomes the classes of `codec_documents`: cattrs, taught not to guess and to report every problem with its path.

By itself cattrs makes integers of "3" and True and a list of characters of a text, and its messages lose the text of our
own errors. So hooks read the leaves, and each level turns what went wrong below it into problems with their path.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import cache, partial
from typing import Final, TypeAlias, TypeVar, cast, get_args, get_origin

from attrs import AttrsInstance, fields, has
from cattrs import AttributeValidationNote, ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from akri.core import codec_documents as shapes
from akri.core.configuration import EXPECTED_CAPACITY, require_capacity, require_handler
from akri.core.device import property_errors
from akri.core.errors import InvalidValueError, Problem, short
from akri.core.metadata import JsonObject
from akri.core.properties import EXPECTED_PROPERTY_NAME, require_property_name

__all__ = ["FlawError", "structure"]

_Document = TypeVar("_Document")
_T = TypeVar("_T")
_Hook: TypeAlias = Callable[[object, object], object]

_INTEGER: Final = re.compile(r"[0-9]{1,20}")
_KINDS: Final[tuple[tuple[type[object], str], ...]] = (
    (bool, "a truth value"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (Mapping, "an object"),
    (Sequence, "a list"),
)


class FlawError(Exception):
    """Everything that is wrong with one part of a document; places are relative to it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take the problems, at least one."""
        super().__init__()
        self.problems = tuple(problems)


def structure(document: object, shape: type[_Document], *, strict: bool) -> _Document:
    """Read a document of the given shape; raise FlawError with all its problems. Strict: a field that is not known is one."""
    return _converter(strict=strict).structure(document, shape)


def _beneath(place: str, error: FlawError) -> Iterator[Problem]:
    for problem in error.problems:
        dot = "." if place and problem.place and not problem.place.startswith("[") else ""
        yield Problem(f"{place}{dot}{problem.place}", problem.message)


def _wrong_type(value: object, expected: str) -> FlawError:
    shown = short(value)
    kind = next((name for kind, name in _KINDS if isinstance(value, kind)), "no value")
    hint = " (quotes make a text of it)" if expected.startswith("a text") and isinstance(value, int | float) else ""
    return FlawError([Problem("", f"{shown} is {kind}: expected {expected}{hint}")])


def _of_type(kind: type[_T], expected: str, value: object) -> _T:
    # A bool is an int for Python, and never for a person.
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise _wrong_type(value, expected)


def _as_mapping(value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise _wrong_type(value, "an object")
    return cast("Mapping[object, object]", value)


def _as_list(value: object) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
        raise _wrong_type(value, "a list")
    return cast("Sequence[object]", value)


def _leaf(kind: type[_T], expected: str, read: Callable[[_T], object] | None = None) -> _Hook:
    """Make a hook for values of one JSON type, which `read` checks and turns into something else."""

    def hook(value: object, _type: object) -> object:
        typed = _of_type(kind, expected, value)
        try:
            return read(typed) if read else typed
        except InvalidValueError as error:
            raise FlawError([Problem("", error.problem.message)]) from error

    return hook


def _count(value: int) -> int:
    if value < 0:
        raise InvalidValueError("", value, "0 or more")
    return value


def _named(value: str) -> str:
    if not value or not value.isprintable():
        raise InvalidValueError("", value, "a name that is not empty, without control characters")
    return value


def _revision(value: str) -> int:
    if value and not _INTEGER.fullmatch(value):
        raise InvalidValueError("", value, "a whole number as a text")
    return int(value or "0")


def _timestamp(value: str) -> float:
    expected = "a time as in '2024-05-01T12:00:00Z'"
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidValueError("", value, expected) from error
    if moment.tzinfo is None:
        raise InvalidValueError("", value, expected)
    return moment.timestamp()


def _json_object(value: object, _type: object) -> JsonObject:
    """Make sure that an object which Akri hands through is JSON: no dates, no NaN, no keys but texts."""
    problems: list[Problem] = []
    pending: list[tuple[str, object]] = [("", _as_mapping(value))]
    while pending:
        place, part = pending.pop()
        match part:
            case None | bool() | int() | str():
                pass
            case float() if math.isfinite(part):
                pass
            case Mapping():
                members = _as_mapping(cast("object", part))
                pending += [(f"{place}.{key}" if place else str(key), item) for key, item in members.items()]
                problems += [Problem(place, f"key {short(key)} is not a text") for key in members if not isinstance(key, str)]
            case list() | tuple():
                pending += [(f"{place}[{index}]", item) for index, item in enumerate(_as_list(cast("object", part)))]
            case _:
                problems.append(Problem(place, f"{short(part)} is not valid: expected a value that JSON has"))
    if problems:
        raise FlawError(problems)
    return cast("JsonObject", value)


def _collect(parts: Iterable[tuple[str, object]], kind: object, converter: Converter) -> list[object]:
    """Read each part, so that the problems of all of them are found."""
    problems: list[Problem] = []
    values: list[object] = []
    for place, part in parts:
        try:
            values.append(converter.structure(part, cast("type[object]", kind)))
        except FlawError as error:
            problems += _beneath(place, error)
    if problems:
        raise FlawError(problems)
    return values


def _tuple_hook(converter: Converter, value: object, kind: object) -> tuple[object, ...]:
    parts = ((f"[{index}]", item) for index, item in enumerate(_as_list(value)))
    return tuple(_collect(parts, get_args(kind)[0], converter))


def _mapping_hook(converter: Converter, value: object, kind: object) -> Mapping[str, object]:
    members = {str(key): item for key, item in _as_mapping(value).items()}
    return dict(zip(members, _collect(members.items(), get_args(kind)[1], converter), strict=True))


def _properties_hook(converter: Converter, value: object, _kind: object) -> object:
    problems: list[Problem] = []
    properties: Mapping[str, object] = {}
    members = _as_mapping(value)
    try:
        properties = _mapping_hook(converter, members, Mapping[str, str])
    except FlawError as error:
        problems += error.problems
    texts = {str(key): item for key, item in members.items() if isinstance(item, str)}
    problems += [Problem(error.place.removeprefix("."), error.problem.message) for error in property_errors(texts, "")]
    if problems:
        raise FlawError(problems)
    return properties


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _object_factory(shape: type[AttrsInstance], converter: Converter) -> _Hook:
    """Make the hook of one class: nothing written means absent, and the class's check runs whatever else is wrong."""
    names = {attribute.name: _camel(attribute.name) for attribute in fields(shape)}
    renamed = {name: override(rename=written) for name, written in names.items()}
    build = make_dict_structure_fn(shape, converter, **renamed)  # type: ignore[arg-type]
    check = shapes.CHECKS.get(shape)
    known = frozenset(names.values())

    def hook(value: object, _type: object) -> object:
        present = {str(key): item for key, item in _as_mapping(value).items() if item is not None or key not in known}
        problems = list(check(present)) if check else []
        result: object = None
        try:
            result = build(present, shape)
        except ClassValidationError as group:
            problems += [problem for error in group.exceptions for problem in _problems(error, known)]
        if problems:
            raise FlawError(problems)
        return result

    return hook


def _problems(error: BaseException, known: frozenset[str]) -> Iterator[Problem]:
    """Say what is wrong with one field of an object."""
    if isinstance(error, ForbiddenExtraKeysError):
        for name in sorted(error.extra_fields):
            close = get_close_matches(name, known, 1)
            yield Problem(name, "unknown field" + (f": did you mean '{close[0]}'?" if close else ""))
        return
    note = next(note for note in error.__notes__ if isinstance(note, AttributeValidationNote))
    if isinstance(error, FlawError):
        yield from _beneath(_camel(note.name), error)
    else:
        yield Problem(_camel(note.name), f"is missing: expected {_EXPECTED.get(note.type, 'an object')}")


_EXPECTED: Final[dict[object, str]] = {
    str: "a text",
    shapes.NameText: "a name",
    shapes.HandlerText: "the name of a discovery handler",
    shapes.PropertyText: EXPECTED_PROPERTY_NAME,
}
_LEAVES: Final[tuple[tuple[object, _Hook], ...]] = (
    (str, _leaf(str, "a text")),
    (bool, _leaf(bool, "true or false")),
    (shapes.Capacity, _leaf(int, EXPECTED_CAPACITY, require_capacity)),
    (shapes.Count, _leaf(int, "a whole number, 0 or more", _count)),
    (shapes.NameText, _leaf(str, "a text", _named)),
    (shapes.HandlerText, _leaf(str, "a text", require_handler)),
    (shapes.DetailsText, _leaf(str, "a text: its YAML goes after 'discoveryDetails: |'")),
    (shapes.PropertyText, _leaf(str, "a text", require_property_name)),
    (shapes.Revision, _leaf(str, "a text", _revision)),
    (shapes.Timestamp, _leaf(str, "a text", _timestamp)),
)


def _origin(origin: object, kind: object) -> bool:
    return get_origin(kind) is origin


@cache
def _converter(*, strict: bool) -> Converter:
    converter = Converter(forbid_extra_keys=strict)
    converter.register_structure_hook_func(partial(_origin, tuple), partial(_tuple_hook, converter))
    converter.register_structure_hook_func(partial(_origin, Mapping), partial(_mapping_hook, converter))
    converter.register_structure_hook_func(partial(operator.eq, JsonObject), _json_object)
    for kind, hook in _LEAVES:
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook(shapes.BrokerProperties, partial(_properties_hook, converter))
    converter.register_structure_hook_factory(has, _object_factory)
    return converter

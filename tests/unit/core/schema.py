"""As much of the API server's schema validation as our definitions and upstream's need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from akri.core.metadata import Json, JsonObject

__all__ = ["flaws", "schema_of"]

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}
_KNOWN = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minimum",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


def schema_of(definition: Json) -> JsonObject:
    """The schema of a definition's only version."""
    spec = cast("Mapping[str, JsonObject]", cast("JsonObject", definition)["spec"])
    (version,) = cast("Sequence[Mapping[str, JsonObject]]", spec["versions"])
    return cast("JsonObject", version["schema"]["openAPIV3Schema"])


def flaws(value: Json, schema: JsonObject, place: str = "") -> Iterator[str]:
    """What is wrong with a value; a keyword that is not known here is an error of the test."""
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if value is None and schema.get("nullable"):
        return
    kind = cast("str | None", schema.get("type"))
    if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{place}: not of type {kind}"
        return
    yield from _scalar(value, schema, place)
    if isinstance(value, Mapping):
        yield from _object(value, schema, place)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _array(value, schema, place)


def _scalar(value: Json, schema: JsonObject, place: str) -> Iterator[str]:
    if "enum" in schema and value not in cast("Sequence[Json]", schema["enum"]):
        yield f"{place}: not in enum"
    if isinstance(value, str):
        if not re.search(str(schema.get("pattern", "")), value):
            yield f"{place}: pattern"
        if len(value) > cast("int", schema.get("maxLength", len(value))):
            yield f"{place}: maxLength"
    if isinstance(value, int) and value < cast("float", schema.get("minimum", value)):
        yield f"{place}: minimum"
    if isinstance(value, int) and value > cast("float", schema.get("maximum", value)):
        yield f"{place}: maximum"


def _object(value: JsonObject, schema: JsonObject, place: str) -> Iterator[str]:
    properties = cast("Mapping[str, JsonObject]", schema.get("properties", {}))
    rest = cast("JsonObject | None", schema.get("additionalProperties"))
    for name, item in value.items():
        inner = properties.get(name, rest)
        if inner is not None:
            yield from flaws(item, inner, f"{place}.{name}")
    yield from (f"{place}: {name} is required" for name in cast("Sequence[str]", schema.get("required", [])) if name not in value)
    alternatives = cast("Sequence[JsonObject]", schema.get("oneOf", []))
    if alternatives and sum(not list(flaws(value, alternative)) for alternative in alternatives) != 1:
        yield f"{place}: oneOf"
    if len(value) > cast("int", schema.get("maxProperties", len(value))):
        yield f"{place}: maxProperties"


def _array(value: Sequence[Json], schema: JsonObject, place: str) -> Iterator[str]:
    for index, item in enumerate(value):
        yield from flaws(item, cast("JsonObject", schema["items"]), f"{place}[{index}]")
    if len(value) > cast("int", schema.get("maxItems", len(value))):
        yield f"{place}: maxItems"
    if schema.get("x-kubernetes-list-type") == "set" and any(item in value[:index] for index, item in enumerate(value)):
        yield f"{place}: duplicate"

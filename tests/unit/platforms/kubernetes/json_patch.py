"""RFC 6902 and RFC 7386 as far as the platform uses them: what an API server does with a patch, to test patches without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from akri.core.metadata import Json, JsonObject

__all__ = ["PatchRefusedError", "apply", "merge"]


class PatchRefusedError(Exception):
    """A `test` failed, or a path is not there: nothing is changed."""


def apply(document: JsonObject, operations: Json) -> JsonObject:
    """Apply a JSON patch."""
    changed: Json = document
    for operation in _sequence(operations):
        step = _object(operation)
        path = [part.replace("~1", "/").replace("~0", "~") for part in str(step["path"]).split("/")[1:]]
        changed = _at(changed, path, str(step["op"]), step.get("value"))
    return _object(changed)


def merge(document: Json, patch: Json) -> Json:
    """Apply a merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, Json] = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _at(place: Json, path: Sequence[str], operation: str, value: Json) -> Json:
    """The place with one operation carried out on what the path leads to from there."""
    first, *rest = path
    act = _on_object if isinstance(place, Mapping) else _on_list
    return act(place, first, operation, value, (lambda inner: _at(inner, rest, operation, value)) if rest else None)


def _on_object(place: Json, name: str, operation: str, value: Json, deeper: Callable[[Json], Json] | None) -> Json:
    members = dict(_object(place))
    if name not in members and (deeper is not None or operation != "add"):
        raise PatchRefusedError(name)
    if deeper is not None:
        return {**members, name: deeper(members[name])}
    if operation == "remove":
        return {key: member for key, member in members.items() if key != name}
    return {**members, name: _tested(members[name], value) if operation == "test" else value}


def _on_list(place: Json, position: str, operation: str, value: Json, deeper: Callable[[Json], Json] | None) -> Json:
    items = list(_sequence(place))
    assert deeper is None
    if operation == "add":
        assert position == "-"
        return [*items, value]
    index = int(position)
    if index >= len(items):
        raise PatchRefusedError(position)
    if operation == "test":
        return [*items[:index], _tested(items[index], value), *items[index + 1 :]]
    assert operation == "remove"
    return [*items[:index], *items[index + 1 :]]


def _tested(found: Json, expected: Json) -> Json:
    if found != expected:
        message = f"{found!r} is not {expected!r}"
        raise PatchRefusedError(message)
    return found


def _object(value: Json) -> JsonObject:
    assert isinstance(value, Mapping)
    return value


def _sequence(value: Json) -> Sequence[Json]:
    assert isinstance(value, Sequence)
    assert not isinstance(value, str)
    return value

"""Discovery properties: what to fetch, how it is combined, and that fetched values are never printed."""

from __future__ import annotations

from typing import Final

import pytest

from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey
from akri.core.properties import DiscoveryProperty, FromConfigMap, FromSecret, Literal, Resolved, needs, require_property_name, resolve

SECRET = ObjectKey("default", "logins")
MAP = ObjectKey("other", "settings")
USER = Literal("user", "admin")
PASSWORD = FromSecret("password", SECRET, "pass")
LEVEL = FromConfigMap("level", MAP, "level")
ALL: Final[list[DiscoveryProperty]] = [USER, PASSWORD, LEVEL]


def test_needs_are_the_references() -> None:
    assert needs([USER, PASSWORD, LEVEL]) == (PASSWORD, LEVEL)
    assert needs([]) == ()


def test_values_are_combined() -> None:
    resolved = resolve(ALL, {SECRET: {"pass": b"\x00\xff"}}, {MAP: {"level": b"3", "x": b""}})
    assert resolved == Resolved({"user": b"admin", "password": b"\x00\xff", "level": b"3"})
    assert resolved.missing == ()


def test_secrets_and_config_maps_of_one_name_are_kept_apart() -> None:
    properties: list[DiscoveryProperty] = [FromSecret("a", SECRET, "k"), FromConfigMap("b", SECRET, "k")]
    assert dict(resolve(properties, {SECRET: {"k": b"1"}}, {SECRET: {"k": b"2"}}).values) == {"a": b"1", "b": b"2"}


def test_what_is_missing_is_named() -> None:
    resolved = resolve(ALL, {SECRET: {"other": b"hush"}}, {})
    assert dict(resolved.values) == {"user": b"admin"}
    assert [str(problem) for problem in resolved.missing] == [
        "discoveryProperties.password: Secret default/logins has no key 'pass'",
        "discoveryProperties.level: ConfigMap other/settings does not exist",
    ]


def test_what_is_optional_may_be_missing() -> None:
    optional: list[DiscoveryProperty] = [FromSecret("a", SECRET, "k", optional=True), FromConfigMap("b", MAP, "k", optional=True)]
    assert resolve(optional, {SECRET: {}}, {}) == Resolved()


def test_the_later_of_two_properties_counts() -> None:
    assert dict(resolve([USER, Literal("user", "guest")], {}, {}).values) == {"user": b"guest"}


def test_resolved_values_are_never_printed() -> None:
    resolved = resolve([PASSWORD], {SECRET: {"pass": b"hush"}}, {})
    assert resolved.values["password"] == b"hush"
    assert "hush" not in repr(resolved)


def test_a_resolved_value_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Resolved({"a": b""}).values["a"] = b"1"  # type: ignore[index]


@pytest.mark.parametrize("name", ["a", "_", "A_1"])
def test_property_names(name: str) -> None:
    assert require_property_name(name) == name


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a\n", "ä"])
def test_other_property_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^name: .* expected letters, digits and '_', not beginning with a digit$"):
        require_property_name(name)

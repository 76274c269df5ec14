"""Fields of objects, and what stands for those that are not there."""

from __future__ import annotations

import pytest

from akri.core.metadata import Json
from akri.platforms.kubernetes.reading import items, members, seconds, text, texts

OTHER: tuple[Json, ...] = (None, 3, True, 0.5)


@pytest.mark.parametrize("value", OTHER)
def test_what_is_not_there_is_empty(value: Json) -> None:
    assert (members(value), list(items(value)), text(value), texts(value), seconds(value)) == ({}, [], "", (), 0.0)


def test_what_is_there_is_handed_out() -> None:
    assert members({"a": 1}) == {"a": 1}
    assert list(items([{"a": 1}, "b", {}])) == [{"a": 1}, {}]
    assert list(items("abc")) == []
    assert text("a") == "a"
    assert texts(["a", 1, "b"]) == ("a", "b")
    assert texts("abc") == ()


def test_times() -> None:
    assert seconds("1970-01-01T00:01:00Z") == 60.0
    assert seconds("1970-01-01T00:00:00.250000Z") == 0.25
    assert seconds("1970-01-01T00:01:00") == 0.0
    assert seconds("yesterday") == 0.0

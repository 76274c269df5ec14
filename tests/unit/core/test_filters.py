"""Include and Exclude lists keep what upstream's keep, and say why they drop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.filters import ALL, FilterAction, FilterList, reason_to_drop

INCLUDE, EXCLUDE = FilterAction.INCLUDE, FilterAction.EXCLUDE
values = st.lists(st.sampled_from("abcd"), max_size=4)


@pytest.mark.parametrize(
    ("action", "items", "found", "reason"),
    [
        (INCLUDE, ("a", "b"), ["b"], None),
        (INCLUDE, ("a", "b"), ["x", "a"], None),
        (INCLUDE, ("a", "b"), ["x"], "scopes: not among the included ['a', 'b']"),
        (INCLUDE, ("ab",), ["a"], "scopes: not among the included ['ab']"),
        (INCLUDE, ("a",), [], "scopes: not among the included ['a']"),
        (INCLUDE, (), ["a"], "scopes: not among the included []"),
        (EXCLUDE, ("a", "b"), ["b"], "scopes: among the excluded ['a', 'b']"),
        (EXCLUDE, ("a", "b"), ["x", "a"], "scopes: among the excluded ['a', 'b']"),
        (EXCLUDE, ("a", "b"), ["x"], None),
        (EXCLUDE, (), ["x"], None),
    ],
)
def test_filters(action: FilterAction, items: tuple[str, ...], found: list[str], reason: str | None) -> None:
    assert reason_to_drop("scopes", FilterList(action, items), found) == reason


@given(values, values)
def test_exclude_drops_exactly_what_include_keeps(items: list[str], found: list[str]) -> None:
    included = reason_to_drop("f", FilterList(INCLUDE, tuple(items)), found) is None
    excluded = reason_to_drop("f", FilterList(EXCLUDE, tuple(items)), found) is not None
    assert included == excluded


@given(values)
def test_the_absent_filter_drops_nothing(found: list[str]) -> None:
    assert reason_to_drop("f", ALL, found) is None


def test_the_default_is_to_include_as_upstream_does() -> None:
    assert FilterList().action is FilterAction("Include")
    assert FilterAction("Exclude") is EXCLUDE

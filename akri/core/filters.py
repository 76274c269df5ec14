"""Include and Exclude lists, which several discovery protocols share (compat.md, "Handlers")."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, assert_never

from attrs import frozen

from akri.core.errors import short

__all__ = ["ALL", "FilterAction", "FilterList", "reason_to_drop"]


class FilterAction(Enum):
    """What a filter does with the devices that its items name."""

    INCLUDE = "Include"
    EXCLUDE = "Exclude"


@frozen
class FilterList:
    """Keep the devices that `items` name (Include: so none, if it is empty) or drop them (Exclude). Items are compared whole."""

    action: FilterAction = FilterAction.INCLUDE
    items: tuple[str, ...] = ()


ALL: Final = FilterList(FilterAction.EXCLUDE)
"""The filter that drops nothing; what an absent filter means."""


def reason_to_drop(name: str, filter_list: FilterList, values: Collection[str]) -> str | None:
    """Say why a filter drops a device, None if it keeps it.

    name: of the filter in the details (`scopes`). values: what the device has there; one match counts.
    The text depends on the filter alone, so that a report can count the devices by it.
    """
    named = any(value in filter_list.items for value in values)
    match filter_list.action:
        case FilterAction.INCLUDE:
            return None if named else f"{name}: not among the included {_listed(filter_list)}"
        case FilterAction.EXCLUDE:
            return f"{name}: among the excluded {_listed(filter_list)}" if named else None
    assert_never(filter_list.action)


def _listed(filter_list: FilterList) -> str:
    return short(list(filter_list.items))

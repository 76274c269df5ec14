"""Who holds a slot, and the text form of it in an Instance's deviceUsage (compat.md; upstream's format)."""

from __future__ import annotations

from typing import Final, TypeAlias, assert_never

from attrs import frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import NodeName, VirtualDeviceId

__all__ = ["FREE", "Free", "HeldByConfiguration", "HeldByNode", "Usage", "holder_node", "parse_usage", "print_usage"]

_VIRTUAL: Final = "C:"


@frozen
class Free:
    """Nobody holds the slot; its text is empty."""


@frozen
class HeldByNode:
    """A node holds the slot through the Instance-level resource; its text is the node's name."""

    node: NodeName


@frozen
class HeldByConfiguration:
    """A node holds the slot through the Configuration-level resource; its text is `C:<virtual device id>:<node>`."""

    virtual: VirtualDeviceId
    node: NodeName


Usage: TypeAlias = Free | HeldByNode | HeldByConfiguration
"""State of a slot as all nodes see it."""
FREE: Final = Free()
"""The one free usage."""


def parse_usage(text: str) -> Usage:
    """Read a usage text; raise InvalidValueError for one that nobody of us wrote (no holder can be named then)."""
    if not text:
        return FREE
    if not text.startswith(_VIRTUAL):
        return HeldByNode(_node(text, text))
    virtual, colon, node = text.removeprefix(_VIRTUAL).partition(":")
    holder = _node(node if colon else "", text)
    return HeldByConfiguration(VirtualDeviceId.parse(virtual), holder)


def _node(name: str, text: str) -> NodeName:
    if not name or ":" in name or " " in name or not name.isprintable():
        raise InvalidValueError("deviceUsage", text, "'', '<node>' or 'C:<virtual device id>:<node>'")
    return NodeName(name)


def print_usage(usage: Usage) -> str:
    """Print a usage as an Instance's deviceUsage holds it."""
    match usage:
        case Free():
            return ""
        case HeldByNode(node):
            return node
        case HeldByConfiguration(virtual, node):
            return f"{_VIRTUAL}{virtual}:{node}"
    assert_never(usage)


def holder_node(usage: Usage) -> NodeName | None:
    """Tell which node holds the slot, None for a free one."""
    return None if isinstance(usage, Free) else usage.node

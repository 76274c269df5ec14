"""YAML files as JSON documents that remember their lines, so that a problem can be pointed at in the file that a person edits.

The values are those of JSON: what only YAML has (dates, other tags, keys that are no texts, aliases that grow without end)
becomes a text or a problem. YAML 1.2, as JSON is a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, cast

from attrs import field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from akri.core.errors import Problem, short
from akri.core.metadata import Json

__all__ = ["Manifest", "Manifests", "read_manifests"]

_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"
_PLAIN: Final = frozenset(f"{_TAG}{name}" for name in ("int", "float", "bool", "null"))
_TEXTS: Final = frozenset(f"{_TAG}{name}" for name in ("str", "timestamp", "value", "merge"))
_MAXIMUM_VALUES: Final = 100_000
_MAXIMUM_DEPTH: Final = 100


def _lines(value: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(value))


@frozen
class Manifest:
    """One document of a file.

    lines: for each place in it (`spec.capacity`, `items[0]`) its line, counted from 1. blocks: the places of texts that are
    written as blocks (`key: |`), whose own first line is the one after the key's.
    """

    document: Json
    line: int
    lines: Mapping[str, int] = field(converter=_lines, hash=False)
    blocks: frozenset[str] = frozenset()

    def line_of(self, place: str) -> int:
        """Tell the line of a place; where the document has no such place, that of the nearest one around it."""
        while place not in self.lines:
            cut = max(place.rfind("."), place.rfind("["))
            if cut < 0:
                return self.line
            place = place[:cut]
        return self.lines[place]


@frozen
class Manifests:
    """What a file holds: documents (empty ones left out) and, with their lines, the reasons why there are not more."""

    documents: tuple[Manifest, ...]
    problems: tuple[Problem, ...]


def read_manifests(text: str) -> Manifests:
    """Read all YAML documents of a text. Never raises: what cannot be read is a problem, and what stands before it is read."""
    reader = YAML(typ="safe", pure=True)
    documents: list[Manifest] = []
    problems: list[Problem] = []
    try:
        for node in cast("Iterator[Node | None]", reader.compose_all(text)):  # pyright: ignore[reportUnknownMemberType]
            if node is None or _is_nothing(node):
                continue
            reading = _Reading(reader)
            document = reading.value(node, "", 0)
            problems += reading.problems
            if not reading.problems:
                documents.append(Manifest(document, _line(node), reading.lines, frozenset(reading.blocks)))
    except MarkedYAMLError as error:
        problems.append(_syntax_problem(error))
    except (YAMLError, ValueError, RecursionError) as error:
        problems.append(Problem("", f"not valid YAML: {(str(error) or type(error).__name__).splitlines()[0]}"))
    return Manifests(tuple(documents), tuple(problems))


def _syntax_problem(error: MarkedYAMLError) -> Problem:
    said = vars(error)  # the reader's errors have no types
    mark = said.get("problem_mark") or said.get("context_mark")
    reason = said.get("problem") or said.get("context") or "cannot be read"
    if not isinstance(mark, StreamMark):
        return Problem("", f"not valid YAML: {reason}")
    return Problem("", f"not valid YAML: {reason} (column {mark.column + 1})", mark.line + 1)


def _line(node: Node) -> int:
    return cast("StreamMark", node.start_mark).line + 1  # pyright: ignore[reportUnknownMemberType]


# The reader's nodes have no types of their own: these three are where they get them.
def _tag(node: Node) -> str:
    return str(cast("object", node.tag))  # pyright: ignore[reportUnknownMemberType]


def _content(node: Node) -> object:
    return cast("object", node.value)  # pyright: ignore[reportUnknownMemberType]


def _is_block(node: ScalarNode) -> bool:
    return cast("object", node.style) == "|"  # pyright: ignore[reportUnknownMemberType]


def _is_nothing(node: Node) -> bool:
    return isinstance(node, ScalarNode) and _tag(node) == f"{_TAG}null"


class _Reading:
    """One document being read: its lines and problems so far."""

    def __init__(self, reader: YAML) -> None:
        self._reader = reader
        self._left = _MAXIMUM_VALUES
        self.lines: dict[str, int] = {}
        self.blocks: set[str] = set()
        self.problems: list[Problem] = []

    def _problem(self, node: Node, place: str, message: str) -> None:
        self.problems.append(Problem(place, message, _line(node)))

    def value(self, node: Node, place: str, depth: int) -> Json:
        """Turn a node into a value of JSON."""
        self._left -= 1
        if depth > _MAXIMUM_DEPTH or self._left < 0:
            # Aliases can repeat a node, and even hold themselves. One problem is enough.
            if not self.problems:
                self._problem(node, "", f"too much: expected at most {_MAXIMUM_VALUES} values, {_MAXIMUM_DEPTH} deep, aliases written out")
            return None
        self.lines.setdefault(place, _line(node))
        match node:
            case MappingNode():
                return self._mapping(node, place, depth)
            case SequenceNode():
                items = cast("list[Node]", _content(node))
                return [self.value(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(items)]
            case ScalarNode():
                return self._scalar(node, place)
            case _:  # the reader has no other nodes
                return None

    def _mapping(self, node: MappingNode, place: str, depth: int) -> Json:
        written: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key, value in cast("list[tuple[Node, Node]]", _content(node)):
            if _tag(key) == _MERGE:
                merged = self._merged(value, place, depth) | merged
                continue
            name = self._name(key, place)
            here = f"{place}.{name}" if place else name
            if name in written:
                self._problem(key, here, f"the key is there twice: first in line {self.lines[here]}")
            self.lines[here] = _line(key)
            written[name] = self.value(value, here, depth + 1)
        return merged | written

    def _merged(self, node: Node, place: str, depth: int) -> dict[str, Json]:
        parts = cast("list[Node]", _content(node)) if isinstance(node, SequenceNode) else [node]
        result: dict[str, Json] = {}
        for part in parts:
            value = self.value(part, place, depth + 1)
            if not isinstance(value, Mapping):
                self._problem(part, place, "'<<' takes a mapping or a list of mappings")
                break
            result = {**value, **result}
        return result

    def _name(self, key: Node, place: str) -> str:
        if isinstance(key, ScalarNode) and _tag(key) in _TEXTS | _PLAIN and not _is_nothing(key):
            return str(_content(key))
        self._problem(key, place, "a key is not valid: expected a text")
        return ""

    def _scalar(self, node: ScalarNode, place: str) -> Json:
        tag = _tag(node)
        if tag in _TEXTS:
            if _is_block(node):
                self.blocks.add(place)
            return str(_content(node))
        if tag not in _PLAIN:
            self._problem(node, place, f"tag {short(tag)} is not known: expected a plain value")
            return None
        value: object = self._reader.constructor.construct_object(node)
        return cast("Json", value)

"""What `akri get` does: looks once, or follows, and prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import click
from attrs import field, frozen

from akri.cli.cells import Cell, Style
from akri.cli.documents import api_name, as_json, as_list, as_yaml, document
from akri.cli.kinds import Chosen, Kind
from akri.cli.listing import COLUMNS, NEEDS, WIDE, Thing, bare_things, things
from akri.cli.overview import Overview, look
from akri.cli.tables import Screen, Table
from akri.cli.text import harmless
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.ports import UserPlatform

__all__ = ["Asked", "shown", "watched"]

_SIGNS: Final = {"ADDED": ("+", Style.GOOD), "MODIFIED": ("~", Style.WAITING), "DELETED": ("-", Style.BAD)}


@frozen
class Asked:
    """What to print. namespace: "" for all. output: table, wide, json, yaml or name."""

    chosen: tuple[Chosen, ...]
    namespace: str
    output: str
    screen: Screen = field(factory=Screen.of)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that were asked for, each once."""
        return tuple(dict.fromkeys(kind for one in self.chosen for kind in one.kinds))

    @property
    def needs(self) -> frozenset[str]:
        """The parts of an Overview that this takes."""
        return frozenset[str]().union(*(NEEDS[kind] for kind in self.kinds))

    def header(self, kind: Kind) -> tuple[str, ...]:
        """Names of the columns."""
        namespace = ("NAMESPACE",) if self.wants_namespace(kind) else ()
        return (*namespace, *COLUMNS[kind], *(WIDE[kind] if self.output == "wide" else ()))

    def wants_namespace(self, kind: Kind) -> bool:
        """Whether the namespace has a column."""
        return not self.namespace and kind.namespaced

    def row(self, thing: Thing, prefix: str = "") -> tuple[Cell, ...]:
        """A thing's cells."""
        return thing.row(time.time(), wide=self.output == "wide", namespace=self.wants_namespace(thing.kind), prefix=prefix)

    def wants(self, thing: Thing) -> bool:
        """Whether a thing is in the namespace and has one of the names."""
        here = not thing.kind.namespaced or self.namespace in {"", thing.key.namespace}
        return here and any(thing.kind in one.kinds and (not one.names or thing.key.name in one.names) for one in self.chosen)


async def shown(platform: UserPlatform, asked: Asked) -> int:
    """Print what there is; answer the exit code."""
    overview = await look(platform, asked.needs)
    listed = things if asked.output in {"table", "wide"} else bare_things
    found = {kind: [thing for thing in listed(kind, overview) if asked.wants(thing)] for kind in asked.kinds}
    missing = list(_missing(asked, found))
    every = [thing for kind in asked.kinds for thing in found[kind]]
    match asked.output:
        case "json" | "yaml":
            single = len(every) == 1 and all(one.names and len(one.kinds) == 1 for one in asked.chosen)
            documents = [document(thing.source, overview.statuses) for thing in every]
            if every or not missing:
                _echo((as_json if asked.output == "json" else as_yaml)(documents[0] if single else as_list(documents)))
        case "name":
            _echo("\n".join(harmless(api_name(thing)) for thing in every))
        case _:
            _echo("\n".join(_tables(asked, found)))
            if not every and not missing:
                click.echo(_nothing(asked, overview), err=True)
    for one in missing:
        click.echo(f"Error: {one}", err=True)
    return 1 if missing else 0


def _echo(text: str) -> None:
    if text:
        click.echo(text)


def _tables(asked: Asked, found: Mapping[Kind, Sequence[Thing]]) -> Iterator[str]:
    several = len([kind for kind in asked.kinds if found[kind]]) > 1
    first = True
    for kind in asked.kinds:
        if not found[kind]:
            continue
        if not first:
            yield ""
        first = False
        rows = [asked.row(thing, f"{kind.one}/" if several else "") for thing in found[kind]]
        yield from Table(asked.header(kind), asked.screen).lines(rows)


def _missing(asked: Asked, found: Mapping[Kind, Sequence[Thing]]) -> Iterator[str]:
    where = f"in namespace {asked.namespace}" if asked.namespace else "in any namespace"
    for one in asked.chosen:
        there = {thing.key.name for kind in one.kinds for thing in found[kind]}
        kinds = " or ".join(kind.one for kind in one.kinds)
        place = f" {where}" if any(kind.namespaced for kind in one.kinds) else ""
        yield from (harmless(f"there is no {kinds} {name}{place}") for name in one.names if name not in there)


def _nothing(asked: Asked, overview: Overview) -> str:
    kinds = ", ".join(kind.value for kind in asked.kinds)
    if not asked.namespace or not any(kind.namespaced for kind in asked.kinds):
        return f"There are no {kinds}."
    elsewhere = sum(1 for kind in asked.kinds for _ in things(kind, overview))
    hint = f" There are {elsewhere} in other namespaces: add -A to see them." if elsewhere else ""
    return f"There are no {kinds} in namespace {asked.namespace}.{hint}"


async def watched(platform: UserPlatform, asked: Asked) -> None:
    """Print what there is, and then each change, until cancelled."""
    from akri.cli.following import Follower  # noqa: PLC0415 - who looks once does not need it

    changes = _Changes(asked)
    await Follower(platform, asked.needs).run(changes.show)


class _Changes:
    """Prints what differs between two looks."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._kind = asked.kinds[0]
        self._known: dict[ObjectKey, Thing] = {}
        self._table = Table((" ", *asked.header(self._kind)), asked.screen)
        self._first = True

    def show(self, overview: Overview) -> None:
        present = {thing.key: thing for thing in things(self._kind, overview) if self._asked.wants(thing)}
        changes = list(self._between(present))
        self._known = present
        if not changes and not self._first:
            return
        if self._asked.output in {"table", "wide"}:
            rows = [
                (Cell(sign, style), *self._asked.row(thing)) for sign, style, thing in ((*_SIGNS[kind], thing) for kind, thing in changes)
            ]
            _echo("\n".join(self._table.lines(rows, heading=self._first)))
        else:
            printer = self._printer(overview)
            _echo("\n".join(printer(kind, thing) for kind, thing in changes))
        self._first = False

    def _between(self, present: Mapping[ObjectKey, Thing]) -> Iterator[tuple[str, Thing]]:
        for key in sorted(self._known.keys() - present.keys()):
            yield "DELETED", self._known[key]
        for key, thing in present.items():
            if key not in self._known:
                yield "ADDED", thing
            elif self._differs(thing, self._known[key]):
                yield "MODIFIED", thing

    def _differs(self, thing: Thing, former: Thing) -> bool:
        """In columns only what stands in them counts."""
        if self._asked.output in {"table", "wide"}:
            return thing != former
        return thing.source != former.source or thing != former

    def _printer(self, overview: Overview) -> Callable[[str, Thing], str]:
        def json_line(kind: str, thing: Thing) -> str:
            return as_json(_event(kind, document(thing.source, overview.statuses)), lines=False)

        def yaml_document(kind: str, thing: Thing) -> str:
            return f"---\n{as_yaml(_event(kind, document(thing.source, overview.statuses)))}"

        def name(kind: str, thing: Thing) -> str:
            return f"{_SIGNS[kind][0]} {harmless(api_name(thing))}"

        return {"json": json_line, "yaml": yaml_document}.get(self._asked.output, name)


def _event(kind: str, what: JsonObject) -> JsonObject:
    return {"type": kind, "object": what}

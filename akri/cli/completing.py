"""What a shell offers after a Tab: kinds, and the names that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import click

from akri.cli.where import place_of

if TYPE_CHECKING:
    from akri.cli.kinds import Kind
    from akri.cli.overview import Overview

__all__ = ["Completer", "complete_names", "complete_things"]

Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], "list[str]"]
"""Gives the words that may stand where an incomplete one stands."""


def complete_things(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer kinds first, then the names of things of that kind."""
    from akri.cli.kinds import Kind, chosen  # noqa: PLC0415 - a completion starts as seldom as it can

    words: tuple[str, ...] = context.params.get(parameter.name or "") or ()
    if not words:
        return _beginning([*(kind.value for kind in Kind), "all"], incomplete)
    found: list[str] = []
    with suppress(Exception):  # a wrong word, or nobody to ask: there is nothing to offer then
        found = _names(context, chosen(words[:1])[0].kinds)
    return _beginning(found, incomplete)


def complete_names(*kinds: str) -> Completer:
    """Offer the names of things of these kinds, given as their values: `instances`."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        from akri.cli.kinds import Kind  # noqa: PLC0415

        found: list[str] = []
        with suppress(Exception):
            found = _names(context, [Kind(kind) for kind in kinds])
        return _beginning(found, incomplete)

    return complete


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})


def _names(context: click.Context, kinds: Iterable[Kind]) -> list[str]:
    from akri.cli.listing import NEEDS, things  # noqa: PLC0415
    from akri.cli.overview import look  # noqa: PLC0415

    wanted = list(kinds)
    namespace = "" if context.params.get("all_namespaces") else context.params.get("namespace") or ""

    def names(overview: Overview) -> list[str]:
        return [
            thing.key.name for kind in wanted for thing in things(kind, overview) if thing.key.namespace in {"", namespace} or not namespace
        ]

    parts = frozenset[str]().union(*(NEEDS[kind] for kind in wanted))
    return names(place_of(context).run(lambda platform: look(platform, parts)))

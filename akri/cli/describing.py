"""What `akri describe` does: looks at everything, and prints what is said about the things that were asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import assert_never

import click

from akri.cli.cells import Style
from akri.cli.description import Block, Fields, Section, Sight, describe
from akri.cli.kinds import Chosen, Kind
from akri.cli.listing import Thing, things
from akri.cli.overview import look
from akri.cli.tables import Screen, Table
from akri.cli.text import harmless
from akri.ports import PodDetails, UserPlatform
from akri.scheduling.model import BrokerJob, BrokerPod

__all__ = ["described"]

_INDENT = "  "


async def described(platform: UserPlatform, asked: Sequence[Chosen], namespace: str) -> int:
    """Print a description of each thing; answer the exit code."""
    overview = await look(platform)
    found: list[Thing] = []
    missing: list[str] = []
    where = f"namespace {namespace}" if namespace else "any namespace"
    for one in asked:
        here = [
            thing for kind in one.kinds for thing in things(kind, overview) if not kind.namespaced or namespace in {"", thing.key.namespace}
        ]
        found += [thing for thing in here if not one.names or thing.key.name in one.names]
        names = {thing.key.name for thing in here}
        kinds = " or ".join(kind.one for kind in one.kinds) if len(one.kinds) < len(Kind) else "thing"
        missing += [f"there is no {kinds} {name} in {where}" for name in one.names if name not in names]
    sight = Sight(overview, await _pods(platform, found), time.time())
    screen = Screen.of()
    texts = ["\n".join(_printed(describe(thing, sight), screen)) for thing in found]
    if texts:
        click.echo("\n\n\n".join(texts))
    for sentence in missing:
        click.echo(f"Error: {harmless(sentence)}", err=True)
    if not found and not missing:
        click.echo("There is nothing to describe.", err=True)
    return 1 if missing else 0


async def _pods(platform: UserPlatform, found: Sequence[Thing]) -> tuple[PodDetails, ...]:
    """Read the pods that the descriptions name."""
    pods = {pod.metadata.uid: pod for pod in await platform.read_pods()} if any(one.kind is Kind.INSTANCES for one in found) else {}
    more: tuple[PodDetails, ...]
    for thing in found:
        match thing.source:
            case BrokerPod():
                pod = await platform.read_pod(thing.key)
                more = (pod,) if pod is not None else ()
            case BrokerJob():
                more = await platform.read_job_pods(thing.key)
            case _:
                more = ()
        pods |= {pod.metadata.uid: pod for pod in more}
    return tuple(sorted(pods.values(), key=lambda pod: pod.metadata.key))


def _printed(blocks: Iterator[Block], screen: Screen) -> Iterator[str]:
    for block in blocks:
        match block:
            case Fields(pairs):
                widest = max(len(name) for name, _ in pairs) + 1
                for name, value in pairs:
                    yield f"{screen.paint(f'{name}:'.ljust(widest), Style.QUIET)}  {screen.paint(value.text, value.style)}"
            case Section(title, header, rows):
                yield ""
                yield f"{screen.paint(f'{title}:', Style.NAME)}{'' if rows else ' none'}"
                # What is described is shown whole, on a narrow terminal too: it wraps.
                yield from (_INDENT + line for line in (Table(header, Screen(None, screen.colour)).lines(rows) if rows else ()))
            case _:
                assert_never(block)

"""What `akri env` does: reads an Instance and its Configuration, and prints the environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Final

import click

from akri.cli.cells import Style, cell
from akri.cli.documents import as_json
from akri.cli.environment import Variable, containers_of, environment
from akri.cli.overview import look
from akri.cli.tables import Screen, Table
from akri.cli.text import harmless
from akri.core.configuration import Configuration
from akri.core.ids import ObjectKey
from akri.ports import UserPlatform

__all__ = ["printed_environment"]

_SHELL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def printed_environment(platform: UserPlatform, key: ObjectKey, container: str, output: str) -> None:
    """Print it as table, env or json. Raises ClickException for an Instance or container that is not there."""
    overview = await look(platform, {"instances", "configurations"})
    instance = next((one for one in overview.instances if one.key == key), None)
    if instance is None:
        message = harmless(f"there is no instance {key.name} in namespace {key.namespace}")
        raise click.ClickException(message)
    uid = instance.owner_uid
    owners = (one for one in overview.configurations if isinstance(one, Configuration) and one.metadata.uid == uid)
    configuration = next(owners, None)
    names = [str(item.get("name", "")) for item in containers_of(configuration)]
    if container and container not in names:
        message = harmless(f"the broker has no container {container}, but {', '.join(names) or 'none at all'}")
        raise click.ClickException(message)
    _print(environment(instance, configuration, container), output)


def _print(variables: Sequence[Variable], output: str) -> None:
    match output:
        case "json":
            documents = [{"name": one.name, "value": one.value, "setBy": one.by, "from": one.place or None} for one in variables]
            click.echo(as_json({"variables": documents}))
        case "env":
            show = harmless if sys.stdout.isatty() else str
            click.echo("\n".join(show(line) for line in _assignments(variables)))
        case _:
            rows = [
                (cell(one.name, Style.NAME), cell(one.value if one.value is not None else f"(from {one.place})"), cell(one.by))
                for one in variables
            ]
            click.echo("\n".join(Table(("NAME", "VALUE", "SET-BY"), Screen.of()).lines(rows)))


def _assignments(variables: Sequence[Variable]) -> Iterator[str]:
    for one in variables:
        if one.value is None:
            yield f"# {harmless(one.name)} comes from {harmless(one.place)}"
        elif not _SHELL.fullmatch(one.name):
            yield f"# {harmless(one.name)} cannot be set by a shell"
        else:
            yield f"{one.name}={quote(one.value)}"

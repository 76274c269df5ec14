"""What `akri apply` and `akri delete` do: read files, write to the platform, and say for each Configuration what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from akri.cli.checks import Severity, check_files, other_objects, usable_configurations
from akri.cli.overview import present
from akri.cli.text import harmless
from akri.cli.validate import DETAILS_CHECKS, printed, read_file
from akri.core.configuration import Configuration
from akri.core.ids import ObjectKey
from akri.core.metadata import ObjectMeta
from akri.ports import UserPlatform

__all__ = ["applied", "deleted", "read_configurations", "told"]

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


def read_configurations(files: Sequence[Path], namespace: str) -> tuple[Configuration, ...]:
    """Read the Configurations in files and folders; `namespace` of those that name none.

    Problems and warnings are printed. Raises ClickException if there is a problem, or no Configuration at all.
    """
    texts: list[tuple[str, str]] = []
    usable = True
    for file in _each(files):
        name = "standard input" if str(file) == "-" else str(file)
        try:
            texts.append((name, read_file(str(file))))
        except (OSError, ValueError) as error:
            click.echo(f"{harmless(name)}: {error}", err=True)
            usable = False
    for finding in check_files(texts, DETAILS_CHECKS):
        if finding.severity is not Severity.NOTE:
            click.echo(printed(finding), err=True)
        usable = usable and finding.severity is not Severity.PROBLEM
    contents = [text for _, text in texts]
    for other in other_objects(contents):
        click.echo(harmless(f"{other} is left out: akri stores Configurations alone"), err=True)
    configurations = usable_configurations(contents, namespace)
    if not usable:
        message = "nothing was changed"
        raise click.ClickException(message)
    if not configurations:
        message = "there is no Configuration to be found"
        raise click.ClickException(message)
    return configurations


def _each(files: Sequence[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from sorted(one for one in file.iterdir() if one.suffix in _SUFFIXES)
        else:
            yield file


async def applied(platform: UserPlatform, configurations: Sequence[Configuration]) -> None:
    """Store each Configuration and say what became of it."""
    before = {one.key: one.metadata for one in await present(platform.watch_configurations())}
    for configuration in configurations:
        stored = await platform.apply(configuration)
        click.echo(told(stored.key, _became(before.get(stored.key), stored.metadata)))


def _became(before: ObjectMeta | None, after: ObjectMeta) -> str:
    if before is None or before.uid != after.uid:
        return "created"
    return "unchanged" if before.revision == after.revision else "configured"


async def deleted(platform: UserPlatform, keys: Sequence[ObjectKey], *, ignore_missing: bool) -> int:
    """Delete each Configuration; answer the exit code."""
    missing = 0
    for key in keys:
        if await platform.delete(key):
            click.echo(told(key, "deleted"))
        elif not ignore_missing:
            missing += 1
            click.echo(f"Error: {harmless(f'there is no configuration {key.name} in namespace {key.namespace}')}", err=True)
    return 1 if missing else 0


def told(key: ObjectKey, what: str) -> str:
    """Say as kubectl does what became of a Configuration."""
    return harmless(f"configuration.akri.sh/{key.name} {what}")

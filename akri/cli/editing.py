"""What `akri edit` does: a round of writing, editing and checking, until what was written can be stored or nothing is changed any more."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from akri.cli.applying import told
from akri.cli.checks import Severity, check_files, usable_configurations
from akri.cli.overview import present
from akri.cli.text import harmless
from akri.cli.validate import DETAILS_CHECKS
from akri.cli.where import Place
from akri.cli.yaml_text import yaml_text
from akri.core.codec_print import print_configuration
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.ports import UserPlatform

__all__ = ["checked", "edited", "heading", "without_heading"]

_SHOWN: Final = ("name", "namespace", "labels", "annotations")
_HELP: Final = (
    "Lines that begin with '#' at the top are left out. Leave the editor without a change to end this.",
    "If something in it cannot be used, the editor opens again and says what.",
)
_CHANGED: Final = "somebody else changed this Configuration meanwhile: saving it again replaces that change"


def edited(place: Place, key: ObjectKey) -> None:
    """Edit a Configuration and store it. Raises ClickException if there is none, and where what was written cannot be used."""
    stored = _usable(place.run(lambda platform: _read(platform, key)), key)
    original = body = yaml_text(_document(stored))
    problems: tuple[Problem, ...] = ()
    with tempfile.NamedTemporaryFile("w", prefix=f"akri-edit-{key.name[:40]}-", suffix=".yaml", delete=False) as file:
        path = Path(file.name)
    while True:
        path.write_text(heading(key, problems) + body, encoding="utf-8")
        click.edit(filename=str(path))
        written = without_heading(path.read_text(encoding="utf-8", errors="replace"))
        if written == body or not written.strip():
            return _cancelled(path, original, written, problems)
        body = written
        wanted, problems = checked(body, key)
        if wanted is None:
            continue
        now = place.run(lambda platform: _read(platform, key))
        if now is None or now.metadata.generation != stored.metadata.generation:
            stored, problems = _usable(now, key), (Problem("", _CHANGED),)
            continue
        after = place.run(lambda platform, wanted=wanted: platform.apply(wanted))  # type: ignore[misc]
        path.unlink()
        return click.echo(told(key, "unchanged" if after.metadata.revision == now.metadata.revision else "edited"))


async def _read(platform: UserPlatform, key: ObjectKey) -> Configuration | UnreadableConfiguration | None:
    return next((one for one in await present(platform.watch_configurations()) if one.key == key), None)


def _usable(stored: Configuration | UnreadableConfiguration | None, key: ObjectKey) -> Configuration:
    if isinstance(stored, Configuration):
        return stored
    if stored is None:
        message = f"there is no configuration {key.name} in namespace {key.namespace}"
    else:
        message = f"what is stored as Configuration {key} cannot be read: apply it anew, or delete it"
    raise click.ClickException(harmless(message))


def _cancelled(path: Path, original: str, written: str, problems: Sequence[Problem]) -> None:
    if problems and written.strip() and written != original:
        message = f"what was written was not stored; it is kept in {path}"
        raise click.ClickException(message)
    path.unlink()
    click.echo("Nothing was changed.")


def _document(configuration: Configuration) -> JsonObject:
    """Leave out what only the platform writes."""
    document = dict(print_configuration(configuration))
    metadata = document["metadata"]
    shown: dict[str, Json] = {name: metadata[name] for name in _SHOWN if name in metadata} if isinstance(metadata, dict) else {}
    return {**document, "metadata": shown}


def heading(key: ObjectKey, problems: Sequence[Problem]) -> str:
    """Write what stands above the document; lines of problems, which count from the document's first, are those of the whole file."""
    lines = [f"Configuration {key}", *_HELP]
    size = len(lines) + 1 + (len(problems) + 2 if problems else 0)
    if problems:
        moved = (Problem(one.place, one.message, one.line + size if one.line else 0) for one in problems)
        lines += ["", "It was not stored:", *(f"  {one}" for one in moved)]
    return "".join(f"# {harmless(line)}".rstrip() + "\n" for line in (*lines, ""))


def without_heading(text: str) -> str:
    """Leave out the comments at the top."""
    lines = text.splitlines(keepends=True)
    first = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[first:])


def checked(body: str, key: ObjectKey) -> tuple[Configuration | None, tuple[Problem, ...]]:
    """Read what was written: the Configuration, or what is wrong with it."""
    findings = check_files([("", body)], DETAILS_CHECKS)
    problems = tuple(finding.problem for finding in findings if finding.severity is Severity.PROBLEM)
    if problems:
        return None, problems
    found = usable_configurations([body], key.namespace)
    if len(found) != 1:
        return None, (Problem("", f"there are {len(found)} Configurations in it: expected one"),)
    if found[0].key != key:
        return None, (Problem("metadata.name", f"it is {found[0].key} now: expected {key}, names cannot be changed"),)
    return found[0], ()

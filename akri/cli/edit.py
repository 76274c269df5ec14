"""`akri edit`: change a Configuration in an editor."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.completing import complete_names
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["edit"]

_EPILOG: Final = """\b
Examples:
  akri edit cameras
  akri edit akric/cameras -n site
  EDITOR='code --wait' akri edit cameras

\b
The editor is $VISUAL, $EDITOR, or the first of sensible-editor, vim, nano and vi that there is.
Exit codes: 0 stored, or left as it was, 1 what was written cannot be used (it is kept in a file that is named), 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Change a Configuration in an editor.")
@click.argument("words", metavar="[KIND] NAME", nargs=-1, required=True, shell_complete=complete_names("configurations"))
@in_namespace
@on_platform
def edit(place: Place, *, words: tuple[str, ...], namespace: str) -> None:
    """Open a Configuration in an editor and store what was written.

    Where it has mistakes, the editor opens again and names them. Leaving it without a change ends it.
    """
    from akri.cli.editing import edited  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.cli.kinds import configuration_names  # noqa: PLC0415
    from akri.core.errors import InvalidValueError  # noqa: PLC0415
    from akri.core.ids import ObjectKey  # noqa: PLC0415

    try:
        names = configuration_names(words)
    except InvalidValueError as error:
        raise click.UsageError(str(error)) from error
    if len(names) != 1:
        message = "name one Configuration"
        raise click.UsageError(message)
    edited(place, ObjectKey(namespace, names[0]))

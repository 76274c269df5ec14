"""`akri delete`: take Configurations back, and with them what was found and what runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from akri.cli.completing import complete_names
from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["delete"]

_EPILOG: Final = """\b
Examples:
  akri delete cameras
  akri delete akric cameras disks -n site
  akri delete configuration/cameras
  akri delete -f cameras.yaml
  akri delete cameras --ignore-not-found

\b
Exit codes: 0 deleted, 1 one of them is not there or something failed, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Delete Configurations and what runs for them.")
@click.argument("words", metavar="[KIND] [NAME...]", nargs=-1, shell_complete=complete_names("configurations"))
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="Delete the Configurations that stand in this file or folder, '-' for the standard input. May be given several times.",
)
@in_namespace
@click.option("--ignore-not-found", "ignore_missing", is_flag=True, help="One that is not there is as good as deleted.")
@on_platform
def delete(place: Place, *, words: tuple[str, ...], files: tuple[Path, ...], namespace: str, ignore_missing: bool) -> None:
    """Delete Configurations, by name or by the FILEs they were applied from.

    Their Instances go with them, and brokers are ended: SIGTERM, and after their grace SIGKILL.
    """
    from akri.cli.applying import deleted, read_configurations  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.cli.kinds import configuration_names  # noqa: PLC0415
    from akri.core.errors import InvalidValueError  # noqa: PLC0415
    from akri.core.ids import ObjectKey  # noqa: PLC0415

    try:
        names = configuration_names(words)
    except InvalidValueError as error:
        raise click.UsageError(str(error)) from error
    if bool(names) == bool(files):
        message = "name Configurations, or files with -f: one of the two"
        raise click.UsageError(message)
    keys = [one.key for one in read_configurations(files, namespace)] if files else [ObjectKey(namespace, name) for name in names]
    click.get_current_context().exit(place.run(lambda platform: deleted(platform, keys, ignore_missing=ignore_missing)))

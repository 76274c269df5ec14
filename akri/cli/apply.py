"""`akri apply`: give Configurations to the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from akri.cli.where import Place, in_namespace, on_platform

__all__ = ["apply"]

_EPILOG: Final = """\b
Examples:
  akri apply -f cameras.yaml
  akri apply -f cameras.yaml -f disks.yaml -n site
  akri apply -f configurations/
  ssh gateway cat cameras.yaml | akri apply -f -

\b
Exit codes: 0 applied, 1 something in the files cannot be used, or the platform refused it, 2 wrong usage. If a file has a problem
nothing of any file is applied.
"""


@click.command(epilog=_EPILOG, short_help="Store Configurations from files.")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="YAML or JSON, '-' for the standard input, or a folder with such files. May be given several times.",
)
@in_namespace
@on_platform
def apply(place: Place, *, files: tuple[Path, ...], namespace: str) -> None:
    """Store the Configurations in FILEs, in place of those of the same names.

    -n names the namespace of those that name none themselves. What is stored already as it is written stays unchanged.
    """
    from akri.cli.applying import applied, read_configurations  # noqa: PLC0415 - `akri --help` must not load all this

    configurations = read_configurations(files, namespace)
    place.run(lambda platform: applied(platform, configurations))

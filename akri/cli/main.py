"""Entry point of the `akri` command; it loads the command line only after making sure that it can."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Protocol, cast

__all__ = ["main"]


class _Group(Protocol):
    def cli(self) -> None: ...


def main() -> None:
    """Run the `akri` command with the arguments of this process, and end the process."""
    gc.disable()  # a tenth of a short command's time; `group` and `Place.follow` switch it on for those that last
    try:
        group = cast("_Group", import_module("akri.cli.group"))
    except ModuleNotFoundError as error:
        sys.exit(f"akri: the Python package '{error.name}' is missing: pip install 'akri[cli]'")
    try:
        group.cli()
    finally:
        gc.freeze()  # the interpreter looks through all that lives once more before it ends: as much time again

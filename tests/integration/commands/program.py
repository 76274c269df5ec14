"""`akri` over a store in memory that holds a bit of everything, for tests that want a process and a terminal."""

from __future__ import annotations

from akri.cli.group import cli
from tests.unit.cli.scene import Scene

if __name__ == "__main__":
    cli(obj=Scene().opener, prog_name="akri")

"""`akri` over a store in memory that holds a bit of everything, for tests that want a process and a terminal.

SCENE_FOLDER: a state folder with logs, if there is to be one.
"""

from __future__ import annotations

import os
from pathlib import Path

from akri.cli.group import cli
from tests.unit.cli.scene import Scene

if __name__ == "__main__":
    folder = os.environ.get("SCENE_FOLDER")
    cli(obj=Scene(Path(folder) if folder else None).opener, prog_name="akri")

"""A discovery handler program whose devices several nodes may share: each file in a folder is one (samples/handlers/folder.py)."""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

from akri.discovery.serving import serve

if __name__ == "__main__":
    found = runpy.run_path(str(Path(__file__).parents[3] / "samples" / "handlers" / "folder.py"))
    asyncio.run(serve(sys.argv[1], found["discover"], shared=True))

"""Whatever becomes of a test: no process that it started for a state folder of its own stays."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from akri.platforms.local.host_processes import end_marked


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Generator[None]:
    """End what a test that fails leaves behind."""
    yield
    end_marked(tmp_path)

"""In CI a skipped test is a failed one: what a machine lacks must be installed, not passed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.tree import ROOT

SUITE = """
import pytest
def test_with_missing_part(): pytest.skip("no such device")
@pytest.mark.skipif(True, reason="no such device")
def test_with_mark(): pass
def test_good(): assert 1 + 1 == 2
"""


def outcome(folder: Path, *, ci: bool) -> str:
    """The last two lines of a small suite that skips."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_small.py").write_text(SUITE, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"PYTHONPATH": str(ROOT)}
    environment |= {"CI": "true"} if ci else {}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return "\n".join(done.stdout.splitlines()[-2:])


@pytest.mark.parametrize(("ci", "expected"), [(True, "1 failed, 1 passed, 1 error"), (False, "1 passed, 2 skipped")])
def test_skip_is_a_failure_in_ci(tmp_path: Path, ci: bool, expected: str) -> None:
    assert expected in outcome(tmp_path, ci=ci)


def test_what_was_left_out_is_said_last(tmp_path: Path) -> None:
    assert "left out: 2 tests: no such device\n" in outcome(tmp_path, ci=False)

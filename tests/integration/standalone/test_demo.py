"""`./dev demo` runs samples/demo.py: it ends by itself, and every device had its broker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from akri.testing.loop import loop_devices_refused

ROOT = Path(__file__).parents[3]


def test_the_demonstration_ends_by_itself_and_shows_every_device_at_a_broker() -> None:
    result = subprocess.run([sys.executable, "samples/demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len([line for line in lines if "device found: " in line]) == 4
    assert len([line for line in lines if line.endswith("  running")]) == 4
    assert "| DEBUG_ECHO_DESCRIPTION_8120FE=foo0" in result.stdout
    assert any("device gone, Instance removed" in line for line in lines)
    assert any(re.match(r"== Done in [0-9.]+ s: every device had its broker, and no broker is left", line) for line in lines)
    assert lines[lines.index("What to try next:") + 1].strip().startswith(".venv/bin/akri up -f samples/debug-echo.yaml")
    refused = loop_devices_refused()
    if refused:
        assert refused in result.stdout
    else:
        assert "'Hello from the first disk'" in result.stdout
        assert "'Hello from the second disk'" in result.stdout

"""The shell scripts of the platform are in its package, and every shell that is here reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from akri.platforms.local import supervised

FOLDER = Path(supervised.__file__).parent
SHELLS = [shell for shell in ("sh", "bash", "dash", "busybox") if shutil.which(shell)]
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_the_scripts_are_there() -> None:
    assert [script.name for script in SCRIPTS] == ["containerd.sh", "supervisor.sh"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_them(script: Path, shell: str) -> None:
    words = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
    subprocess.run([*words, str(script)], check=True, timeout=30)

"""What must not be in the repository: places of one machine, addresses of package registries, secrets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.guards.tree import ROOT

# With brackets and dots in the middle, so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    r"""
    (?<![\w./$}])/(?:[w]ork|[r]oot|[h]ome/\w+)/   # places of one machine
    | [p]ypi\.org | [p]ythonhosted\.org | [p]roxy\.golang
    | [i]ndex-url [ ]?[=h] | [f]ind-links [ ]?[=h/]
    | [B]EGIN [A-Z ]* PRIVATE[ ]KEY
    | \b(?:gh[pousr]_|[A]KIA)[A-Za-z0-9]{16,}
    """,
    re.VERBOSE,
)


def tracked() -> list[Path]:
    """Files that are in the repository, or would be with the next commit."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def findings(text: str) -> list[str]:
    """Lines with something that is nobody's business but one machine's."""
    return [f"{number}: {line.strip()[:120]}" for number, line in enumerate(text.splitlines(), 1) if FORBIDDEN.search(line)]


def test_repository_names_no_machine_registry_or_secret() -> None:
    found = {
        str(path.relative_to(ROOT)): lines for path in tracked() if (lines := findings(path.read_text(encoding="utf-8", errors="replace")))
    }

    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "cd /ro~ot/akri",
        "PATH=/ho~me/ann/bin",
        "https://py~pi.org/simple",
        "pip --index~-url https://example.com",
        "-----BEGIN RSA PRIVATE~ KEY-----",
    ],
)
def test_finding_is_reported(line: str) -> None:
    assert findings(line.replace("~", ""))


def test_scripts_can_be_run() -> None:
    assert [name for name in ("dev", ".ci/run") if not (ROOT / name).stat().st_mode & 0o100] == []

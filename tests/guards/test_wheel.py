"""What a user installs: our packages, typed, and nothing of the tree around them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.guards.tree import PACKAGES, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built here with what is installed: no network, no isolation."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def installed(path: Path) -> str:
    """Where a file of a package lies in the wheel."""
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    return path.relative_to(package.parent).as_posix()


def test_wheel_holds_our_packages_only(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {package.name for package in PACKAGES}


def test_wheel_holds_every_module_and_script_and_the_types(wheel: zipfile.ZipFile) -> None:
    files = {
        installed(path) for package in PACKAGES for pattern in ("*.py", "*.pyi", "*.sh", "py.typed") for path in package.rglob(pattern)
    }

    assert files - set(wheel.namelist()) == set()


def test_installation_needs_attrs_and_cattrs_alone(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    needs = message_from_bytes(wheel.read(name)).get_all("Requires-Dist") or []

    assert {need.partition(">")[0] for need in needs if "extra ==" not in need} == {"attrs", "cattrs"}


def test_wheel_carries_the_licence(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if name.endswith("/LICENSE")]


@pytest.mark.parametrize("group", ["console_scripts", "akri.commands"])
def test_each_command_can_be_loaded(group: str) -> None:
    commands = [entry for entry in entry_points(group=group) if entry.value.startswith("akri")]

    assert commands
    assert [entry.name for entry in commands if not callable(entry.load())] == []

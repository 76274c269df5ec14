"""The import contracts hold, are complete, and each of them fires: a contract that cannot be broken protects nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import grimp
import pytest

from tests.guards.tree import PACKAGES, ROOT, module_name, modules

TOOL: Final = tomllib.loads((ROOT / "contracts.toml").read_text(encoding="utf-8"))["tool"]
CONTRACTS: Final = {contract["id"]: contract for contract in TOOL["importlinter"]["contracts"]}
VALUE_MODULES: Final = frozenset(TOOL["akri"]["value_modules"])
PURE_LIBRARIES: Final = frozenset({"attr", "attrs", "cattr", "cattrs"})
BREAKS: Final = (
    ("layers", "akri/core/usage.py", "import akri.ports"),
    ("layers", "akri/core/usage.py", "import akri.scheduling.model"),
    ("layers", "akri/scheduling/model.py", "import akri.ports"),
    ("layers", "akri/ports.py", "import akri.platforms.local"),
    ("layers", "akri/discovery/snapshot.py", "import akri.deviceplugin"),
    ("layers", "akri/deviceplugin/__init__.py", "import akri.platforms.local"),
    ("layers", "akri/agent/__init__.py", "import akri.controller"),
    ("layers", "akri/testing/__init__.py", "import akri.cli"),
    ("layers", "akri/platforms/__init__.py", "import akri.agent"),
    ("layers", "akri/newcomer.py", "'A module that no layer lists'"),
    ("runtimes", "akri/cli/__init__.py", "import akri_standalone"),
    ("root", "akri/__init__.py", "import akri.ports"),
    ("broker", "akri/broker/__init__.py", "import akri.core.ids"),
    ("broker", "akri/broker/__init__.py", "import attrs"),
    ("pure", "akri/core/usage.py", "import asyncio"),
    ("pure", "akri/core/usage.py", "import logging"),
    ("pure", "akri/scheduling/model.py", "from os import environ"),
    ("pure", "akri/scheduling/model.py", "import time"),
    ("pure", "akri/discovery/udev/match.py", "import pyudev"),
    ("pure", "akri/discovery/debug_echo/details.py", "from pathlib import Path"),
    ("handlers", "akri/discovery/udev/source.py", "import akri.discovery.debug_echo.details"),
    ("protocol-buffers", "akri/deviceplugin/__init__.py", "import akri.deviceplugin._proto"),
)


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the linter on the packages in a folder, wherever the installed ones are."""
    program = (
        "import sys; sys.path[:0] = sys.argv.pop(1).split(); from importlinter.cli import lint_imports_command as lint; sys.exit(lint())"
    )
    places = " ".join(str(folder / package.parent.relative_to(ROOT)) for package in PACKAGES)
    command = [sys.executable, "-c", program, places, "--no-logo", "--no-cache", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the contracts are about."""
    folder = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(package, folder / package.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "contracts.toml", folder)
    return folder


def test_all_contracts_are_kept(copy: Path) -> None:
    done = lint(copy, "--config", "contracts.toml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(("contract", "place", "statement"), BREAKS)
def test_contract_fires(copy: Path, contract: str, place: str, statement: str) -> None:
    path = copy / place
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{statement}\n", encoding="utf-8")
    try:
        done = lint(copy, "--config", "contracts.toml", "--contract", contract)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{CONTRACTS[contract]['name']} BROKEN" in done.stdout
    assert module_name(ROOT / place) in done.stdout


def test_each_contract_is_broken_above() -> None:
    assert {contract for contract, _, _ in BREAKS} == set(CONTRACTS)


def test_standard_library_is_banned_by_default() -> None:
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    banned = set(CONTRACTS["pure"]["forbidden_modules"])

    assert public - banned - VALUE_MODULES == set(), "neither banned in pure modules nor known to hold values only"
    assert banned & VALUE_MODULES == set()


def test_every_library_is_banned_where_it_must_be() -> None:
    graph = grimp.build_graph(*(package.name for package in PACKAGES), include_external_packages=True, cache_dir=None)
    ours = {package.name for package in PACKAGES}
    used = {name for name in graph.modules if graph.is_module_squashed(name)} - sys.stdlib_module_names - ours

    assert used - PURE_LIBRARIES - set(CONTRACTS["pure"]["forbidden_modules"]) == set()
    assert used - set(CONTRACTS["broker"]["forbidden_modules"]) == set()


def test_only_source_modules_of_handlers_may_act() -> None:
    sources = [path for path in modules() if path.name == "source.py" and path.is_relative_to(ROOT / "akri" / "discovery")]
    deciding = {module_name(path) for source in sources for path in source.parent.glob("*.py") if path.stem not in {"source", "__init__"}}

    assert deciding
    assert deciding - set(CONTRACTS["pure"]["source_modules"]) == set()
    assert {module_name(source.parent / "__init__.py") for source in sources} == set(CONTRACTS["handlers"]["modules"])


def test_generated_code_is_protected() -> None:
    generated = {module_name(path / "__init__.py") for package in PACKAGES for path in package.rglob("_proto")}

    assert generated == set(CONTRACTS["protocol-buffers"]["protected_modules"])
    assert {name.replace("_proto", "wire") for name in generated} == set(CONTRACTS["protocol-buffers"]["allowed_importers"])


def test_broker_knows_no_other_part_of_akri() -> None:
    parts = {module_name(path) for path in (ROOT / "akri").iterdir() if path.is_dir() or path.suffix == ".py"} - {"akri", "akri.broker"}
    parts = {part for part in parts if not part.rpartition(".")[2].startswith("_")}

    assert parts - set(CONTRACTS["broker"]["forbidden_modules"]) == set()
    assert parts - set(CONTRACTS["root"]["forbidden_modules"]) == {"akri.core", "akri.scheduling"}

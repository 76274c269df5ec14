"""What an import loads, seen from a fresh interpreter: brokers and tools over core must not pay for what they do not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = (
    "import sys; before = set(sys.modules); import {}; print(*sorted({{name.partition('.')[0] for name in set(sys.modules) - before}}))"
)


def loaded(module: str) -> set[str]:
    """Top-level modules that importing `module` adds to an interpreter."""
    done = subprocess.run([sys.executable, "-I", "-c", PROGRAM.format(module)], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def third_party(module: str) -> set[str]:
    """The part of `loaded` that is neither ours nor the standard library's."""
    return loaded(module) - sys.stdlib_module_names - {"akri"}


@pytest.mark.parametrize("module", ["akri", "akri.broker"])
def test_no_third_party_module_is_loaded(module: str) -> None:
    assert third_party(module) == set()


def test_akri_alone_loads_nothing_of_weight() -> None:
    assert loaded("akri") <= {"akri", "importlib", "warnings", "_warnings"}


def test_broker_loads_no_event_loop() -> None:
    assert "asyncio" not in loaded("akri.broker")


def test_values_load_attrs_alone() -> None:
    assert third_party("akri.core.device") <= {"attr", "attrs"}

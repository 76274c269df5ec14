"""What import contracts cannot see in the pure packages: built-in functions that act, private modules, changed globals."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.tree import ROOT, parsed, sources

PURE = tuple(sources(ROOT / "akri" / "core", ROOT / "akri" / "scheduling"))
ACTING = {
    "__import__",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "exit",
    "globals",
    "input",
    "locals",
    "open",
    "print",
    "quit",
    "vars",
}


def impurities(tree: ast.Module) -> Iterator[str]:
    """Name everything in a module that a decision has no use for."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in ACTING:
                yield f"line {node.lineno}: {name}"
            case ast.Global(names=names):
                yield f"line {node.lineno}: global {', '.join(names)}"
            case ast.Import(names=names):
                yield from (f"line {node.lineno}: import {name.name}" for name in names if name.name.startswith("_"))
            case ast.ImportFrom(module=str(module)) if module.startswith("_") and module != "__future__":
                yield f"line {node.lineno}: from {module} import"
            case _:
                pass


def test_there_are_pure_modules() -> None:
    assert len(PURE) > 20


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_module_only_computes(path: Path) -> None:
    assert list(impurities(parsed(path))) == []


@pytest.mark.parametrize(
    "source",
    ["open('f')", "print(1)", "reader = open", "eval('1')", "def f():\n    global x\n", "import _socket", "from _thread import allocate"],
)
def test_impurity_is_found(source: str) -> None:
    assert list(impurities(ast.parse(source)))


def test_values_are_no_impurity() -> None:
    assert list(impurities(ast.parse("from __future__ import annotations\nimport re\nopened = re.compile('x')\n"))) == []

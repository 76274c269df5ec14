"""Small files and small functions: what does not fit on a screen or two is doing two things."""

from __future__ import annotations

import ast

from tests.guards.tree import PACKAGES, ROOT, parsed, sources

FILE_LINES = 400
FUNCTION_LINES = 50
FOLDERS = (*PACKAGES, *(ROOT / name for name in ("tests", "benchmarks", "docs", "samples")))


def test_files_are_below_400_lines() -> None:
    counts = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*FOLDERS)}

    assert {name: count for name, count in counts.items() if count >= FILE_LINES} == {}


def test_functions_are_below_50_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for path in sources(*FOLDERS)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) >= FUNCTION_LINES
    }

    assert long == {}

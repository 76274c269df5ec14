"""What the guards look at: the source files of this project, as paths and as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "module_name", "modules", "parsed", "sources"]

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "akri", *sorted(ROOT.glob("runtimes/*/akri_*")))
_GENERATED = "_proto"


def sources(*folders: Path) -> Iterator[Path]:
    """Python files below the folders that people wrote."""
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*.py")) if _GENERATED not in path.parts)


def modules() -> Iterator[Path]:
    """Every module that the wheel installs, generated ones aside."""
    return sources(*PACKAGES)


def module_name(path: Path) -> str:
    """Dotted name of a module of ours."""
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))

"""Each folder of modules is a package, and says the one reason that it exists."""

from __future__ import annotations

import ast

from tests.guards.tree import PACKAGES, ROOT, parsed, sources


def test_each_folder_is_a_package_that_says_why_it_exists() -> None:
    folders = {path.parent for path in sources(*PACKAGES)}
    without = [
        str(folder.relative_to(ROOT))
        for folder in sorted(folders)
        if not (folder / "__init__.py").exists() or len(ast.get_docstring(parsed(folder / "__init__.py")) or "") < 40
    ]

    assert without == []


def test_packages_are_typed() -> None:
    assert [str(package.relative_to(ROOT)) for package in PACKAGES if not (package / "py.typed").exists()] == []


def test_packages_load_nothing_when_they_are_imported() -> None:
    """So that a user of one module pays for that module alone. akri.broker is one thing under one name, and needs nothing else."""
    eager = {
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if path.name == "__init__.py"
        for node in parsed(path).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("akri")
    }

    assert eager <= {"akri/broker/__init__.py"}

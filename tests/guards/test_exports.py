"""Each module says what of it is public, and says the truth."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import akri
from tests.guards.tree import ROOT, module_name, modules, parsed

LISTED = "__all__"
WITHOUT_CODE = {"__main__"}


def exports(tree: ast.Module) -> set[str] | None:
    """The names in __all__, None where there is none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return set(ast.literal_eval(value))
            case _:
                pass
    return None


def definitions(tree: ast.Module) -> set[str]:
    """Public names that a module defines itself: imported ones are somebody else's."""
    found: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case _:
                pass
    return {name for name in found if not name.startswith("_")}


def is_public(path: Path) -> bool:
    """Whether a module's name has no part that is private, and the module holds anything."""
    parts = module_name(path).split(".")
    return not any(part.startswith("_") for part in parts) and bool(definitions(parsed(path)))


PUBLIC = [path for path in modules() if is_public(path) and module_name(path) != "akri"]


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_lists_exactly_the_public_names(path: Path) -> None:
    listed = exports(parsed(path))

    assert listed is not None, "a public module needs __all__"
    module = importlib.import_module(module_name(path))
    assert [name for name in listed if not hasattr(module, name)] == []
    assert definitions(parsed(path)) - listed == set(), "public by name, but not in __all__"


def test_akri_offers_only_public_names_of_its_modules() -> None:
    offered = {name: getattr(akri, name) for name in akri.__all__ if name != "__version__"}
    public = {name: module_name(path) for path in PUBLIC for name in exports(parsed(path)) or ()}

    assert set(offered) - set(public) == set()
    assert {name for name, value in offered.items() if getattr(importlib.import_module(public[name]), name) is not value} == set()


def test_akri_tells_type_checkers_what_it_offers() -> None:
    for_checkers = {
        name.name for node in ast.walk(parsed(ROOT / "akri" / "__init__.py")) if isinstance(node, ast.ImportFrom) for name in node.names
    }

    assert for_checkers == set(akri.__all__) - {"__version__"}


def test_akri_lists_its_names() -> None:
    assert set(akri.__all__) <= set(dir(akri))
    assert akri.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="'akri' has no attribute 'Devise'"):
        _ = akri.Devise  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownVariableType]

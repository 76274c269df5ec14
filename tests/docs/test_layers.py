"""The picture of the architecture is the one that the contracts draw."""

from __future__ import annotations

import runpy

from tests.docs.examples import ROOT

DRAWER = runpy.run_path(str(ROOT / "docs" / "draw_layers.py"))


def test_picture_is_drawn_from_the_contracts() -> None:
    assert (ROOT / "docs" / "layers.svg").read_text(encoding="utf-8") == DRAWER["picture"](), "run: python docs/draw_layers.py"


def test_picture_shows_every_package() -> None:
    drawn = DRAWER["picture"]()
    packages = {f"akri.{path.parent.name}" for path in (ROOT / "akri").glob("*/__init__.py")}
    packages |= {path.parent.name for path in ROOT.glob("runtimes/*/*/__init__.py")}

    assert {package for package in packages if f">{package}<" not in drawn} == set()

"""Draws docs/layers.svg from contracts.toml, so that the picture of the architecture is the one that the linter enforces.

`python docs/draw_layers.py` writes it anew; tests/docs/test_layers.py fails while it differs from the contracts.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "layers.svg"

WIDTH: Final = 720
ASIDE: Final = 130
ROW: Final = 54
BOX: Final = 36
GAP: Final = 12
MARGIN: Final = 16


def rows() -> tuple[list[list[str]], list[str]]:
    """Read the layers, top first, and the packages that stand outside of them."""
    linter = tomllib.loads((ROOT / "contracts.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract for contract in linter["contracts"] if contract["id"] == "layers")
    runtimes = [name for name in linter["root_packages"] if name not in layers["containers"]]
    below = [[f"akri.{name.strip()}" for name in layer.split("|")] for layer in layers["layers"]]
    return [runtimes, *below], [f"akri.{name}" for name in layers["exhaustive_ignores"]]


def box(name: str, x: float, y: float, width: float, *, kind: str) -> str:
    """Draw one package."""
    return (
        f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="5"/>'
        f'<text x="{x + width / 2:.0f}" y="{y + BOX / 2 + 5:.0f}">{name}</text>'
    )


def kind_of(name: str, *, top: bool) -> str:
    """Tell how a package is coloured: pure ones decide, all others act."""
    if top:
        return "program"
    return "pure" if name in {"akri.core", "akri.scheduling", "akri.ports"} else "acting"


def drawing(layers: Sequence[Sequence[str]], outside: Sequence[str]) -> Iterator[str]:
    """Draw the layers as rows of boxes with an arrow from each to the one below, and what stands outside at their side."""
    height = 2 * MARGIN + ROW * len(layers) - (ROW - BOX)
    total = WIDTH + GAP + ASIDE + 2 * MARGIN
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" role="img">'
    yield "<title>Layers of akri: each may import those below it, none its neighbours</title>"
    yield "<style>text{font:14px sans-serif;text-anchor:middle;fill:#1b1f24}rect{stroke:#57606a;fill:#eaeef2}"
    yield ".pure{fill:#dafbe1}.program{fill:#ddf4ff}.outside{fill:#fff8c5}path{stroke:#57606a;fill:none}</style>"
    yield f'<rect x="0" y="0" width="{total}" height="{height}" style="fill:#ffffff;stroke:none"/>'
    for index, layer in enumerate(layers):
        y = MARGIN + index * ROW
        width = (WIDTH - GAP * (len(layer) - 1)) / len(layer)
        for place, name in enumerate(layer):
            yield box(name, MARGIN + place * (width + GAP), y, width, kind=kind_of(name, top=index == 0))
        if index + 1 < len(layers):
            middle = MARGIN + WIDTH / 2
            yield f'<path d="M{middle:.0f} {y + BOX}v{ROW - BOX - 2}m-4 -5l4 5l4 -5"/>'
    for place, name in enumerate(outside):
        yield box(name, MARGIN + WIDTH + GAP, MARGIN + place * ROW, ASIDE, kind="outside")
    yield "</svg>"


def picture() -> str:
    """Draw the present contracts."""
    return "\n".join(drawing(*rows())) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE.relative_to(ROOT)}\n")

"""Writes deploy/crds/ from akri/core/crd.py, so that the definitions in a cluster are the ones that the library knows.

`python deploy/generate.py` writes them anew; tests/guards/test_deploy.py fails while they differ.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Final, cast

from ruamel.yaml import YAML

from akri.core.crd import custom_resource_definitions
from akri.core.metadata import JsonObject

FOLDER: Final = Path(__file__).parent / "crds"
HEADING: Final = "# Written by deploy/generate.py from akri/core/crd.py: change it there.\n"


def files() -> dict[str, str]:
    """Return what each file of the folder holds, by its name."""
    return {name_of(definition): HEADING + text_of(definition) for definition in custom_resource_definitions()}


def name_of(definition: JsonObject) -> str:
    """Name the file of a definition by its plural."""
    plural, _, _ = str(cast("JsonObject", definition["metadata"])["name"]).partition(".")
    return f"{plural}.yaml"


def text_of(definition: JsonObject) -> str:
    """Print a definition as YAML."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 140
    text = io.StringIO()
    yaml.dump(json.loads(json.dumps(definition)), text)  # pyright: ignore[reportUnknownMemberType]
    return text.getvalue()


def main() -> None:
    """Write every file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

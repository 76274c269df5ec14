"""Writes deploy/crds/ from akri/core/crd.py, so that the definitions in a cluster are the ones that the library knows.

`python deploy/generate.py` writes them anew; tests/guards/test_deploy.py fails while they differ.
"""  # noqa: INP001

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from akri.core.crd import custom_resource_definitions
from akri.core.metadata import Json, JsonObject

FOLDER: Final = Path(__file__).parent / "crds"
HEADING: Final = "# Written by deploy/generate.py from akri/core/crd.py: change it there.\n"
PLAIN: Final = re.compile(r"\.?[A-Za-z][\w./-]*( [\w./-]+)*")
"""Texts that YAML reads as texts without quotes, if they are none of NOT_TEXTS."""
NOT_TEXTS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def files() -> dict[str, str]:
    """Return what each file of the folder holds, by its name."""
    return {name_of(definition): HEADING + "".join(block(definition)) for definition in custom_resource_definitions()}


def name_of(definition: JsonObject) -> str:
    """Name the file of a definition by its plural."""
    plural, _, _ = str(cast("JsonObject", definition["metadata"])["name"]).partition(".")
    return f"{plural}.yaml"


def block(value: JsonObject | Sequence[Json], indent: str = "") -> Iterator[str]:
    """Print a value that is not empty as a YAML block."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"{indent}{scalar(name)}:{below(inner, indent + '  ')}"
        return
    for item in value:
        text = below(item, indent + "  ")
        yield f"{indent}- {text.lstrip()}"


def below(value: Json, indent: str) -> str:
    """Print what follows a name or a dash."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence) or not value:
        return f" {scalar(value)}\n"
    return "\n" + "".join(block(value, indent))


def scalar(value: Json) -> str:
    """Print a text, a number, or what is empty; JSON's way is YAML's too."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in NOT_TEXTS:
        return value
    return json.dumps(value)


def main() -> None:
    """Write every file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

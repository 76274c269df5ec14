"""The pictures of commands in docs/ show what the present program prints."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import pytest

from tests.docs.examples import ROOT

SCRIPT: Final = ROOT / "docs" / "record.py"
NAMES: Final = ("get", "explain", "top")


class Recorder:
    """The script, loaded as a module."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("record", SCRIPT)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["record"] = module
        spec.loader.exec_module(module)
        self.record = cast("Callable[[Path], Mapping[str, str]]", module.record)
        self.words = cast("Callable[[Path], str]", module.words)


def comparable(shown: str) -> str:
    """Leave out spaces, which follow the width of ages, and the events: which is the last one is chance."""
    return re.sub(r"\s+", " ", shown.partition("Events")[0])


@pytest.mark.timeout(300)
def test_pictures_are_of_the_present_program(tmp_path: Path) -> None:
    recorder = Recorder()
    made = recorder.record(tmp_path)

    assert sorted(made) == sorted(NAMES)
    for name in NAMES:
        kept = recorder.words(ROOT / "docs" / "pictures" / f"{name}.svg")
        assert comparable(kept) == comparable(made[name]), f"docs/pictures/{name}.svg is old: python docs/record.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_needs_nothing_from_elsewhere(name: str) -> None:
    text = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")

    assert text.startswith("<svg ")
    assert re.findall(r"url\((?!#)|href=\"(?!#)", text) == []
    assert len(text) < 100_000

"""YAML that we write is read back as it was, by readers of both versions, and shows no control character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from akri.cli.yaml_text import yaml_text
from akri.core.metadata import Json

TEXTS = st.text() | st.sampled_from(
    ["yes", "No", "1", "0x1f", "1_000", "1e3", "2001-01-01", "~", "null", "a: b", "- a", "#", "a #b", "", " ", "12:30"]
)
LINES = st.lists(st.text(st.characters(categories=["L", "P", "Zs"]), max_size=12), min_size=1, max_size=6).map("\n".join)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | LINES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def read(text: str, version: str) -> object:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    value: object = reader.load(text)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@given(value=VALUES)
def test_what_is_written_is_read_back(version: str, value: Json) -> None:
    assert read(yaml_text(value), version) == value


@given(VALUES)
def test_nothing_steers_a_terminal(value: Json) -> None:
    assert all(line.isprintable() for line in yaml_text(value).split("\n"))


def test_it_reads_well() -> None:
    value: Json = {
        "metadata": {"name": "echo", "labels": {}},
        "list": [{"a": 1, "b": [True, None]}, "x y", []],
        "details": "# two\ndescriptions:\n- foo\n",
        "cut": "a\nb",
        "odd": "it's",
    }
    assert yaml_text(value).splitlines() == [
        "metadata:",
        "  name: echo",
        "  labels: {}",
        "list:",
        "- a: 1",
        "  b:",
        "  - true",
        "  - null",
        "- x y",
        "- []",
        "details: |",
        "  # two",
        "  descriptions:",
        "  - foo",
        "cut: |-",
        "  a",
        "  b",
        'odd: "it\'s"',
    ]

"""YAML files as JSON that knows its lines; whatever is in a file, reading it ends and does not raise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import Problem
from akri.manifests import Manifest, read_manifests


def only(text: str) -> Manifest:
    manifests = read_manifests(text)
    assert manifests.problems == ()
    (manifest,) = manifests.documents
    return manifest


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_manifests(text).problems]


def test_values_are_those_of_json() -> None:
    text = "a: 1\nb: [x, 1.5, true, ~, 'q']\nc: {d: 2024-05-01T12:00:00Z, 5: yes, true: 0x10}\ne:\n"
    assert only(text).document == {
        "a": 1,
        "b": ["x", 1.5, True, None, "q"],
        "c": {"d": "2024-05-01T12:00:00Z", "5": "yes", "true": 16},
        "e": None,
    }


def test_lines_are_those_of_the_keys() -> None:
    manifest = only("# comment\n\na:\n  b:\n  - c: 1\n  - 2\nd: |\n  text\n")
    assert dict(manifest.lines) == {"": 3, "a": 3, "a.b": 4, "a.b[0]": 5, "a.b[0].c": 5, "a.b[1]": 6, "d": 7}
    assert manifest.line == 3
    assert manifest.blocks == {"d"}


@pytest.mark.parametrize(
    ("place", "line"),
    [("a.b[1]", 6), ("a.b[1].x.y", 6), ("a.b[7]", 4), ("a.x", 3), ("x", 3), ("", 3), ("x[0].y", 3), ("a.b[0].c[3]", 5)],
)
def test_a_place_that_is_not_there_has_the_line_of_the_one_around_it(place: str, line: int) -> None:
    assert only("# comment\n\na:\n  b:\n  - c: 1\n  - 2\n").line_of(place) == line


def test_empty_documents_are_left_out() -> None:
    assert read_manifests("") == read_manifests("---\n---\n# x\n") == read_manifests("~")
    assert read_manifests("").documents == ()
    assert [manifest.line for manifest in read_manifests("---\n---\na: 1\n---\n- 1\n").documents] == [3, 5]


def test_merge_keys_are_merged() -> None:
    assert only("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: *a, y: 3}\nd: {<<: [*b, *a]}\ne: {<<: *a, <<: *b}\n").document == {
        "a": {"x": 1, "y": 1},
        "b": {"y": 2, "z": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 2, "z": 2},
        "e": {"x": 1, "y": 1, "z": 2},
    }
    assert problems("a: {<<: 3}") == ["line 1: a: '<<' takes a mapping or a list of mappings"]
    assert problems("<<: [{a: 1}, 3, 4]") == ["line 1: '<<' takes a mapping or a list of mappings"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: a: the key is there twice: first in line 1"),
        ("x:\n  '5': 1\n  5: 2\n", "line 3: x.5: the key is there twice: first in line 2"),
        ("a:\n\tb: 1\n", "line 2: not valid YAML: found character '\\t' that cannot start any token (column 1)"),
        ("a: [1,\n", "line 2: not valid YAML: expected the node content, but found '<stream end>' (column 1)"),
        ("a: b: c\n", "line 1: not valid YAML: mapping values are not allowed here (column 5)"),
        ("a: *x\n", "line 1: not valid YAML: found undefined alias 'x' (column 4)"),
        ("a: !secret x\n", "line 1: a: tag '!secret' is not known: expected a plain value"),
        ("? [1]\n: 2\n", "line 1: a key is not valid: expected a text"),
        ("~: 2\n", "line 1: a key is not valid: expected a text"),
        ("a: \0", "not valid YAML: unacceptable character #x0000: special characters are not allowed"),
    ],
)
def test_what_is_not_json_is_a_problem_with_its_line(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_documents_before_a_bad_one_are_read() -> None:
    manifests = read_manifests("a: 1\n---\nb: 1\nb: 2\n---\nc: 1\n---\n]\n---\nd: 1\n")
    assert [manifest.document for manifest in manifests.documents] == [{"a": 1}, {"c": 1}]
    assert [problem.line for problem in manifests.problems] == [4, 8]


def test_an_alias_to_itself_ends() -> None:
    message = "too much: expected at most 100000 values, 100 deep, aliases written out"
    assert read_manifests("a: &a [*a, *a]\n").problems == (Problem("", message, 1),)


def test_aliases_that_multiply_end() -> None:
    levels = "\n".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9))
    assert problems(f"a0: &a0 x\n{levels}\n") == ["line 1: too much: expected at most 100000 values, 100 deep, aliases written out"]


def test_deep_nesting_ends() -> None:
    (problem,) = problems("[" * 1000)
    assert problem == "not valid YAML: maximum recursion depth exceeded"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text('ab"\n: ü', max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab:"), inner),
    )
)
def test_json_is_yaml(value: object) -> None:
    manifests = read_manifests(json.dumps(value))
    assert manifests.problems == ()
    assert [manifest.document for manifest in manifests.documents] == ([] if value is None else [value])


@given(st.text("ab:-[]{}#&*!|>'\"%@`\n\t ~<?,.0123456789\x00", max_size=30))
def test_any_text_is_survived(text: str) -> None:
    manifests = read_manifests(text)
    assert all(problem.message.isprintable() for problem in manifests.problems)

"""Every problem of a document is said at once, each with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidDocumentError, InvalidValueError
from akri.discovery.fields import Fields

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["items", "colour", "fast", "x"]), inner, max_size=4),
    max_leaves=8,
)


def read(document: object) -> tuple[tuple[str, ...], str, bool]:
    fields = Fields("details", document)
    items = fields.texts("items", str.upper)
    return fields.finish((items, fields.choice("colour", ("red", "blue"), "red"), fields.flag("fast", default=True)))


def places(document: object) -> list[str]:
    with pytest.raises(InvalidDocumentError) as caught:
        read(document)
    return [problem.place for problem in caught.value.problems]


def test_reads_what_is_there_and_falls_back_to_defaults() -> None:
    assert read({"items": ["a", "b"], "colour": "blue", "fast": False}) == (("A", "B"), "blue", False)
    assert read({"items": []}) == ((), "red", True)
    assert read({"items": ["a"], "colour": None, "fast": None}) == (("A",), "red", True)


def test_names_every_problem() -> None:
    assert places({"items": ["", 1, "ok", None], "colour": "green", "fast": "yes", "X": 1, 7: 2}) == [
        "items[0]",
        "items[1]",
        "items[3]",
        "colour",
        "fast",
        "X",
        "7",
    ]


@pytest.mark.parametrize("value", ["text", b"bytes", 5, {"a": 1}])
def test_a_list_must_be_a_list(value: object) -> None:
    assert places({"items": value}) == ["items"]


def test_tells_missing_from_empty() -> None:
    with pytest.raises(InvalidDocumentError, match="items: is missing: expected a list of texts"):
        read({})
    with pytest.raises(InvalidDocumentError, match="items: None is not valid: expected a list of texts"):
        read({"items": None})


def test_what_a_reader_refuses_is_a_problem_of_that_text() -> None:
    def refuse(text: str) -> str:
        raise InvalidValueError("character 1", text, "something else")

    fields = Fields("details", {"items": ["", "a"]})
    fields.texts("items", refuse)
    with pytest.raises(InvalidDocumentError, match=r"items\[1\]: character 1: 'a' is not valid: expected something else"):
        fields.finish(None)


def test_an_unknown_field_is_told_the_known_ones() -> None:
    with pytest.raises(InvalidDocumentError, match="itms: unknown field: expected items, colour, fast"):
        read({"itms": [], "items": []})


def test_a_document_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InvalidDocumentError, match=r"\['a'\] is not valid: expected fields"):
        read(["a"])


@given(ANYTHING)
def test_no_document_escapes(document: object) -> None:
    result = None
    try:
        result = read(document)
    except InvalidDocumentError as error:
        problems = error.problems
    else:
        problems = ()
    assert (result is None) == bool(problems)
    assert result is None or (all(result[0]) and result[1] in {"red", "blue"})

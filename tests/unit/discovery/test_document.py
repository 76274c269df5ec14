"""Any text is either one YAML document or an InvalidDocumentError that says where; nothing else escapes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from akri.core.errors import InvalidDocumentError
from akri.discovery.document import read_document, read_document_aside


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", None),
        ("# only a comment", None),
        ("descriptions: [a, no, '1']", {"descriptions": ["a", "no", "1"]}),
        ('{"debugEcho": {"descriptions":["filter1"]}}', {"debugEcho": {"descriptions": ["filter1"]}}),
    ],
)
def test_reads_yaml_1_2_into_plain_values(text: str, content: object) -> None:
    assert read_document("details", text) == content


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [", 2, "not valid YAML"),
        ("a: 1\na: 2", 2, "the key is there twice"),
        ("a: 1\n---\nb: 2", 3, "a second document begins here"),
        ("a: *nowhere", 1, "not valid YAML"),
        ("a: 1\n\tb: 2", 2, "not valid YAML"),
    ],
)
def test_an_error_names_the_line(text: str, line: int, said: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        read_document("udev discovery details", text)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert said in problem.message
    assert str(caught.value).startswith("udev discovery details: line ")


@given(st.text() | st.text(alphabet="[]{}:,-&*!|>'\"#%@ \n\tab0.~?=<"))
@example("[" * 700)
@example("2024-99-99")
@example("!!python/object/apply:os.system [ls]")
@example("? [a]\n: b")
@example("!!float x")
@example("\x00")
@example("<<: 1")
def test_no_text_escapes_as_another_error(text: str) -> None:
    caught = None
    try:
        read_document("details", text)
    except InvalidDocumentError as error:
        caught = error
    assert caught is None or caught.problems[0].message


def test_a_huge_text_is_refused_unread() -> None:
    with pytest.raises(InvalidDocumentError, match="1000001 characters are too many"):
        read_document("details", " " * 1_000_001)


async def test_a_long_text_is_read_beside_the_loop_with_the_same_result() -> None:
    items = [f"item-{number}" for number in range(300)]
    assert await read_document_aside("details", "descriptions:\n" + "".join(f"- {item}\n" for item in items)) == {"descriptions": items}
    with pytest.raises(InvalidDocumentError, match="details: line"):
        await read_document_aside("details", "a: 1\n" * 400)
    assert await read_document_aside("details", "a: 1") == {"a": 1}

"""Each error is one sentence plus the data behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core import errors
from akri.core.errors import (
    AdmissionError,
    AkriError,
    ClaimRefusedError,
    InvalidDocumentError,
    InvalidValueError,
    Problem,
    RemoteCallError,
    short,
)


@given(st.text(), st.integers(4, 100))
def test_short_texts_have_no_control_characters_and_fit(text: str, limit: int) -> None:
    assert len(short(text, limit)) <= limit
    assert short(text, limit).isprintable()


def test_short_shows_80_characters() -> None:
    assert short("x" * 78) == "'" + "x" * 78 + "'"
    assert short("x" * 79) == "'" + "x" * 76 + "..."
    assert short(12) == "12"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("spec.capacity", "is missing"), "spec.capacity: is missing"),
        (Problem("spec.capacity", "is missing", 7), "line 7: spec.capacity: is missing"),
        (Problem("", "is no YAML", 7), "line 7: is no YAML"),
        (Problem("", "is no YAML"), "is no YAML"),
    ],
)
def test_problems_print(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_an_invalid_value_names_place_value_and_what_was_expected() -> None:
    error = InvalidValueError("spec.capacity", 0, "1 or more")
    assert str(error) == "spec.capacity: 0 is not valid: expected 1 or more"
    assert (error.place, error.value, error.expected) == ("spec.capacity", 0, "1 or more")
    assert error.problem == Problem("spec.capacity", "0 is not valid: expected 1 or more")
    assert isinstance(error, ValueError)


def test_an_invalid_document_lists_all_its_problems() -> None:
    error = InvalidDocumentError("Configuration a/b", [Problem("x", "one"), Problem("", "two")])
    assert str(error) == "Configuration a/b: x: one; two"
    assert error.title == "Configuration a/b"
    assert error.problems == (Problem("x", "one"), Problem("", "two"))


def test_a_refused_claim_names_its_holder() -> None:
    error = ClaimRefusedError("slot a-1 is held by node-b", "node-b")
    assert (str(error), error.holder, ClaimRefusedError("x").holder) == ("slot a-1 is held by node-b", "node-b", "")


def test_a_failed_call_has_a_code_and_the_words_of_the_peer() -> None:
    error = RemoteCallError("rpc error: no answer", "UNAVAILABLE", "no answer")
    assert (str(error), error.code, error.text) == ("rpc error: no answer", "UNAVAILABLE", "no answer")
    assert (RemoteCallError("x").code, RemoteCallError("x").text) == ("UNKNOWN", "")


def test_a_refused_pod_has_a_reason() -> None:
    error = AdmissionError("no device", "OutOfcameras")
    assert (str(error), error.reason, AdmissionError("x").reason) == ("no device", "OutOfcameras", "UnexpectedAdmissionError")


def test_all_errors_belong_to_one_tree() -> None:
    found = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert len(found) >= 8
    assert all(issubclass(error, AkriError) for error in found)

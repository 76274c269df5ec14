"""Secrets are taken out of what handlers say, in whatever form it came there."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.discovery.redaction import Redaction

SECRET = b"pa ss/wo'rd\n"


@pytest.mark.parametrize(
    "text",
    [
        "login with pa ss/wo'rd failed",
        f"401 for rtsp://admin:{quote(SECRET.decode().strip(), safe='')}@10.1.2.3",
        f"bad properties: { ({'password': SECRET})!r}",
        f"bad text: {SECRET.decode()!r}",
        f"Authorization: Basic {base64.b64encode(SECRET).decode()}",
    ],
)
def test_each_form_is_replaced(text: str) -> None:
    shown = Redaction([SECRET])(text)
    assert "<secret>" in shown
    for part in ("pa ss", "wo'rd", quote("pa ss"), base64.b64encode(SECRET).decode()):
        assert part not in shown


def test_a_longer_secret_is_replaced_before_a_shorter_one_in_it() -> None:
    assert Redaction([b"abcd", b"abcdefgh"])("abcdefgh abcd") == "<secret> <secret>"


def test_what_is_too_short_to_be_told_from_other_text_stays() -> None:
    assert Redaction([b"1", b""])("slot 1") == "slot 1"


def test_a_trace_shows_frames_and_no_secret() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise TypeError(f"again {SECRET.decode()}") from cause
    except TypeError as error:
        shown = Redaction([SECRET]).trace(error)
    assert "test_redaction.py" in shown
    assert "TypeError: again <secret>" in shown
    assert "wo'rd" not in shown


@given(st.binary(min_size=4, max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_no_value_that_is_text_survives(value: bytes, before: str, after: str) -> None:
    text = value.decode(errors="replace")
    rest = Redaction([value])(before + text + after).replace("<secret>", "")
    assert len(text) < 4 or text not in rest or text in before + after or text in "<secret>"

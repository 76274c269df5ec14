"""Events of a watch: whole, in pieces, and rubbish."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.watch_events import (
    Bookmark,
    BrokenWatchError,
    Changed,
    Identity,
    Lines,
    Removed,
    identity_of,
    parse_event,
    revision_of,
)

METADATA = {"name": "a", "namespace": "n", "uid": "u1", "resourceVersion": "7"}
OBJECT: JsonObject = {"kind": "ConfigMap", "metadata": METADATA, "data": {"x": "1"}}
A7 = Identity(ObjectKey("n", "a"), "u1", 7)


def line(kind: object, document: object) -> bytes:
    return json.dumps({"type": kind, "object": document}).encode()


@given(st.lists(st.binary(max_size=20).map(lambda part: part.replace(b"\n", b"."))), st.data())
def test_lines_come_out_as_they_went_in_wherever_they_are_cut(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(part + b"\n" for part in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    lines = Lines()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += lines.feed(whole[start:end])

    assert found == [part for part in parts if part.strip()]
    assert lines.complete


def test_a_line_without_its_end_is_not_complete() -> None:
    lines = Lines()
    assert lines.feed(b'{"type":') == []
    assert not lines.complete
    assert lines.feed(b'"x"}\n') == [b'{"type":"x"}']
    assert lines.complete


def test_a_line_may_have_so_many_bytes_and_no_more() -> None:
    assert Lines(4).feed(b"1234\n") == [b"1234"]
    with pytest.raises(BrokenWatchError, match="more than 4 bytes"):
        Lines(4).feed(b"12345\n")
    endless = Lines(4)
    endless.feed(b"1234")
    with pytest.raises(BrokenWatchError, match="more than 4 bytes"):
        endless.feed(b"5")


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED"])
def test_a_change(kind: str) -> None:
    assert parse_event(line(kind, OBJECT)) == Changed(A7, OBJECT)


def test_a_deletion_has_the_revision_of_the_deletion() -> None:
    assert parse_event(line("DELETED", OBJECT)) == Removed(A7)


def test_a_bookmark() -> None:
    assert parse_event(line("BOOKMARK", {"metadata": {"resourceVersion": "12"}})) == Bookmark(12)


def test_an_error_event_is_raised() -> None:
    status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
    with pytest.raises(ApiStatusError, match="too old") as raised:
        parse_event(line("ERROR", status))
    assert raised.value.expired


@pytest.mark.parametrize(
    "rubbish",
    [
        b"<html>",
        b"{",
        b"[]",
        b"1",
        b"\xff\xfe\xfd",
        b"{}",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":[]}',
        b"[" * 100_000,
        line("SOMETHING", OBJECT),
        line(None, OBJECT),
        line("ERROR", {"kind": "Pod"}),
        line("ADDED", {"metadata": {**METADATA, "name": ""}}),
        line("ADDED", {"metadata": {"name": "a", "resourceVersion": "1"}}),
        line("ADDED", {"metadata": {**METADATA, "resourceVersion": 7}}),
        line("BOOKMARK", {}),
    ],
)
def test_rubbish_breaks_the_watch(rubbish: bytes) -> None:
    with pytest.raises(BrokenWatchError):
        parse_event(rubbish)


@given(st.binary(max_size=200))
def test_nothing_but_the_two_errors_comes_out(rubbish: bytes) -> None:
    with pytest.raises((BrokenWatchError, ApiStatusError)):
        parse_event(rubbish)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "x", "٣", None, 7, "1e3"])
def test_a_revision_is_a_number_above_zero(text: object) -> None:
    with pytest.raises(BrokenWatchError, match="resourceVersion"):
        revision_of({"metadata": {"resourceVersion": text}})  # type: ignore[dict-item] # what a server might send


def test_revisions_compare_as_numbers() -> None:
    assert revision_of({"metadata": {"resourceVersion": "10"}}) > revision_of({"metadata": {"resourceVersion": "9"}})


def test_an_object_without_namespace() -> None:
    assert identity_of({"metadata": {"name": "node-a", "uid": "u", "resourceVersion": "3"}}) == Identity(ObjectKey("", "node-a"), "u", 3)

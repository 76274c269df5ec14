"""The bytes of the discovery protocol: nothing gets lost, nonsense is named, and what did not change is not read again."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import akri.discovery
from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import InvalidValueError
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.discovery.wire import (
    KnownDevices,
    Question,
    Registration,
    WrittenDevices,
    read_answer,
    read_question,
    read_registration,
    write_answer,
    write_question,
    write_registration,
)

FOLDER = Path(str(akri.discovery.__file__)).parent

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
_NODES = st.builds(DeviceNode, _TEXTS, _TEXTS, st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"]))
_DEVICES = st.builds(
    Device,
    _TEXTS.map(DeviceId),
    st.dictionaries(_TEXTS, _TEXTS, max_size=3),
    st.lists(st.builds(Mount, _TEXTS, _TEXTS, st.booleans()), max_size=2).map(tuple),
    st.lists(_NODES, max_size=2).map(tuple),
)
_COUNTS = st.integers(0, 2**32 - 1)
_REPORTS = st.builds(SourceReport, _COUNTS, st.dictionaries(_TEXTS, _COUNTS, max_size=3), _TEXTS)
_SNAPSHOTS = st.builds(
    Snapshot,
    st.lists(_DEVICES, max_size=4).map(tuple),
    st.none() | _REPORTS,
    st.lists(_TEXTS.map(DeviceId), max_size=2).map(tuple),
)


_PRINTED = _NAMES.filter(str.isprintable)


@given(st.builds(Registration, _PRINTED.map(HandlerName), _PRINTED, st.booleans(), st.booleans()))
def test_registrations_round_trip(registration: Registration) -> None:
    assert read_registration(write_registration(registration)) == registration


@given(st.builds(Question, _TEXTS, st.dictionaries(_TEXTS, st.binary(), max_size=4)))
def test_questions_round_trip(question: Question) -> None:
    assert read_question(write_question(question)) == question


@given(_SNAPSHOTS, _SNAPSHOTS)
def test_answers_round_trip_whatever_was_known(first: Snapshot, second: Snapshot) -> None:
    known: KnownDevices = {}
    written: WrittenDevices = {}
    for snapshot in (first, second, first):
        encoded, written = write_answer(snapshot, written)
        assert write_answer(snapshot, {})[0] == encoded
        answer, known = read_answer(encoded, known)
        assert answer == snapshot


@given(st.binary(max_size=200))
def test_rubbish_is_read_or_refused(data: bytes) -> None:
    readers: tuple[Callable[[bytes], object], ...] = (read_registration, read_question, partial(read_answer, known={}))
    for read in readers:
        with suppress(InvalidValueError):
            assert read(data) is not None


def test_a_device_that_did_not_change_is_the_very_same_value() -> None:
    encoded, _ = write_answer(Snapshot((Device(DeviceId("a"), {"A": "1"}), Device(DeviceId("b")))), {})
    first, known = read_answer(encoded, {})
    encoded, _ = write_answer(Snapshot((Device(DeviceId("a"), {"A": "2"}), Device(DeviceId("b")))), {})
    second, _ = read_answer(encoded, known)
    assert second.devices[1] is first.devices[1]
    assert second.devices[0].properties == {"A": "2"}


def test_d1_a_device_that_cannot_be_is_named_and_others_stay() -> None:
    good, _ = write_answer(Snapshot((Device(DeviceId("good")), Device(DeviceId("bad"), {}, (), (DeviceNode("/a", "/b", "rwm"),)))), {})
    answer, _ = read_answer(good.replace(b"rwm", b"xyz"), {})
    assert [device.id for device in answer.devices] == ["good"]
    (problem,) = answer.problems
    assert str(problem) == "device 'bad'.permissions: 'xyz' is not valid: expected some of 'r', 'w', 'm', in this order"


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        (
            Registration(HandlerName(""), "/a", network=False, shared=True),
            "name: '' is not valid: expected the name that Configurations use",
        ),
        (Registration(HandlerName("a"), "", network=False, shared=True), "endpoint: '' is not valid: expected the path of a unix socket"),
    ],
)
def test_registrations_without_content_are_refused(registration: Registration, expected: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(expected)):
        read_registration(write_registration(registration))


def test_an_endpoint_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"endpoint_type: 2 is not valid: expected UDS \(0\) or NETWORK \(1\)"):
        read_registration(b"\x0a\x01a\x12\x02/a\x18\x02")


def test_t3_values_of_properties_are_not_printed() -> None:
    assert "hunter2" not in repr(Question("details", {"password": b"hunter2"}))


def _fields(text: str) -> dict[str, dict[str, str]]:
    """Message -> field -> type and number; comments, messages without fields, and enclosed enums aside."""
    found: dict[str, dict[str, str]] = {}
    plain = re.sub(r"enum \w+ \{[^}]*\}", "", re.sub(r"//.*|message \w+ \{\}", "", text))
    for name, body in re.findall(r"^message (\w+) \{([^}]*)\}", plain, re.MULTILINE):
        found[name] = {field: f"{kind.strip()} {number}" for kind, field, number in re.findall(r"([\w<>, ]+?)\s+(\w+) = (\d+);", body)}
    return found


def test_the_published_description_has_the_messages_that_are_sent() -> None:
    published = _fields((FOLDER / "discovery.proto").read_text())
    ours = _fields((FOLDER / "_proto" / "messages.proto").read_text())
    assert ours["DiscoverResponse"].pop("devices") == "repeated bytes 1"
    assert published["DiscoverResponse"].pop("devices") == "repeated Device 1"
    assert published == ours


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 254])
def test_a_name_that_could_not_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="name: "):
        read_registration(write_registration(Registration(HandlerName(name), "/run/x.sock", network=False, shared=False)))


def test_more_devices_than_a_message_needs_bytes_for_are_refused_before_they_are_read() -> None:
    empty = b"\x0a\x00" * 100_001
    with pytest.raises(InvalidValueError, match="devices: 100001 is not valid: expected at most 100000"):
        read_answer(empty, {})

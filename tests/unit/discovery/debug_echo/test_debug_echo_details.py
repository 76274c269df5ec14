"""debugEcho's devices are its descriptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidDocumentError
from akri.discovery.debug_echo.details import DebugEchoDetails, answer, parse_details


@given(st.lists(st.text(min_size=1)))
def test_each_description_is_a_device(descriptions: list[str]) -> None:
    details = parse_details({"descriptions": descriptions})
    snapshot = answer(details, "ONLINE")
    assert [device.id for device in snapshot.devices] == descriptions
    assert [dict(device.properties) for device in snapshot.devices] == [{"DEBUG_ECHO_DESCRIPTION": text} for text in descriptions]
    assert snapshot.gone_ids == ()


@pytest.mark.parametrize("availability", ["OFFLINE", "OFFLINE\n", "it is OFFLINE now"])
def test_all_devices_vanish_while_offline_and_the_report_says_why(availability: str) -> None:
    snapshot = answer(DebugEchoDetails(("a", "b")), availability)
    assert snapshot.devices == ()
    assert snapshot.report is not None
    assert (snapshot.report.candidates, dict(snapshot.report.dropped)) == (2, {"offline": 2})
    assert "OFFLINE" in snapshot.report.message


def test_the_old_wrapper_is_refused_with_advice() -> None:
    with pytest.raises(InvalidDocumentError, match="debugEcho: the name of the handler is no field"):
        parse_details({"debugEcho": {"descriptions": ["a"]}})


@pytest.mark.parametrize("document", [None, {}, {"descriptions": "a"}, {"descriptions": [1]}, {"descriptions": ["a"], "more": 1}, "text"])
def test_bad_details_are_refused(document: object) -> None:
    with pytest.raises(InvalidDocumentError, match="debugEcho discovery details: "):
        parse_details(document)

"""What debugEcho is asked and what it answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from attrs import frozen

from akri.core.device import Device
from akri.core.errors import InvalidDocumentError, Problem
from akri.core.ids import DeviceId
from akri.discovery.fields import Fields
from akri.discovery.snapshot import Snapshot, SourceReport

__all__ = ["PROPERTY_DESCRIPTION", "TITLE", "DebugEchoDetails", "answer", "parse_details"]

PROPERTY_DESCRIPTION: Final = "DEBUG_ECHO_DESCRIPTION"
"""Property of each device: its description, which is its id as well."""
TITLE: Final = "debugEcho discovery details"
"""What errors call the text."""
_OFFLINE: Final = "OFFLINE"


@frozen
class DebugEchoDetails:
    """One device for each description."""

    descriptions: tuple[str, ...]


def parse_details(document: object) -> DebugEchoDetails:
    """Read `descriptions: [...]`; raise InvalidDocumentError with every problem.

    Akri before 0.4 wrapped the fields in one named after the handler, which is refused with advice.
    """
    if _wrapped(document):
        advice = "the name of the handler is no field of its details (it was before Akri 0.4): write what is inside it at the top level"
        raise InvalidDocumentError(TITLE, [Problem("debugEcho", advice)])
    fields = Fields(TITLE, document)
    return fields.finish(DebugEchoDetails(fields.texts("descriptions", str)))


def _wrapped(document: object) -> bool:
    return isinstance(document, Mapping) and set(cast("Mapping[object, object]", document)) == {"debugEcho"}


def answer(details: DebugEchoDetails, availability: str) -> Snapshot:
    """Give the devices, none of them while the availability file's content says OFFLINE."""
    total = len(details.descriptions)
    if _OFFLINE in availability:
        return Snapshot(report=SourceReport(total, {"offline": total}, "the availability file says OFFLINE"))
    devices = tuple(Device(DeviceId(text), {PROPERTY_DESCRIPTION: text}) for text in details.descriptions)
    return Snapshot(devices, SourceReport(total))

"""What the udev handler is asked. Pure."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from akri.discovery.fields import Fields
from akri.discovery.udev.rules import Rule, parse_rule

__all__ = ["TITLE", "UdevDetails", "parse_details"]

TITLE: Final = "udev discovery details"
"""What errors call the text."""
_PERMISSIONS: Final = ("r", "w", "m", "rw", "rm", "rwm", "wm")


@frozen
class UdevDetails:
    """A device that matches one of the rules is found.

    group_recursive: devices below another match join it. permissions: what the broker may do with the device nodes
    (r read, w write, m make nodes).
    """

    rules: tuple[Rule, ...]
    group_recursive: bool = False
    permissions: str = "rwm"


def parse_details(document: object) -> UdevDetails:
    """Read udevRules, groupRecursive and permissions; raise InvalidDocumentError with every problem of every rule."""
    fields = Fields(TITLE, document)
    details = UdevDetails(
        fields.texts("udevRules", parse_rule),
        fields.flag("groupRecursive", default=False),
        fields.choice("permissions", _PERMISSIONS, "rwm"),
    )
    return fields.finish(details)

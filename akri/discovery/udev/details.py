"""What the udev handler is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from akri.core.errors import InvalidDocumentError, InvalidValueError, Problem
from akri.discovery.fields import Fields
from akri.discovery.udev.rules import Rule, parse_rule

__all__ = ["MAXIMUM_RULES", "MAXIMUM_TEXT", "TITLE", "Passthrough", "UdevDetails", "parse_details", "parse_properties"]

TITLE: Final = "udev discovery details"
"""What errors call the text."""
MAXIMUM_RULES: Final = 1000
"""Rules of one Configuration."""
MAXIMUM_TEXT: Final = 65_536
"""Characters of all its rules together: what it takes to judge every device of a machine by them grows with their length."""
_PERMISSIONS: Final = ("r", "w", "m", "rw", "rm", "rwm", "wm")
_RESOURCE: Final = "devicePluginResourceName"
_VFIO: Final = "vfioPassthrough"
_RESOURCE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,314}[A-Za-z0-9])?")
_FLAGS: Final = {"true": True, "false": False, "": False}


@frozen
class Passthrough:
    """What KubeVirt needs to hand a device over to a virtual machine.

    resource_name: the resource whose name the variables USB_RESOURCE_* and PCI_RESOURCE_* carry, "" for no such variable.
    vfio: whether PCI functions bring the nodes of their IOMMU groups.
    """

    resource_name: str = ""
    vfio: bool = False


@frozen
class UdevDetails:
    """A device that matches one of the rules is found.

    group_recursive: devices below another match join it. permissions: what the broker may do with the device nodes
    (r read, w write, m make nodes).
    """

    rules: tuple[Rule, ...]
    group_recursive: bool = False
    permissions: str = "rwm"
    passthrough: Passthrough = Passthrough()


def parse_details(document: object) -> UdevDetails:
    """Read udevRules, groupRecursive and permissions; raise InvalidDocumentError with every problem of every rule."""
    fields = Fields(TITLE, document)
    length = 0

    def read_rule(text: str) -> Rule:
        nonlocal length
        length += len(text)
        if length > MAXIMUM_TEXT:
            raise InvalidValueError("rule", text, f"at most {MAXIMUM_TEXT} characters in all rules together")
        return parse_rule(text)

    details = UdevDetails(
        fields.texts("udevRules", read_rule),
        fields.flag("groupRecursive", default=False),
        fields.choice("permissions", _PERMISSIONS, "rwm"),
    )
    if len(details.rules) > MAXIMUM_RULES:
        fields.problem("udevRules", f"{len(details.rules)} rules are too many: expected at most {MAXIMUM_RULES}")
    return fields.finish(details)


def parse_properties(properties: Mapping[str, bytes]) -> Passthrough:
    """Read the discovery properties devicePluginResourceName and vfioPassthrough; others are left alone.

    Raises InvalidDocumentError, which names the property and not its value: a property may come from a Secret.
    """
    problems: list[Problem] = []
    name = _text(properties, _RESOURCE).strip()
    if name and not _RESOURCE_NAME.fullmatch(name):
        problems.append(Problem(_RESOURCE, "is not valid: expected the name of a resource, such as akri.sh/udev-gpu"))
    flag = _FLAGS.get(_text(properties, _VFIO).strip().lower())
    if flag is None:
        problems.append(Problem(_VFIO, "is not valid: expected true or false"))
    if problems:
        raise InvalidDocumentError("udev discovery properties", problems)
    return Passthrough(name, bool(flag))


def _text(properties: Mapping[str, bytes], name: str) -> str:
    return properties.get(name, b"").decode("utf-8", "replace")

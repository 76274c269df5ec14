"""Feed the parsers of udev rules, patterns, details, properties and messages with rubbish that looks almost right.

No input may end in an error other than those that the parsers promise, take longer than a second, or make the process grow.
"""

from __future__ import annotations

import random
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Final

from akri.core.errors import InvalidDocumentError, InvalidValueError
from akri.discovery.document import read_document
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.details import TITLE, UdevDetails, parse_details, parse_properties
from akri.discovery.udev.explain import explain
from akri.discovery.udev.kernel import KernelDevice, Scan
from akri.discovery.udev.match import snapshot
from akri.discovery.udev.pattern import Pattern
from akri.discovery.udev.rules import MAXIMUM_RULE, Key, parse_rule
from akri.discovery.udev.uevent import parse_uevent

__all__ = ["LONGEST", "LONGEST_DOCUMENT", "MOST_MEMORY", "main"]

LONGEST: Final = 1.0
"""Seconds of processor time that one input may take."""
LONGEST_DOCUMENT: Final = 5.0
"""The same for a YAML document: a deeply nested one is refused, after two seconds on a slow machine, however much deeper it is."""
MOST_MEMORY: Final = 64 * 1024
"""KiB by which the process may grow."""
_WARM: Final = 2000
_LETTERS: Final = '"\\[]{}()*?|!^-=+:,. \t\nabAZ09$%/\0\u00e9\udc80\U0001f600'
_PIECES: Final = (
    *(key.value for key in Key), "ATTR{size}", "ATTRS{idVendor}", "ENV{ID_FS}", "RUN", "GOTO",
    "==", "!=", "+=", "=", '"', '""', 'e"', "\\x41", "\\U0001f600", "\\", ", ", ",", " ",
    "[a-z]", "[!a-z]", "[[:digit:]]", "[[:", "[[.a.]]", "[]", "*", "?*", "|", '"video[0-9]*"', '"0bdd"',
)  # fmt: skip
_YAML: Final = (
    "udevRules",
    ": ",
    "- ",
    "\n",
    "  ",
    "[",
    "]",
    "'",
    "groupRecursive: true",
    "permissions: rw",
    "&a ",
    "*a",
    "<<: ",
    "|",
    "!!str ",
    "{",
    "}",
)
_DEVICES: Final = (
    KernelDevice("/devices/a", "usb", "usb", "/dev/bus/usb/001/002", tags=frozenset({"b"}), attributes={"size": "8 ", "idVendor": "0bdd"}),
    KernelDevice("/devices/a/b", "block", "", "/dev/sda", "/devices/a", properties={"ID_FS": "ext4"}, attributes={"size": "\udcff" * 600}),
)
_SCAN: Final = Scan(frozenset({"/devices/a"}), tuple(one.devpath for one in _DEVICES), {one.devpath: one for one in _DEVICES})


def main(count: int, seed: int = 0) -> Counter[tuple[str, bool]]:
    """Feed `count` inputs; return how many each parser took (True) and refused (False).

    Raises AssertionError, naming the input, for one that does harm.
    """
    chance, seen = random.Random(seed), Counter[tuple[str, bool]]()
    baseline = 0
    for number in range(count):
        target = chance.choice(_TARGETS)
        given = target.__name__, chance.getrandbits(64)
        began = time.process_time()
        seen[target.__name__, target(random.Random(given[1]))] += 1
        seconds = time.process_time() - began
        assert seconds < (LONGEST_DOCUMENT if target is _details else LONGEST), (
            f"input {number} of seed {seed} ({given}) took {seconds:.1f} s"
        )
        if number == _WARM:
            baseline = _memory()
    grown = _memory() - baseline if count > _WARM else 0
    assert grown < MOST_MEMORY, f"the process has grown by {grown} KiB"
    return seen


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _text(chance: random.Random, pieces: tuple[str, ...]) -> str:
    """Make a text of pieces and letters; now and then a piece many times over."""
    parts: list[str] = []
    for _ in range(chance.randrange(12)):
        part = chance.choice(pieces) if chance.random() < 0.7 else chance.choice(_LETTERS)
        parts.append(part * chance.choice((1, 1, 1, 1, 1, 1, 1, 2, 30)))
    if parts and chance.random() < 0.003:
        parts.append(chance.choice(parts) * 3000)
    return "".join(parts)


def _value(chance: random.Random) -> str:
    return "".join(chance.choice(_LETTERS) for _ in range(chance.choice((0, 1, 3, 8, 8, 300))))


def _rule(chance: random.Random) -> bool:
    """Tell whether it was taken, as all of these do."""
    try:
        rule = parse_rule(_text(chance, _PIECES) if chance.random() < 0.5 else _near_rule(chance))
    except InvalidValueError as error:
        return _refused(error)
    printed = ",".join(condition.text for condition in rule.conditions)
    assert len(printed) > MAXIMUM_RULE or parse_rule(printed) == rule, f"{rule} is printed as another rule"
    details = UdevDetails((rule,), group_recursive=chance.random() < 0.5)
    found = {device.id for device in snapshot(details, _SCAN, Snapshot()).devices}
    selected = {one.devpath for one in explain(details, _SCAN) if one.selected_by is not None}
    assert found <= selected, f"{rule} is explained otherwise than it is judged"
    return True


def _near_rule(chance: random.Random) -> str:
    conditions = (
        f"{chance.choice(_PIECES[: len(Key) + 3])}{chance.choice(('==', '!='))}{chance.choice(('', 'e'))}"
        f'"{_text(chance, _PIECES) if chance.random() < 0.5 else "a*|[0-9]"}"'
        for _ in range(chance.randrange(1, 4))
    )
    return ", ".join(conditions)


def _pattern(chance: random.Random) -> bool:
    try:
        pattern = Pattern(_text(chance, ("*", "?", "[a-z]", "[!a-z]", "[[:alpha:]]", "|", "\\", "[", "]", "a")))
    except InvalidValueError as error:
        return _refused(error)
    pattern.matches(_value(chance))
    return True


def _details(chance: random.Random) -> bool:
    text = _text(chance, _YAML + _PIECES) if chance.random() < 0.7 else _near_details(chance)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of anchors used twice, which YAML allows
            document = read_document(TITLE, text)
        parse_details(document)
    except InvalidDocumentError as error:
        return _refused(error)
    return True


def _near_details(chance: random.Random) -> str:
    recursive, permissions = chance.choice(("true", "false", "1")), chance.choice(("rw", "r", "x", ""))
    return f"udevRules:\n- '{_near_rule(chance)}'\n- KERNEL==\"a\"\ngroupRecursive: {recursive}\npermissions: {permissions}\n"


def _properties(chance: random.Random) -> bool:
    values = {name: _value(chance).encode("utf-8", "surrogateescape") for name in ("devicePluginResourceName", "vfioPassthrough")}
    try:
        parse_properties(values)
    except InvalidDocumentError as error:
        return _refused(error)
    return True


def _message(chance: random.Random) -> bool:
    fields = (
        "DEVPATH=/devices/a",
        "DEVPATH=",
        "ACTION=add",
        "SUBSYSTEM=block",
        "MAJOR=7",
        "MINOR=",
        "IFINDEX=x",
        "SEQNUM=9",
        "=",
        "libudev",
    )
    parts = [chance.choice(fields) + (_value(chance) if chance.random() < 0.3 else "") for _ in range(chance.randrange(9))]
    event = parse_uevent("\0".join(parts).encode("utf-8", "surrogateescape"))
    assert event is None or "/" not in event.record
    return event is not None


def _refused(error: Exception) -> bool:
    assert len(str(error)) < 10_000, "an error message repeats its input"
    return False


_TARGETS: Final[tuple[Callable[[random.Random], bool], ...]] = (
    _rule, _rule, _rule, _rule, _pattern, _pattern, _pattern, _pattern, _message, _message, _properties, _details,
)  # fmt: skip

if __name__ == "__main__":
    main(int(sys.argv[1]))

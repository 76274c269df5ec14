"""The grammar of udev rules, as far as it selects devices: parse a rule, or say what is wrong with it and where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import frozen

from akri.core.errors import InvalidValueError, short
from akri.discovery.udev.pattern import Pattern

__all__ = ["MAXIMUM_RULE", "Condition", "Key", "Rule", "parse_rule"]


class Key(Enum):
    """What a condition looks at. The plural ones look at the device or one of its ancestors."""

    ATTR = "ATTR"
    ATTRS = "ATTRS"
    DEVPATH = "DEVPATH"
    DRIVER = "DRIVER"
    DRIVERS = "DRIVERS"
    ENV = "ENV"
    KERNEL = "KERNEL"
    KERNELS = "KERNELS"
    SUBSYSTEM = "SUBSYSTEM"
    SUBSYSTEMS = "SUBSYSTEMS"
    TAG = "TAG"
    TAGS = "TAGS"

    @property
    def plural(self) -> bool:
        """Whether an ancestor may match in place of the device."""
        return self in _PLURAL


_PLURAL: Final = frozenset({Key.ATTRS, Key.DRIVERS, Key.KERNELS, Key.SUBSYSTEMS, Key.TAGS})
_NAMED: Final = frozenset({Key.ATTR, Key.ATTRS, Key.ENV})
_KEYS: Final = {key.value: key for key in Key}
_OTHER_KEYS: Final = frozenset({
    "ACTION", "CONST", "GOTO", "GROUP", "IMPORT", "LABEL", "MODE", "NAME", "OPTIONS", "OWNER", "PROGRAM", "RESULT", "RUN",
    "SECLABEL", "SYMLINK", "SYSCTL", "TEST", "WAIT_FOR",
})  # fmt: skip
_CONDITION: Final = re.compile(
    r"""(?P<key>[A-Za-z_]+) (?:\{(?P<name>[^}]*)\})? \s*
        (?: (?P<operator>[=!+:-]?=) \s*
            (?: "(?P<value>(?:[^"\\]++|\\"?+)*+)" | e"(?P<escaped>(?:[^"\\]++|\\.)*+)" )? )?""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"""\\(?: (?P<letter>[abfnrtvs\\"']) | (?P<octal>[0-3][0-7]{2})
        | (?:x(?P<byte>[0-9A-Fa-f]{2})|u(?P<short>[0-9A-Fa-f]{4})|U(?P<long>[0-9A-Fa-f]{8})) )?""",
    re.VERBOSE,
)
_LETTERS: Final = dict(zip("abfnrtvs", "\a\b\f\n\r\t\v ", strict=True))
MAXIMUM_RULE: Final = 16_384
"""Characters of a rule; udev takes no longer lines."""
_SEPARATOR: Final = re.compile(r"[\s,]*")


@frozen
class Condition:
    """One comparison of a rule: `ATTR{size}!="0"`. name: what stands in braces, "" where the key has none."""

    key: Key
    name: str
    equal: bool
    pattern: Pattern

    def __str__(self) -> str:
        """Print the left side, as reports name it: `ATTR{size}`."""
        return f"{self.key.value}{{{self.name}}}" if self.name else self.key.value

    @property
    def text(self) -> str:
        """The whole condition as a rule would have it: `ATTR{size}!="0"`."""
        return f"{self}{'==' if self.equal else '!='}{_quoted(self.pattern.text)}"


@frozen
class Rule:
    """Conditions that must all hold; those with plural keys all on one device, the device itself or an ancestor."""

    own: tuple[Condition, ...]
    inherited: tuple[Condition, ...]

    @classmethod
    def of(cls, conditions: Iterable[Condition]) -> Rule:
        """Sort conditions by whom they look at."""
        items = tuple(conditions)
        return cls(tuple(c for c in items if not c.key.plural), tuple(c for c in items if c.key.plural))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions."""
        return self.own + self.inherited


def parse_rule(text: str) -> Rule:
    """Parse one rule: conditions with commas or blanks between.

    Raises InvalidValueError, whose place is the character, counted from 1.
    """
    if len(text) > MAXIMUM_RULE:
        raise InvalidValueError("rule", text, f"at most {MAXIMUM_RULE} characters, found {len(text)}")
    conditions: list[Condition] = []
    position = _skip(text, 0)
    while position < len(text):
        here = f"character {position + 1}"
        found = _CONDITION.match(text, position)
        if found is None:
            raise InvalidValueError(here, text[position:], f"a key: one of {', '.join(_KEYS)}")
        conditions.append(_condition(found, here))
        position = _skip(text, found.end())
        if position == found.end() < len(text):
            raise InvalidValueError(f"character {position + 1}", text[position:], "a comma between two conditions")
    if not conditions:
        raise InvalidValueError("rule", text, 'at least one condition, such as KERNEL=="video[0-9]*"')
    return Rule.of(conditions)


def _skip(text: str, position: int) -> int:
    found = _SEPARATOR.match(text, position)
    return found.end() if found else position


def _quoted(value: str) -> str:
    if value.isprintable() and not value.endswith("\\"):
        return '"{}"'.format(value.replace('"', '\\"'))
    # What plain quotes cannot hold, C escapes can.
    return 'e"{}"'.format("".join(map(_escaped, value)))


def _escaped(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _condition(found: re.Match[str], here: str) -> Condition:
    key = _key(found["key"], here)
    name = _name(key, found["name"], here)
    operator = found["operator"]
    if operator is None:
        raise InvalidValueError(here, found[0], f"== or != after {key.value}")
    if operator not in {"==", "!="}:
        raise InvalidValueError(here, found[0], f"== or !=: {operator} is an action, and discovery changes nothing")
    try:
        return Condition(key, name, operator == "==", Pattern(_value(found, here)))
    except InvalidValueError as error:
        raise InvalidValueError(here, error.value, error.expected) from error


def _value(found: re.Match[str], here: str) -> str:
    value = found["value"]
    if value is None and found["escaped"] is None:
        raise InvalidValueError(here, found[0], "a value in double quotes, closed, right after the operator")
    value = _ESCAPE.sub(_unescaped, found["escaped"]) if value is None else value.replace('\\"', '"')
    if "\0" in value:
        raise InvalidValueError(here, found[0], "a value without NUL")
    return value


def _unescaped(escape: re.Match[str]) -> str:
    kind = escape.lastgroup
    if kind is None:
        raise InvalidValueError("value", escape.string[escape.start() :], "an escape of C: \\n, \\x2f, \\057, \\u00e9 and the like")
    digits = escape[kind]
    if kind == "letter":
        return _LETTERS.get(digits, digits)
    code = int(digits, 8 if kind == "octal" else 16)
    if kind in {"octal", "byte"}:
        return bytes([code]).decode("ascii", "surrogateescape")
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise InvalidValueError("value", escape[0], "a character of Unicode")
    return chr(code)


def _key(text: str, here: str) -> Key:
    key = _KEYS.get(text)
    if key is None:
        why = "is not a match key of discovery" if text in _OTHER_KEYS else "is no key of udev rules"
        raise InvalidValueError(here, text, f"one of {', '.join(_KEYS)}; {short(text)} {why}")
    return key


def _name(key: Key, name: str | None, here: str) -> str:
    if not (name if key in _NAMED else name is None):
        expected = f"{key.value}{{name}}" if key in _NAMED else f"{key.value} without braces"
        raise InvalidValueError(here, key.value if name is None else f"{key.value}{{{name}}}", expected)
    if not name:
        return ""
    if not name.isprintable():
        raise InvalidValueError(here, name, "a name of printable characters")
    if key is not Key.ENV:
        _attribute_name(name, here)
    return name


def _attribute_name(name: str, here: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise InvalidValueError(here, name, "an attribute inside the device's own folder: no leading '/' and no '..'")
    if name.startswith("[") or "$" in name or "%" in name:
        raise InvalidValueError(here, name, "the attribute's own name: discovery replaces neither '$..', '%..' nor '[subsystem/kernel]'")

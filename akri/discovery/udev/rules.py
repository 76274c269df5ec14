"""The grammar of udev rules, as far as it selects devices: parse a rule, or say what is wrong with it and where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import frozen

from akri.core.errors import InvalidValueError, short
from akri.discovery.udev.pattern import Pattern

__all__ = ["Condition", "Key", "Rule", "parse_rule"]


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
    r"""(?P<key>[A-Za-z_]+) (?:\{(?P<name>[^{}"]*)\})? \s*
        (?: (?P<operator>[=!+:-]?=) \s* (?: "(?P<value>(?:[^"\\]|\\.)*)" )? )?""",
    re.VERBOSE | re.DOTALL,
)
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


def _condition(found: re.Match[str], here: str) -> Condition:
    key = _key(found["key"], here)
    name = _name(key, found["name"], here)
    operator, value = found["operator"], found["value"]
    if operator is None:
        raise InvalidValueError(here, found[0], f"== or != after {key.value}")
    if operator not in {"==", "!="}:
        raise InvalidValueError(here, found[0], f"== or !=: {operator} is an action, and discovery changes nothing")
    if value is None:
        raise InvalidValueError(here, found[0], "a value in double quotes, closed, right after the operator")
    try:
        pattern = Pattern(value.replace('\\"', '"'))
    except InvalidValueError as error:
        raise InvalidValueError(here, error.value, error.expected) from error
    return Condition(key, name, operator == "==", pattern)


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
    if key is not Key.ENV and name and (name.startswith("/") or ".." in name.split("/") or "\0" in name):
        raise InvalidValueError(here, name, "an attribute inside the device's own folder: no leading '/' and no '..'")
    return name or ""

"""Rule files made from what a machine's own devices look like, so that many of them select something."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

__all__ = ["Sample", "rule_files"]

_NEVER_ALONE: Final = "?*"
"""As the whole value of TAG and TAGS udev reads it as 'not empty' of each tag, which docs/udev.md lists as a difference."""
_TELLING: Final = frozenset({"loop/backing_file", "ifalias", "modalias", "resource"})
"""Attributes whose values are long, or odd."""
_ODD: Final = ("", "no such thing", "*", "?", "*[!a-z]", "|", "[[:digit:]]*", "a\\*", "x|")


@frozen
class Sample:
    """What one device shows: key -> value for keys without a name, name -> value for the others. lines: the same of its ancestors."""

    keys: Mapping[str, str]
    attributes: Mapping[str, str]
    properties: Mapping[str, str]
    tags: tuple[str, ...]
    above: tuple[Sample, ...] = ()


def rule_files(samples: Sequence[Sample], count: int, seed: int) -> list[list[str]]:
    """Make files of one to three rules each, the same ones for the same samples and seed."""
    chance = random.Random(seed)
    return [[_rule(chance, samples) for _ in range(chance.choice((1, 1, 2, 3)))] for _ in range(count)]


def _rule(chance: random.Random, samples: Sequence[Sample]) -> str:
    # Devices with attributes of many kinds are asked about more often: those with odd names come from them.
    sample = max(chance.sample(samples, 2), key=lambda one: len(one.attributes)) if chance.random() < 0.5 else chance.choice(samples)
    line = (sample, *sample.above)
    ancestor = chance.choice(line)
    conditions: list[str] = []
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        if chance.random() < 0.5:
            conditions.append(_condition(chance, sample, plural=False))
        else:
            # Mostly all plural keys of one ancestor; now and then of several, which no device can meet.
            here = ancestor if chance.random() < 0.85 else chance.choice(line)
            conditions.append(_condition(chance, here, plural=True))
    return chance.choice((", ", ",", " ")).join(conditions)


def _condition(chance: random.Random, sample: Sample, *, plural: bool) -> str:
    if plural:
        makers = {"KERNELS": _key("KERNEL"), "SUBSYSTEMS": _key("SUBSYSTEM"), "DRIVERS": _key("DRIVER"), "TAGS": _tag, "ATTRS": _attribute}
    else:
        makers = {key: _key(key) for key in ("KERNEL", "SUBSYSTEM", "DRIVER", "DEVPATH")} | {
            "TAG": _tag,
            "ATTR": _attribute,
            "ENV": _property,
        }
    key = chance.choice([*makers, *(name for name in makers if name.startswith(("ATTR", "ENV")))])
    name, value = makers[key](chance, sample)
    equal = chance.random() < 0.8
    if not equal and chance.random() < 0.7:
        value = chance.choice(_ODD)
    pattern = _pattern(chance, value)
    if key.startswith("TAG") and pattern == _NEVER_ALONE:
        pattern = "?*|"
    return f"{key}{f'{{{name}}}' if name else ''}{'==' if equal else '!='}{_quoted(chance, pattern)}"


_Maker = Callable[[random.Random, Sample], tuple[str, str]]


def _key(key: str) -> _Maker:
    return lambda _chance, sample: ("", sample.keys[key])


def _tag(chance: random.Random, sample: Sample) -> tuple[str, str]:
    return "", chance.choice((*sample.tags, "akri_one", "no tag"))


def _attribute(chance: random.Random, sample: Sample) -> tuple[str, str]:
    found = sorted(sample.attributes.items())
    telling = [item for item in found if item[0] in _TELLING]
    return chance.choice(telling if telling and chance.random() < 0.4 else found or [("size", "8")])


def _property(chance: random.Random, sample: Sample) -> tuple[str, str]:
    return chance.choice(sorted(sample.properties.items()) or [("AKRI_NONE", "")])


def _pattern(chance: random.Random, value: str) -> str:
    """Make a pattern of a value that it mostly matches."""
    kind = chance.randrange(9)
    if kind == 0:
        return chance.choice(_ODD)
    if kind in {1, 2}:
        return value
    alternatives = [_wild(chance, value)]
    if kind in {3, 4}:
        alternatives.append(_wild(chance, chance.choice((value[::-1], f"{value}x", "", "a*"))))
        chance.shuffle(alternatives)
    return "|".join(alternatives)


def _wild(chance: random.Random, value: str) -> str:
    pieces = [_piece(chance, character) for character in value[:100]]
    cut = chance.randrange(len(pieces) + 1)
    match chance.randrange(4):
        case 0:
            return "".join(pieces[:cut]) + "*"
        case 1:
            return "*" + "".join(pieces[cut:])
        case 2:
            return "".join(pieces[: cut // 2]) + "*" + "".join(pieces[cut:])
        case _:
            return "".join(pieces)


def _piece(chance: random.Random, character: str) -> str:
    if chance.random() < 0.8 or character in '|[]!^-\\*?"':
        return "?" if character in '|[]!^-\\*?"' else character
    classes = [name for name, test in (("digit", str.isdigit), ("alpha", str.isalpha), ("alnum", str.isalnum)) if test(character)]
    return chance.choice((
        "?", f"[{character}z]", f"[!{character}]", f"[^~{chance.choice('0a')}]", "[0-9]", "[a-z_]", f"\\{character}", f"[]\\{character}]",
        *(f"[[:{name}:]]" for name in classes),
    ))  # fmt: skip


def _quoted(chance: random.Random, pattern: str) -> str:
    if pattern.endswith("\\") or chance.random() < 0.1:
        escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
        return 'e"{}"'.format(escaped.replace("a", "\\x61"))
    return '"{}"'.format(pattern.replace('"', '\\"'))

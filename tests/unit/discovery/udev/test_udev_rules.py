"""Rules are parsed whole; what discovery cannot do is refused with its name and place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidDocumentError, InvalidValueError
from akri.discovery.udev.details import Passthrough, UdevDetails, parse_details, parse_properties
from akri.discovery.udev.pattern import Pattern
from akri.discovery.udev.rules import Condition, Key, Rule, parse_rule

UPSTREAM = Path(__file__).parents[3] / "data" / "upstream"
SUPPORTED = [line.split(" ", 1) for line in (UPSTREAM / "example.rules").read_text("utf-8").splitlines()]
UNSUPPORTED = (UPSTREAM / "example-unsupported.rules").read_text("utf-8").splitlines()

NAMED = {Key.ATTR, Key.ATTRS, Key.ENV}
VALUES = st.text(max_size=8).filter(lambda text: "[" not in text and "\0" not in text)
NAMES = st.text(alphabet="abcXYZ_/ 0", min_size=1, max_size=6).filter(lambda text: not text.startswith("/"))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    key = draw(st.sampled_from(Key))
    return Condition(key, draw(NAMES) if key in NAMED else "", draw(st.booleans()), Pattern(draw(VALUES)))


def printed(condition: Condition, gap: str) -> str:
    sign = "==" if condition.equal else "!="
    return f"{condition}{gap}{sign}{gap}{condition.text.removeprefix(f'{condition}{sign}')}"


@given(st.lists(conditions(), min_size=1, max_size=5), st.sampled_from([",", ", ", " ", " , ", ",\t"]), st.sampled_from(["", " "]))
def test_reads_back_what_is_printed(items: list[Condition], separator: str, gap: str) -> None:
    text = separator.join(printed(item, gap) for item in items)
    for variant in (text, f"  {text} ,"):
        assert parse_rule(variant) == Rule.of(items)


@given(
    st.text(max_size=40)
    | st.text(alphabet='KERNL="{}AT[*],!+\\ ', max_size=40)
    | st.lists(conditions()).flatmap(
        lambda items: st.text(max_size=10).map(lambda rubbish: ",".join(printed(item, "") for item in items) + rubbish)
    )
)
def test_no_text_escapes_as_another_error(text: str) -> None:
    place = ""
    try:
        rule = parse_rule(text)
    except InvalidValueError as error:
        place = error.place
    else:
        assert rule.conditions
    assert place in {"", "rule"} or place.startswith("character ")


@pytest.mark.parametrize(("count", "text"), SUPPORTED, ids=[text for _, text in SUPPORTED])
def test_upstream_rules_are_read(count: str, text: str) -> None:
    assert len(parse_rule(text).conditions) == int(count)


@pytest.mark.parametrize("text", UNSUPPORTED)
def test_upstream_rules_that_act_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_rule(text)
    key = text.partition("=")[0].rstrip("+-:!").partition("{")[0]
    assert key in str(caught.value)
    assert caught.value.place == "character 1"


def test_sorts_conditions_by_whom_they_look_at() -> None:
    rule = parse_rule('ATTRS{idVendor}=="0bdd", KERNEL!="sda", TAGS=="uaccess"')
    assert rule.own == (Condition(Key.KERNEL, "", equal=False, pattern=Pattern("sda")),)
    assert [str(condition) for condition in rule.inherited] == ["ATTRS{idVendor}", "TAGS"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "rule: '' is not valid: expected at least one condition"),
        (" , ", "expected at least one condition"),
        ('KERNEL=="a", RUN+="b"', "character 14: 'RUN' is not valid: expected one of ATTR, .*'RUN' is not a match key of discovery"),
        ('KERNELL=="a"', "'KERNELL' is no key of udev rules"),
        ('KERNEL="a"', "expected == or !=: = is an action"),
        ('KERNEL=="a", TAG+="x"', r"character 14: .*expected == or !=: \+= is an action"),
        ('TAG-="x"', "-= is an action"),
        ('TAG:="x"', ":= is an action"),
        ("KERNEL", "character 1: 'KERNEL' is not valid: expected == or != after KERNEL"),
        ("KERNEL==", "expected a value in double quotes"),
        ("KERNEL==a", "expected a value in double quotes"),
        ('KERNEL=="a', "expected a value in double quotes"),
        ('KERNEL=="a"DRIVER=="b"', "character 12: .*expected a comma between two conditions"),
        ('KERNEL{x}=="a"', r"'KERNEL\{x\}' is not valid: expected KERNEL without braces"),
        ('KERNEL{}=="a"', r"'KERNEL\{\}' is not valid: expected KERNEL without braces"),
        ('ATTR=="a"', r"'ATTR' is not valid: expected ATTR\{name\}"),
        ('ATTR{}=="a"', r"expected ATTR\{name\}"),
        ('ATTR{../../secret}=="a*"', r"no leading '/' and no '\.\.'"),
        ('ATTRS{/etc/hostname}=="a*"', r"no leading '/' and no '\.\.'"),
        ('ATTR{a\0b}=="a*"', "expected a name of printable characters"),
        ('KERNEL=="video[0-9"', r"character 1: 'video\[0-9' is not valid"),
        ("# a comment", "character 1: '# a comment' is not valid: expected a key"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        parse_rule(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'KERNEL=="a\"b"', 'a"b'),
        (r'KERNEL=="a\\"b"', r"a\"b"),
        (r'KERNEL=="a\nb"', r"a\nb"),
        (r'KERNEL==e"a\nb\x2f\057\u00e9\U0001f600\\\"\s"', 'a\nb//\u00e9\U0001f600\\" '),
        (r'KERNEL==e"\xc3\xa9"', "\udcc3\udca9"),
        ('KERNEL==e""', ""),
    ],
)
def test_reads_quoted_values_as_udev_does(text: str, value: str) -> None:
    (condition,) = parse_rule(text).own
    assert condition.pattern.text == value
    assert parse_rule(condition.text).own == (condition,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r'KERNEL=="a\"', "a value in double quotes, closed"),
        (r'KERNEL==e"a\q"', "an escape of C"),
        (r'KERNEL==e"\U00110000"', "a character of Unicode"),
        (r'KERNEL==e"\ud800"', "a character of Unicode"),
        (r'KERNEL==e"\x00"', "a value without NUL"),
        ('KERNEL=="\ud800"', "characters that UTF-8 can hold"),
        ('ATTR{$x}=="a"', "the attribute's own name"),
        ('ATTRS{a%k}=="a"', "the attribute's own name"),
        ('ATTR{[net/lo]address}=="a"', "the attribute's own name"),
        (f'KERNEL=="{"a" * 16_384}"', "rule: .*at most 16384 characters, found 16394"),
        (f'KERNEL=="*{"a" * 1024}"', "at most 1024 bytes in an alternative, with wildcards"),
    ],
)
def test_refuses_what_it_would_read_otherwise_than_udev(text: str, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        parse_rule(text)


def test_an_environment_property_may_hold_any_name() -> None:
    assert parse_rule('ENV{a/../b name}=="?*"').own[0].name == "a/../b name"


def test_details_have_defaults() -> None:
    assert parse_details({"udevRules": []}) == UdevDetails((), group_recursive=False, permissions="rwm")


@pytest.mark.parametrize("permissions", ["r", "w", "m", "rw", "rm", "rwm", "wm"])
def test_details_are_read(permissions: str) -> None:
    details = parse_details({"udevRules": ['KERNEL=="a"'], "groupRecursive": True, "permissions": permissions})
    assert details == UdevDetails((parse_rule('KERNEL=="a"'),), group_recursive=True, permissions=permissions)


def test_all_rules_together_have_a_bound() -> None:
    long = f'KERNEL=="{"a" * 16_000}"'
    assert len(parse_details({"udevRules": [long] * 4}).rules) == 4
    with pytest.raises(InvalidDocumentError, match=r"udevRules\[4\]: .*at most 65536 characters in all rules together"):
        parse_details({"udevRules": [long] * 5})


def test_details_have_a_bound() -> None:
    with pytest.raises(InvalidDocumentError, match="1001 rules are too many: expected at most 1000"):
        parse_details({"udevRules": ['KERNEL=="a"'] * 1001})


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, Passthrough()),
        ({"devicePluginResourceName": b"akri.sh/udev-gpu"}, Passthrough("akri.sh/udev-gpu")),
        ({"vfioPassthrough": b"true", "another": b"\xff"}, Passthrough(vfio=True)),
        ({"vfioPassthrough": b"False\n", "devicePluginResourceName": b""}, Passthrough()),
    ],
)
def test_properties_are_read(properties: dict[str, bytes], expected: Passthrough) -> None:
    assert parse_properties(properties) == expected


def test_bad_properties_are_named_and_not_shown() -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parse_properties({"devicePluginResourceName": b"hidden=1", "vfioPassthrough": b"hidden"})
    assert [problem.place for problem in caught.value.problems] == ["devicePluginResourceName", "vfioPassthrough"]
    assert "hidden" not in str(caught.value)


def test_every_problem_of_the_details_is_named() -> None:
    document = {"udevRules": ['KERNEL=="a"', 'RUN+="x"', 5, "KERNEL"], "groupRecursive": "yes", "permissions": "mr", "rules": []}
    with pytest.raises(InvalidDocumentError) as caught:
        parse_details(document)
    places = [problem.place for problem in caught.value.problems]
    # A text that is no rule takes the place of its own index, also behind an item that is no text.
    assert sorted(places) == ["groupRecursive", "permissions", "rules", "udevRules[1]", "udevRules[2]", "udevRules[3]"]
    assert "character 1: 'RUN' is not valid" in str(caught.value)

"""Usage texts are upstream's, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidValueError
from akri.core.ids import ConfigurationName, NodeName, VirtualDeviceId
from akri.core.usage import FREE, Free, HeldByConfiguration, HeldByNode, Usage, holder_node, parse_usage, print_usage

NODE = NodeName("node-a")
VIRTUAL = VirtualDeviceId(ConfigurationName("cameras"), 3)
nodes = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True).map(NodeName)
virtual_devices = st.builds(VirtualDeviceId, nodes.map(ConfigurationName), st.integers(0, 999))
usages = st.one_of(st.just(FREE), st.builds(HeldByNode, nodes), st.builds(HeldByConfiguration, virtual_devices, nodes))


@pytest.mark.parametrize(
    ("text", "usage", "holder"),
    [
        ("", Free(), None),
        ("node-a", HeldByNode(NODE), NODE),
        ("C:cameras-3:node-a", HeldByConfiguration(VIRTUAL, NODE), NODE),
    ],
)
def test_usage_texts_are_upstreams(text: str, usage: Usage, holder: NodeName | None) -> None:
    assert parse_usage(text) == usage
    assert print_usage(usage) == text
    assert holder_node(usage) == holder


@given(usages)
def test_usages_print_and_parse(usage: Usage) -> None:
    assert parse_usage(print_usage(usage)) == usage


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "a:b",
        ":",
        "C:",
        "C:cameras-3",
        "C:cameras-3:",
        "C:cameras-3:a:b",
        "C:cameras-3:a b",
        "C:cameras:node-a",
        "C::a",
        "\n",
        "C:a-1:\t",
        "a\0",
        "C:a-1:b\x7f",
        "\ud800",
    ],
)
def test_other_texts_are_no_usages(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_usage(text)


@given(st.text())
def test_any_text_is_a_usage_or_refused(text: str) -> None:
    try:
        usage = parse_usage(text)
    except InvalidValueError:
        return
    assert print_usage(usage) == text


@pytest.mark.parametrize("text", ["a b", "C:cameras-3"])
def test_a_refusal_says_what_a_usage_is(text: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_usage(text)
    assert str(caught.value) == f"deviceUsage: {text!r} is not valid: expected '', '<node>' or 'C:<virtual device id>:<node>'"

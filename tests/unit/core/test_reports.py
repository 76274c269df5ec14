"""Reports are values: what order things were counted in never makes two of them differ."""

from __future__ import annotations

from akri.core.ids import HandlerName, NodeName, ObjectKey
from akri.core.reports import DiscoveryReport, HandlerReport, Reason


def test_counts_are_in_order_and_cannot_be_told_apart() -> None:
    one = HandlerReport(HandlerName("udev"), "embedded", dropped={"b": 1, "a": 2})
    two = HandlerReport(HandlerName("udev"), "embedded", dropped={"a": 2, "b": 1})
    assert one == two
    assert list(one.dropped) == ["a", "b"]
    assert hash(one) == hash(two)


def test_reasons_are_words_that_kubernetes_accepts() -> None:
    assert all(reason.value.isalpha() and reason.value[0].isupper() for reason in Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)


def test_a_report_is_stored_beside_its_configuration_under_its_and_the_nodes_name() -> None:
    report = DiscoveryReport(ObjectKey("cameras", "front"), "uid", NodeName("node-a"), 1, 0.0)
    assert report.key == ObjectKey("cameras", "front.node-a")

"""An invalid Configuration cannot exist, and its annotations are read without guessing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.configuration import (
    Configuration,
    DiscoveryRequest,
    JobBroker,
    NoBroker,
    PodBroker,
    UnreadableConfiguration,
    require_capacity,
    require_handler,
    require_name,
    seconds_of,
)
from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import HandlerName, ObjectKey
from akri.core.metadata import ObjectMeta


def configuration(
    name: str = "cameras",
    capacity: int = 1,
    handler: str = "udev",
    annotations: dict[str, str] | None = None,
    broker_properties: dict[str, str] | None = None,
) -> Configuration:
    return Configuration(
        ObjectMeta(ObjectKey("default", name), annotations=annotations or {}),
        DiscoveryRequest(HandlerName(handler)),
        capacity,
        broker_properties=broker_properties or {},
    )


def test_defaults_are_upstreams() -> None:
    made = configuration()
    assert (made.capacity, made.broker, made.instance_service, made.configuration_service) == (1, NoBroker(), None, None)
    assert dict(made.broker_properties) == {}
    assert made.discovery == DiscoveryRequest(HandlerName("udev"), "", ())
    assert made.key == ObjectKey("default", "cameras")
    assert made.name == "cameras"
    assert hash(made) == hash(configuration(broker_properties={"A": "1"}))


@pytest.mark.parametrize("capacity", [1, 1000])
def test_capacities_from_1_to_1000(capacity: int) -> None:
    assert configuration(capacity=capacity).capacity == require_capacity(capacity) == capacity


@pytest.mark.parametrize("capacity", [0, -1, 1001])
def test_other_capacities_cannot_be(capacity: int) -> None:
    with pytest.raises(InvalidValueError, match=f"^spec.capacity: {capacity} is not valid: expected a whole number from 1 to 1000$"):
        configuration(capacity=capacity)


@pytest.mark.parametrize("name", ["a", "0", "a.b-c", "a" * 54])
def test_names_that_fit_the_kubelet(name: str) -> None:
    assert configuration(name).name == require_name(name) == name


@pytest.mark.parametrize("name", ["A", "a_b", "-a", "a-", ".a", "a.", "a\n", "a" * 55, "ü"])
def test_other_names_cannot_be(name: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"^metadata.name: .* expected at most 54 characters: lower-case letters, digits, '-' and '.' "
    ):
        configuration(name)


@pytest.mark.parametrize("handler", ["", "a\n", "a" * 254])
def test_other_handler_names_cannot_be(handler: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"^spec.discoveryHandler.name: .* expected 1 to 253 characters without control characters$"
    ):
        configuration(handler=handler)


def test_the_longest_handler_name() -> None:
    assert require_handler("h" * 253) == "h" * 253


def test_broker_properties_are_checked() -> None:
    with pytest.raises(InvalidValueError, match=r"^spec.brokerProperties.a=b: "):
        configuration(broker_properties={"a=b": "1"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("300", 300.0), ("0.5", 0.5), ("1.234", 1.234), ("9999999", 9999999.0)],
)
def test_seconds_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "5m", "1e3", ".5", "1.", "1.2345", "12345678", " 1", "1\n", "nan", "٣"])
def test_other_texts_are_no_seconds(text: str) -> None:
    assert seconds_of(text) is None
    assert configuration(annotations={"akri.sh/grace": text}).grace == 300.0
    assert configuration(annotations={"akri.sh/poll-interval": text}).poll_interval is None


@given(st.text())
def test_any_annotation_is_survived(text: str) -> None:
    assert configuration(annotations={"akri.sh/grace": text}).grace >= 0


def test_grace_and_poll_interval_come_from_annotations() -> None:
    made = configuration(annotations={"akri.sh/grace": "0", "akri.sh/poll-interval": "2.5"})
    assert (made.grace, made.poll_interval) == (0.0, 2.5)
    assert (configuration().grace, configuration().poll_interval) == (300.0, None)
    assert configuration(annotations={"akri.sh/poll-interval": "0"}).poll_interval is None


def test_broker_specs_cannot_be_changed_by_accident() -> None:
    for broker in (PodBroker({"containers": []}), JobBroker({"template": {}})):
        with pytest.raises(TypeError):
            broker.spec["x"] = 1  # type: ignore[index]


def test_an_unreadable_configuration_has_a_key() -> None:
    unreadable = UnreadableConfiguration(ObjectMeta(ObjectKey("a", "b")), (Problem("spec", "is missing"),))
    assert unreadable.key == ObjectKey("a", "b")

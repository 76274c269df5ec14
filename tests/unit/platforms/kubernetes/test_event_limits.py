"""Repetitions and floods are dropped, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
from akri.platforms.kubernetes.event_limits import EventLimits


def _event(message: str = "it is gone", name: str = "cam-8120fe") -> Event:
    return Event("Instance", ObjectKey("default", name), Reason.DEVICE_LOST, message)


def test_the_same_event_is_told_once_in_five_minutes() -> None:
    limits = EventLimits(0.0)
    assert limits.admits(_event(), 0.0)
    assert not limits.admits(_event(), 299.0)
    assert limits.admits(_event(), 300.0)
    assert not limits.admits(_event(), 301.0)


def test_another_message_or_object_is_another_event() -> None:
    limits = EventLimits(0.0)
    assert all(limits.admits(event, 0.0) for event in (_event(), _event("other"), _event(name="other")))


def test_a_flood_is_cut_to_a_burst_and_one_a_second() -> None:
    limits = EventLimits(0.0)
    assert sum(limits.admits(_event(str(index)), 0.0) for index in range(100)) == 50
    assert sum(limits.admits(_event(str(index)), 10.0) for index in range(100, 200)) == 10


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    limits = EventLimits(0.0)
    for index in range(1001):
        assert limits.admits(_event(str(index)), index * 0.2 if index < 50 else 10.0 + index)
    assert limits.admits(_event("0"), 1100.0)
    assert not limits.admits(_event("1000"), 1101.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), max_size=200))
def test_nothing_is_told_twice_within_five_minutes(told: list[tuple[int, float]]) -> None:
    limits, now, last = EventLimits(0.0), 0.0, dict[int, float]()
    for number, pause in told:
        now += pause
        if limits.admits(_event(str(number)), now):
            assert now - last.get(number, -300.0) >= 300.0
            last[number] = now

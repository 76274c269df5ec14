"""Back-off doubles up to its cap and never leaves its range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.errors import InvalidValueError
from akri.core.retry import BROKER_BACK_OFF, NETWORK_BACK_OFF, BackOff


def test_brokers_wait_as_long_as_the_kubelets_containers() -> None:
    assert [BROKER_BACK_OFF.seconds(attempt) for attempt in range(8)] == [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_connections_wait_30_seconds_at_most() -> None:
    assert [NETWORK_BACK_OFF.seconds(attempt) for attempt in (1, 2, 7, 8, 9)] == [0.25, 0.5, 16.0, 30.0, 30.0]
    assert NETWORK_BACK_OFF.seconds(9, random=1.0) == 15.0
    assert NETWORK_BACK_OFF.seconds(1, random=0.5) == 0.25 * 0.75


@given(st.integers(-5, 10**12), st.floats(0, 1))
def test_every_wait_is_in_range(attempt: int, random: float) -> None:
    wait = NETWORK_BACK_OFF.seconds(attempt, random)
    assert wait == 0.0 if attempt <= 0 else 0.125 <= wait <= 30.0
    assert wait <= NETWORK_BACK_OFF.seconds(attempt + 1, random)


def test_there_is_no_jitter_unless_asked_for() -> None:
    assert BackOff(1.0, 8.0).seconds(3, random=0.9) == 4.0


def test_a_huge_attempt_is_no_overflow() -> None:
    assert BackOff(1e-30, 8.0).seconds(10**9) < 8.0
    assert BackOff(1.0, 2.0**70).seconds(10**9) == 2.0**64


@pytest.mark.parametrize(("first", "most", "place"), [(0.0, 1.0, "first"), (1.0, -1.0, "most")])
def test_a_back_off_without_a_wait_cannot_be(first: float, most: float, place: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{place}: .* expected more than 0 seconds$"):
        BackOff(first, most)

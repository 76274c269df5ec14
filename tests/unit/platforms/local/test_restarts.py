"""When containers start again: as the kubelet has it."""

from __future__ import annotations

import pytest

from akri.platforms.local.restarts import LONGEST_DELAY, Again, RestartPolicy, after_end

ALWAYS, ON_FAILURE, NEVER = RestartPolicy.ALWAYS, RestartPolicy.ON_FAILURE, RestartPolicy.NEVER


def test_waits_double_up_to_five_minutes() -> None:
    delays: list[float] = []
    attempt = 0
    for _ in range(9):
        again = after_end(ALWAYS, code=1, attempt=attempt, ran=1.0)
        assert again is not None
        delays.append(again.delay)
        attempt = again.attempt
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300, 300]
    assert after_end(ALWAYS, code=0, attempt=10**6, ran=None) == Again(LONGEST_DELAY, 10**6 + 1)


def test_a_long_run_counts_as_the_first() -> None:
    assert after_end(ALWAYS, code=1, attempt=7, ran=600.0) == Again(300.0, 8)
    assert after_end(ALWAYS, code=1, attempt=7, ran=600.1) == Again(0.0, 1)


@pytest.mark.parametrize(
    ("policy", "code", "again"), [(ALWAYS, 0, True), (ON_FAILURE, 0, False), (ON_FAILURE, 137, True), (NEVER, 1, False)]
)
def test_the_policy_decides(policy: RestartPolicy, code: int, again: bool) -> None:
    assert (after_end(policy, code=code, attempt=0, ran=None) is not None) is again

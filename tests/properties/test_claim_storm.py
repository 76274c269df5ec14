"""A claim storm in memory: 30,000 attempts in each run, and a million with `AKRI_STORM=whole` (four minutes of processor time)."""

from __future__ import annotations

import os

import pytest

from tests.properties.claim_storm import storm

ATTEMPTS = 1_000_000 // 3 + 1 if os.environ.get("AKRI_STORM") == "whole" else 10_000


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_slot_ever_has_two_holders_and_none_is_leaked(seed: int) -> None:
    seen = storm(ATTEMPTS, seed)
    assert seen["attempt"] == ATTEMPTS
    happened = {"granted", "denied", "conflict", "lost, landed", "lost, under way", "landed late", "released later"}
    assert happened <= {name for name, count in seen.items() if count}

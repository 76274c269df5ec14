"""A small claim storm in the suite; the large one is run by hand (`claim_storm.py`)."""

from __future__ import annotations

import pytest

from tests.properties.claim_storm import storm


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_slot_ever_has_two_holders_and_none_is_leaked(seed: int) -> None:
    seen = storm(2000, seed)
    assert seen["attempt"] == 2000
    happened = {"granted", "denied", "conflict", "lost, landed", "lost, under way", "landed late", "released later"}
    assert happened <= {name for name, count in seen.items() if count}

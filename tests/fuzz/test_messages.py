"""A few thousand inputs for the readers of discovery messages; `./dev fuzz` tries a million."""

from __future__ import annotations

import pytest

from tests.fuzz import messages


@pytest.mark.parametrize("seed", [1, 2])
def test_readers_of_messages_take_rubbish(seed: int) -> None:
    seen = messages.main(10_000, seed)
    assert set(seen) == {(reader, taken) for reader in ("_read_registration", "_read_question", "read") for taken in (True, False)}
    assert min(seen.values()) > 10, seen

"""The measurement of docs/decisions/evidence-measured.md in small, so that it stays alive: no release before a container's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks._evidence_judged import judge
from benchmarks._evidence_pods import SCENARIOS
from benchmarks.evidence import measure

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

COUNT = 3


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["normal end", "SIGTERM ignored", "deleted by force"])
async def test_slots_are_released_and_never_before_the_end(cluster: Cluster, name: str) -> None:
    seen, cuts = await measure(cluster, SCENARIOS[name], COUNT)
    judged = judge(name, seen, cuts)
    assert judged.early == []
    assert (judged.pods, judged.released.count, judged.unreleased) == (COUNT, COUNT, 0)
    assert judged.released.least > 0

"""How PodResources, the pod watch and the real end of containers relate on a real kubelet, and what the rules of release make of it.

`./dev bench evidence` brings 50 pods each to every end that pods come to, in about 15 minutes, and prints a table; the exit code
is 1 if any slot would have been released while a container that had it lived, or if S4's figure is missed. docs/decisions/
evidence-measured.md holds a run of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import asdict

from benchmarks._evidence_judged import Judged, judge
from benchmarks._evidence_pods import SCENARIOS, Scenario, Stage
from benchmarks._evidence_record import Recording, recording
from benchmarks._harness import RESULTS
from tests.cluster import build, needs, states
from tests.cluster.cluster import Cluster

__all__ = ["main", "measure", "missed"]

_DEVICES: Final = 60
_PROVEN: Final = {"normal end": 1.0, "SIGTERM ignored": 1.0}
"""S4: the most seconds (p95) from the end that the API shows to the release."""
_FORCED: Final = "deleted by force"
_FORCED_LEAST, _FORCED_MOST = 10.0, 15.0
"""S4: after a force delete not in the first 10 s, and within 15 s."""


async def measure(cluster: Cluster, scenario: Scenario, count: int) -> tuple[Recording, Sequence[tuple[float, float]]]:
    """Bring so many pods to an end on the cluster's first node; returns what was seen, and when the node was cut off."""
    node = cluster.nodes[0]
    async with cluster.admin() as admin, recording(cluster, node, _DEVICES) as seen:
        stage = Stage(cluster, node, admin, seen, random.Random(0))
        await scenario.run(stage, count)
    return seen, stage.cuts


def missed(judged: Sequence[Judged]) -> Sequence[str]:
    """Name the aims that are not met."""
    found = [f"{one.name}: {len(one.early)} early releases, the first ones: {'; '.join(one.early[:3])}" for one in judged if one.early]
    found += [f"{one.name}: {one.proven.p95:.2f} s after the end" for one in judged if one.proven.p95 > _PROVEN.get(one.name, 1e9)]
    for one in judged:
        if one.name == _FORCED and not (one.shown.least + _FORCED_LEAST <= one.released.most and one.proven.most <= _FORCED_MOST):
            found.append(f"{one.name}: released {one.proven} s after the API forgot the pod")
    return found


def _table(judged: Sequence[Judged]) -> str:
    head = (
        "| how pods end | pods | List drops the id | API shows the end | released | released after the API showed it "
        "| not listed while alive | not released | early |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {one.name} | {one.pods} | {one.dropped} | {one.shown} | {one.released} | {one.proven} "
        f"| {one.absent} | {one.unreleased} | {len(one.early)} |\n"
        for one in judged
    )


async def _run(names: Sequence[str], count: int, folder: Path) -> None:
    program = build.program(print)
    if lacking := needs.lacks_for_cluster(program):
        sys.exit(lacking)
    await states.clean_stale()
    with states.run_folder() as state:
        cluster = Cluster(program, state, ("node-a",))
        try:
            await cluster.start()
            for name in names:
                print(f"{name}: {count} pods", flush=True)
                seen, cuts = await measure(cluster, SCENARIOS[name], count)
                (folder / f"{name}.pickle").write_bytes(pickle.dumps((seen, cuts)))
                print(_table([judge(name, seen, cuts)]), flush=True)
        finally:
            await states.clean(state)


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"some of: {', '.join(SCENARIOS)}")
    parser.add_argument("--count", type=int, default=50, help="pods for each scenario")
    parser.add_argument("--recordings", type=Path, default=RESULTS / "evidence", help="where recordings are kept")
    parser.add_argument("--judge", action="store_true", help="judge the recordings that are there, without new ones")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.scenarios or list(SCENARIOS)
    folder: Path = arguments.recordings
    if not arguments.judge:
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_run(names, arguments.count, folder))
    judged = [judge(name, *pickle.loads((folder / f"{name}.pickle").read_bytes())) for name in names]
    print(_table(judged))
    (RESULTS / "evidence.json").write_text(json.dumps([asdict(one) for one in judged], indent=2) + "\n", encoding="utf-8")
    wrong = missed(judged)
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

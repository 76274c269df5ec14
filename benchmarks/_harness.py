"""How this project measures: each run in a fresh process, the median of 20, an aim to meet, and the figures kept as JSON.

A benchmark is a module of this folder: a list of `Case`s and a call of `main`; `./dev bench NAME` runs it. A case's program is Python
source that prints one number last; `cpu_seconds` makes one that measures its own processor time. The exit code is 0 if all aims are met.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

__all__ = ["RUNS", "Case", "Result", "cpu_seconds", "main", "measure"]

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).parent / "results"
RUNS: Final = 20
_TIMEOUT: Final = 600.0


@frozen
class Case:
    """Something to measure: `program` prints one number last.

    unit: of the figures, `ms`. aim: the most that the median may be, None for what is measured to compare with.
    scale: what printed numbers are multiplied with.
    """

    name: str
    program: str
    unit: str
    aim: float | None
    scale: float = 1.0
    runs: int = RUNS


@frozen
class Result:
    """Figures of a case, in its unit."""

    name: str
    unit: str
    aim: float | None
    median: float
    least: float
    most: float
    runs: int

    @property
    def is_met(self) -> bool:
        """Whether the median is within the aim."""
        return self.aim is None or self.median <= self.aim


def cpu_seconds(setup: str, statement: str, check: str = "") -> str:
    """Give a program that prints the processor time of `statement` alone, all threads and what the system did for it.

    `setup` comes before it; `check` after it, to fail where the statement did not do what it should.
    """
    return (
        f"import time\n{setup}\n_start = time.process_time()\n{statement}\n_spent = time.process_time() - _start\n{check}\nprint(_spent)\n"
    )


def _run(program: str) -> float:
    """Run a program in a fresh interpreter and take the number that it prints last."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0", "GRPC_VERBOSITY": "NONE"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode:
        sys.exit(f"a measured program failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def measure(case: Case) -> Result:
    """Run a case, once for warming up the file system and then as often as it asks."""
    _run(case.program)
    figures = [_run(case.program) * case.scale for _ in range(case.runs)]
    return Result(case.name, case.unit, case.aim, statistics.median(figures), min(figures), max(figures), len(figures))


def _row(result: Result) -> str:
    verdict = "" if result.aim is None else "met" if result.is_met else "MISSED"
    aim = "none" if result.aim is None else f"{result.aim:.2f}"
    figures = f"{result.median:10.2f} {result.least:10.2f} {result.most:10.2f} {aim:>10}"
    return f"{result.name:48} {figures} {result.unit:4} {verdict}"


def _machine() -> dict[str, str | int | None]:
    return {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def main(name: str, cases: Sequence[Case]) -> None:
    """Measure all cases, print a table, write the figures, and exit with 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=f"benchmark {name}")
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.json", help="where to write the figures")
    output: Path = parser.parse_args().output
    print(f"{name:48} {'median':>10} {'least':>10} {'most':>10} {'aim':>10}")
    results: list[Result] = []
    for case in cases:
        results.append(measure(case))
        print(_row(results[-1]), flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {"benchmark": name, "on": _machine(), "results": [asdict(result) for result in results]}
    output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(result.is_met for result in results) else 1)

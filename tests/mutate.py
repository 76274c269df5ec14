"""Mutation tests: small faults are put into the modules that decide, one at a time, and their unit tests must notice.

Runs in a copy under .cache, so that the tree may be edited meanwhile. `./dev mutate` runs it over the modules that pyproject.toml
names; `./dev mutate slots evidence` over some of them. A mutant that no test notices is shown by `mutmut show NAME` in the copy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).parents[1]
COPY: Final = ROOT / ".cache" / "mutation"
NEEDED: Final = ("akri", "tests", "pyproject.toml", "README.md")
AIM: Final = 85.0
SURVIVED: Final = 0
NOT_TESTED: Final = 33


@frozen
class Score:
    """How a module's mutants ended; `unnoticed` names those that no test failed for."""

    module: str
    mutants: int
    unnoticed: tuple[str, ...]

    @property
    def percent(self) -> float:
        """Share of the mutants that were noticed."""
        return 100.0 * (self.mutants - len(self.unnoticed)) / self.mutants if self.mutants else 100.0


def copy_tree() -> None:
    """Take what the tests need, as it is now."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, COPY)


def run(patterns: list[str]) -> None:
    """Let mutmut try the mutants; its progress goes to a file, its last words to the user if it fails."""
    log = COPY / "log"
    command = [sys.executable, "-m", "mutmut", "run", *patterns]
    environment = os.environ | {"CI": "true"}  # the same examples for each mutant, and the same ones tomorrow
    with log.open("wb") as stream:
        done = subprocess.run(command, cwd=COPY, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"mutmut failed with exit code {done.returncode}:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def scores() -> Iterator[Score]:
    """Read how it ended, module by module; mutants that were not tried do not count."""
    mutants = COPY / "mutants"
    for path in sorted(mutants.rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        tried = {name: code for name, code in codes.items() if code is not None}
        if tried:
            unnoticed = tuple(name for name, code in tried.items() if code in {SURVIVED, NOT_TESTED})
            yield Score(str(path.relative_to(mutants).with_suffix("")), len(tried), unnoticed)


def report(found: list[Score], seconds: float) -> Score:
    """Print the table and return its last line."""
    total = Score("all", sum(score.mutants for score in found), tuple(name for score in found for name in score.unnoticed))
    lines = [f"{'module':44} {'mutants':>8} {'noticed':>8} {'score':>8}"]
    lines += [f"{s.module:44} {s.mutants:8} {s.mutants - len(s.unnoticed):8} {s.percent:6.1f} %" for s in (*found, total)]
    sys.stdout.write("\n".join(lines) + f"\n{seconds:.0f} s; not noticed: {COPY.relative_to(ROOT)}/unnoticed\n")
    (COPY / "unnoticed").write_text("".join(f"{name}\n" for name in total.unnoticed), encoding="utf-8")
    return total


def main() -> None:
    """Mutate, report, and fail if one module or all together miss the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="names of modules, `slots`; default: all that pyproject.toml names")
    names: list[str] = parser.parse_args().modules
    start = time.monotonic()
    copy_tree()
    run([f"akri.*.{name}.*" for name in names])
    found = list(scores())
    total = report(found, time.monotonic() - start)
    missed = [score.module for score in (*found, total) if score.percent < AIM]
    if missed or not total.mutants:
        sys.exit(f"below {AIM:.0f} %: {', '.join(missed) or 'nothing was mutated'}")


if __name__ == "__main__":
    main()

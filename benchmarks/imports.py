"""What imports cost: a broker, or a tool over core, must start fast. Processor time over that of a bare interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks._harness import Case, cpu_seconds, main

CORE: Final = sorted(path.stem for path in (Path(__file__).parents[1] / "akri" / "core").glob("*.py") if path.stem != "__init__")
BEFORE: Final = "import sys\nbefore = set(sys.modules)"
ONLY_OURS: Final = """
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - {"akri"} - sys.stdlib_module_names
assert not foreign, foreign
"""

if __name__ == "__main__":
    main(
        "imports",
        [
            Case("import akri", cpu_seconds(BEFORE, "import akri", ONLY_OURS), unit="ms", aim=5, scale=1000),
            Case("import akri.broker", cpu_seconds(BEFORE, "import akri.broker", ONLY_OURS), unit="ms", aim=15, scale=1000),
            Case(
                "import all of akri.core",
                cpu_seconds(BEFORE, "import " + ", ".join(f"akri.core.{name}" for name in CORE)),
                unit="ms",
                aim=100,
                scale=1000,
            ),
        ],
    )

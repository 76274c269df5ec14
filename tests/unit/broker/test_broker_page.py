"""The examples of docs/broker.md print what the page says, each in an interpreter of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = re.compile(r"(?:```env\n(?P<env>.*?)```.*?)?```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", re.DOTALL)
EXAMPLES = list(EXAMPLE.finditer((ROOT / "docs" / "broker.md").read_text("utf-8")))


@pytest.mark.parametrize("example", EXAMPLES, ids=["ten lines", "two names", "errors"])
def test_an_example_prints_what_the_page_says(example: re.Match[str]) -> None:
    variables = dict(line.split("=", 1) for line in (example["env"] or "").splitlines())
    environment = {**variables, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", example["code"]], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == example["output"]


def test_the_first_example_has_ten_lines() -> None:
    assert len(EXAMPLES[0]["code"].splitlines()) == 10

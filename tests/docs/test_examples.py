"""Every example in the README and in docs/ does what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import COVERED, ROOT, examples, pages, run_page


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)

    assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(examples(page)), "a fence that is not closed, or indented"


@pytest.mark.parametrize("command", COVERED)
def test_long_command_is_run_elsewhere(command: str) -> None:
    file, words = COVERED[command]

    assert words in (ROOT / file).read_text(encoding="utf-8")


BROKEN = {
    "other output": "```python\nprint(1)\n```\n\n```text\n2\n```\n",
    "exception": "```python\n1 / 0\n```\n",
    "exit code": "```console\n$ false\n```\n",
    "unexpected exit code": "```console\n$ true  # exit 3\n```\n",
    "console output": "```console\n$ echo a\nb\n```\n",
    "invalid Configuration": "```yaml\napiVersion: akri.sh/v0\nkind: Configuration\nmetadata:\n  name: a\nspec: {}\n```\n",
    "command that nothing runs": "```sh\nrm -rf build\n```\n",
    "Go that is in no program": "```go\nfunc nowhere() {}\n```\n",
    "served program that nothing runs": "```python served\n# a.py\nprint(1)\n```\n",
    "unknown kind": "```rust\nfn main() {}\n```\n",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_wrong_example_is_found(fault: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(BROKEN[fault], encoding="utf-8")

    with pytest.raises(AssertionError):
        run_page(page, tmp_path)


def test_right_examples_pass(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```env\nNAME=ann\n```\n\n```python\n# greet.py\nimport os\nprint('hello', os.environ.get('NAME'))\n```\n\n"
        "```text\nhello ann\n```\n\n```console\n$ python greet.py | tee said\nhello None\n$ echo 1 2 3; exit 4  # exit 4\n1 ... 3\n```\n",
        encoding="utf-8",
    )

    run_page(page, tmp_path)

    assert (tmp_path / "said").read_text(encoding="utf-8") == "hello None\n"

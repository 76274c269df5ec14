"""`akri conformance` as a user runs it: words, exit codes, and which rules there are."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import cli
from akri.discovery.conformance.rules import RULES

HANDLER = (sys.executable, "-c", "from akri_handler.start import main; main()", "debug-echo")
ECHO = ("--details", "descriptions: [a, b]", "--patience", "20")
QUICK = ("--rule", "first-answer", "--rule", "bad-details")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["conformance", *arguments])


def test_rules_are_listed_with_their_reasons() -> None:
    done = run("--list")

    assert done.exit_code == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[::2]] == list(RULES)
    assert all(line.startswith("    why: ") for line in done.stdout.splitlines()[1::2])


def test_a_good_handler_is_told_so() -> None:
    done = run(*ECHO, *QUICK, "--", *HANDLER)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["passed     first-answer", "passed     bad-details", "2 rules: 2 passed, 0 failed, 0 not tried"]


def test_a_command_may_be_one_word_and_what_fails_is_said() -> None:
    done = run(*ECHO, "--bad-details", "descriptions: [c]", "--rule", "bad-details", shlex.join(HANDLER))

    assert done.exit_code == 1
    expected = "failed     bad-details: expected: details that cannot be used end the stream with INVALID_ARGUMENT; came: "
    assert done.stdout.splitlines()[0] == f"{expected}to 'descriptions: [c]': not INVALID_ARGUMENT, but 1 devices"


def test_json_holds_what_was_expected_and_what_came(tmp_path: Path) -> None:
    details = tmp_path / "details"
    details.write_text("colour: red")
    done = run("--details-file", str(details), "--patience", "20", "--rule", "first-answer", "-o", "json", "--", *HANDLER)

    assert done.exit_code == 1
    outcome = json.loads(done.stdout)
    assert outcome["failed"] == 1
    (rule,) = outcome["rules"]
    assert (rule["rule"], rule["verdict"]) == ("first-answer", "failed")
    assert "colour: unknown field" in rule["found"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to test"),
        (("--rule", "x", "true"), "rule: 'x' is not valid"),
        (("/no/such/handler",), "expected a program that can be run"),
        (("--property", "x", "true"), "expected NAME=VALUE"),
        (("--details", "a", "--details-file", __file__, "true"), "expected one of them"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)

    assert done.exit_code == 2
    assert words in done.stderr

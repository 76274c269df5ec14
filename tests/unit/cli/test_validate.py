"""`akri validate` prints every problem with file, line and path, and its exit code says whether there was one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import cli

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"
GOOD = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: cameras
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions:
      - foo0
"""


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments], input=stdin)


def lines(stdin: str | bytes) -> list[str]:
    """What is printed for a file with problems."""
    result = run("-", stdin=stdin)
    assert result.exit_code == 1, result.output
    return [re.sub(r"^standard input:(?=[0-9])", "", line) for line in result.output.splitlines()]


def test_a_good_file() -> None:
    result = run("-", stdin=GOOD)
    assert (result.exit_code, result.output) == (0, "standard input:1: Configuration default/cameras is valid\n")
    assert run("-q", "-", stdin=GOOD).output == ""


def test_a_problem_has_file_line_and_path(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(GOOD + "  capacity: 0\n")
    result = run(str(file))
    assert result.exit_code == 1
    assert result.output == f"{file}:11: spec.capacity: 0 is not valid: expected a whole number from 1 to 1000\n"


def test_problems_come_in_the_order_of_their_lines() -> None:
    text = "apiVersion: akri.sh/v0\nkind: Configuration\nmetadata: {name: A}\nspec:\n  z: 1\n  capacity: '3'\n  discoveryHandler: {}\n"
    found = lines(text)
    assert [line.split(": ")[0] for line in found] == ["3", "5", "6", "7"]
    assert found[2] == "6: spec.capacity: '3' is a text: expected a whole number from 1 to 1000"
    assert found[3] == "7: spec.discoveryHandler.name: is missing: expected the name of a discovery handler"


def test_problems_inside_discovery_details_have_their_own_line() -> None:
    expected = "expected a text that is not empty (quotes make a text of a number)"
    assert lines(GOOD + "      - 3\n      more: 1\n  capacity: 0\n") == [
        f"11: spec.discoveryHandler.discoveryDetails: descriptions[1]: 3 is not valid: {expected}",
        "12: spec.discoveryHandler.discoveryDetails: more: unknown field: expected descriptions",
        "13: spec.capacity: 0 is not valid: expected a whole number from 1 to 1000",
    ]


def test_details_that_are_no_block_have_the_line_of_their_key() -> None:
    assert lines(GOOD.replace("|\n      descriptions:\n      - foo0", '"a: 1\\nb: ["')) == [
        "8: spec.discoveryHandler.discoveryDetails: not valid YAML: expected the node content, but found '<stream end>' (column 5)"
    ]


def test_details_are_one_document_and_may_not_be_missing_where_they_are_needed() -> None:
    (problem,) = lines(GOOD + "      ---\n      a: 1\n")
    assert problem == "12: spec.discoveryHandler.discoveryDetails: more than one YAML document: expected one"
    (problem,) = lines(GOOD[: GOOD.index("    discoveryDetails")])
    assert problem == "6: spec.discoveryHandler.discoveryDetails: descriptions: is missing: expected a list of texts"


def test_bad_udev_rules_are_found() -> None:
    text = GOOD.replace("debugEcho", "udev").replace("descriptions", "udevRules").replace("foo0", "'FOO==\"x\"'")
    (problem,) = lines(text)
    assert problem.startswith("10: spec.discoveryHandler.discoveryDetails: udevRules[0]: ")
    assert "FOO" in problem


def test_handlers_that_are_not_known_here_are_no_problem() -> None:
    result = run("-", stdin=GOOD.replace("debugEcho", "mine"))
    assert result.exit_code == 0
    assert (
        "standard input:7: spec.discoveryHandler.name: the details of handler 'mine' were not checked: only it knows them" in result.output
    )


def test_unusual_names_are_warnings() -> None:
    result = run("-", stdin=GOOD + '  brokerProperties:\n    resolution-width: "800"\n')
    assert result.exit_code == 0
    assert (
        "standard input:12: warning: spec.brokerProperties.resolution-width: a shell cannot read a variable of this name\n" in result.output
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "standard input: no document in it: expected a Configuration"),
        ("# nothing\n---\n", "standard input: no document in it: expected a Configuration"),
        ("- 1\n", "1: [1] is not valid: expected an object"),
        ("a:\n\tb\n", "2: not valid YAML: found character '\\t' that cannot start any token (column 1)"),
        (GOOD + "  capacity: 1\n  capacity: 2\n", "12: spec.capacity: the key is there twice: first in line 11"),
        (b"a: \xff\n", "standard input: is not UTF-8 text: byte 3 cannot be read"),
    ],
)
def test_files_that_hold_no_documents(text: str | bytes, problem: str) -> None:
    assert lines(text) == [problem]


def test_a_byte_order_mark_is_no_problem() -> None:
    assert run("-", stdin=b"\xef\xbb\xbf" + GOOD.encode()).exit_code == 0


def test_several_documents_and_lists() -> None:
    item = "".join(f"  {line}\n" for line in GOOD.splitlines()).replace("  apiVersion", "- apiVersion", 1)
    listed = f"{GOOD}---\napiVersion: v1\nkind: List\nitems:\n{item.replace('cameras', 'more')}    capacity: 0\n- 5\n"
    assert lines(listed) == [
        "1: Configuration default/cameras is valid",
        "25: items[0].spec.capacity: 0 is not valid: expected a whole number from 1 to 1000",
        "26: items[1]: 5 is not valid: expected an object",
    ]


def test_configurations_that_would_share_a_resource_are_found_across_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.replace("name: cameras", f"name: cameras\n  namespace: {name}"))
    result = run("-q", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert result.exit_code == 1
    message = "b/cameras and a/cameras would share the kubelet resource akri.sh/cameras: the younger one would be refused"
    assert result.output == f"{tmp_path / 'b.yaml'}:4: metadata.name: {message}\n"


def test_other_objects_are_not_checked_and_ours_are() -> None:
    result = run("-", stdin="apiVersion: v1\nkind: Secret\n---\nkind: 3\n")
    assert "standard input:1: 'Secret' is not a Configuration and was not checked\n" in result.output
    instance = "apiVersion: akri.sh/v0\nkind: Instance\nmetadata: {name: a}\nspec: {configurationName: c, nodes: x}\n"
    assert lines(instance) == ["4: spec.nodes: 'x' is a text: expected a list"]
    report = "apiVersion: akri.sh/v0\nkind: DiscoveryReport\nmetadata: {name: a}\nspec: {configurationName: c, nodeName: n}\n"
    assert run("-", stdin=report).output == "standard input:1: DiscoveryReport is readable\n"
    assert lines("apiVersion: akri.sh/v0\nkind: Thing\nmetadata: {name: a}\nspec: {discoveryHandler: {name: x}}\n") == [
        "2: kind: 'Thing' is not valid: expected 'Configuration'"
    ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    result = run("-", stdin=GOOD + '  "\\e[31m": 1\n')
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "spec.\\x1b[31m: unknown field" in result.output


def test_upstreams_samples_are_valid() -> None:
    result = run(*(str(path) for path in sorted(UPSTREAM.glob("configurations/*.yaml"))))
    assert result.exit_code == 0, result.output
    assert result.output.count(" is valid\n") == 7
    assert result.output.count("Instance is readable\n") == 2


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    assert run().exit_code == 2
    assert run("--no-such-option").exit_code == 2
    missing = run(str(tmp_path / "missing.yaml"))
    assert missing.exit_code == 2
    assert "missing.yaml" in missing.output
    assert run(str(tmp_path)).exit_code == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        os.truncate(file.fileno(), 16 * 1024 * 1024 + 1)
    result = run(str(large))
    assert result.exit_code == 1
    assert result.output == f"{large}: is too large: expected at most 16777216 bytes\n"


def test_help_has_examples_and_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "kubectl get akric -A -o yaml | akri validate -" in result.output
    assert "Exit codes: 0 everything is valid, 1 there are problems, 2 wrong usage." in result.output

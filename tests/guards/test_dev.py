"""The script that does everything is right as a script, and says what it does."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.guards.tree import ROOT

SCRIPT = (ROOT / "dev").read_text(encoding="utf-8")


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ./dev."""
    return subprocess.run([str(ROOT / "dev"), *arguments], capture_output=True, text=True, check=False, timeout=50)


def test_script_is_plain_posix_shell() -> None:
    assert SCRIPT.startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", str(ROOT / "dev")], check=False, timeout=10).returncode == 0
    assert re.findall(r"(?m)\[\[|\bfunction\b|^\s*local\b|<<<|\$'", SCRIPT) == []


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "test",
        "test-local",
        "cluster",
        "cluster-down",
        "check",
        "fix",
        "bench",
        "mutate",
        "chaos",
        "test-lowest",
        "lint",
        "coverage",
        "unit",
        "lock",
        "env",
    ],
)
def test_help_names_each_command(command: str) -> None:
    assert f"./dev {command}" in dev("help").stdout
    assert re.search(rf"^ +[\w| -]*\b{command}\b[\w| -]*\)", SCRIPT, re.MULTILINE), "help names it and the script does not know it"


def test_demonstration_is_the_tested_one() -> None:
    assert "samples/demo.py" in SCRIPT


def test_unknown_command_is_refused() -> None:
    done = dev("tset")

    assert done.returncode == 1
    assert "there is no command 'tset'" in done.stderr


def test_benchmark_that_does_not_exist_fails() -> None:
    done = dev("bench", "no_such_benchmark")

    assert done.returncode != 0
    assert "no_such_benchmark" in done.stderr


def test_environment_is_made_once() -> None:
    dev("env")

    again = dev("env")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["ci.txt", "lowest.txt"])
def test_constraints_are_pinned_hashed_and_name_no_place(name: str) -> None:
    lines = (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if "==" in line.split(";")[0]]

    assert len(pins) > 20
    assert [line for line in lines if not re.match(r"^([\w.-]+==\S+( ;.*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?)$", line)] == []
    assert all(lines[lines.index(pin) + 1].lstrip().startswith("--hash=sha256:") for pin in pins)


def test_lowest_constraints_are_the_lower_ends_of_what_is_tested() -> None:
    lowest = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8"), re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tested = re.findall(
        r'"([\w.-]+)>=([\w.]+)"', re.sub(r"(?m)^(onvif|opcua|dns-sd|kubernetes|dev|test|build) = .*$|^    .*$", "", project)
    )

    assert len(tested) >= 8
    names = {(name.replace(".", "-"), version) for name, version in tested if name != "hatchling"}
    assert {name for name, version in names if not lowest[name].startswith(version)} == set()


def test_continuous_integration_runs_the_suite() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert script.rstrip().endswith("./dev test"), "pytest's summary is the last line"
    assert {"./dev lint", "./dev coverage", "./dev test-lowest"} <= set(script.splitlines())


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        ("", False),
        ("tests/unit", True),
        ("tests/unit/core tests/guards/test_dev.py", True),
        ("tests/unit tests/integration", False),
        ("-k claim", False),
        ("--kubeconfig FILE tests/integration/cluster", False),
    ],
)
def test_cluster_is_prepared_unless_only_tests_without_one_are_named(arguments: str, without: bool) -> None:
    function = re.search(r"^without_cluster\(\) \{.*?^\}", SCRIPT, re.MULTILINE | re.DOTALL)
    assert function is not None
    done = subprocess.run(["sh", "-c", f"{function[0]}\nwithout_cluster {arguments}"], check=False, timeout=10)
    assert (done.returncode == 0) == without


def test_only_tests_and_the_cluster_itself_prepare_one() -> None:
    callers = re.findall(r"^(\w+)\(\) \{\n(?:(?!^\}).*\n)*?.*\bprepare_cluster\b(?!\()", SCRIPT, re.MULTILINE)
    assert callers == ["test_all", "cluster"]

"""`akri discover` as a user runs it: what it prints, what its exit code says, and what it explains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import cli

ECHO = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: echo
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions: [foo0, foo1]
"""
UDEV = (
    ECHO.replace("name: echo", "name: null-device")
    .replace("debugEcho", "udev")
    .replace("descriptions: [foo0, foo1]", 'udevRules: [\'SUBSYSTEM=="mem", KERNEL=="null"\']')
)


def run(*arguments: str, text: str) -> Result:
    return CliRunner().invoke(cli, ["discover", "-", *arguments], input=text)


def test_devices_are_printed_with_their_instances() -> None:
    done = run("--node", "n", text=ECHO)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "Configuration default/echo: 2 devices found by debugEcho",
        "  INSTANCE     DEVICE ID  DEVICE NODES",
        "  echo-8120fe  foo0       -",
        "      DEBUG_ECHO_DESCRIPTION=foo0",
        "  echo-a19705  foo1       -",
        "      DEBUG_ECHO_DESCRIPTION=foo1",
    ]


def test_several_documents_and_kernel_devices() -> None:
    done = run("--node", "n", "-o", "json", text=f"{ECHO}---\n{UDEV}")

    assert done.exit_code == 0
    echo, null = json.loads(done.stdout)["configurations"]
    assert (echo["name"], len(echo["devices"])) == ("echo", 2)
    assert null["devices"][0]["id"] == "/devices/virtual/mem/null"
    assert null["devices"][0]["deviceNodes"] == [{"containerPath": "/dev/null", "hostPath": "/dev/null", "permissions": "rwm"}]
    assert null["candidates"] >= len(null["devices"])


def test_yaml_is_the_same_as_json() -> None:
    done = run("-o", "yaml", text=ECHO)

    assert done.exit_code == 0
    assert done.stdout.startswith("configurations:\n- candidates: 2\n  devices:\n  - deviceNodes: []\n    id: foo0\n")


def test_nothing_found_has_an_exit_code_of_its_own_and_says_why() -> None:
    done = run("--node", "n", text=UDEV.replace('"null"', '"no-such-device"'))

    assert done.exit_code == 3
    assert done.stdout.startswith("Configuration default/null-device: 0 devices found by udev\n")


def test_what_cannot_be_used_is_said_and_the_rest_is_found() -> None:
    bad = UDEV.replace("KERNEL==", "RUN+=")
    done = run(text=f"{bad}---\n{ECHO}")

    assert done.exit_code == 1
    assert "standard input:9: spec.discoveryHandler.discoveryDetails: udevRules[0]: " in done.stderr
    assert "default/null-device: discoveryDetails refused" in done.stderr or "udev discovery details" in done.stderr
    assert "Configuration default/echo: 2 devices found" in done.stdout


@pytest.mark.parametrize("text", ["", "kind: Secret\napiVersion: v1\n", "{]"])
def test_no_configuration_is_a_failure(text: str) -> None:
    assert run(text=text).exit_code == 1


def test_a_handler_that_does_not_come_with_akri_is_named() -> None:
    done = run(text=ECHO.replace("debugEcho", "thermometer"))

    assert done.exit_code == 1
    assert "no discovery handler thermometer comes with Akri: ask the one that runs with --handler ENDPOINT" in done.stderr


def test_a_handler_that_is_not_there_is_named() -> None:
    done = run("--handler", "/no/such.sock", "--timeout", "5", text=ECHO)

    assert done.exit_code == 1
    assert "/no/such.sock" in done.stderr


def test_properties_that_a_secret_would_hold_are_asked_for_by_name() -> None:
    secret = ECHO + "    discoveryProperties:\n    - name: password\n      valueFrom: {secretKeyRef: {name: safe, key: word}}\n"

    done = run(text=secret)
    assert (done.exit_code, "password" in done.stderr, "--property NAME=VALUE" in done.stderr) == (1, True, True)
    assert run("--property", "password=x", text=secret).exit_code == 0
    assert run("--property", "password", text=secret).exit_code == 2


def test_watching_prints_what_comes(tmp_path: Path) -> None:
    file = tmp_path / "echo.yaml"
    file.write_text(ECHO)
    done = CliRunner().invoke(cli, ["discover", str(file), "--watch", "--for", "1"])

    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["echo  + echo-8120fe  foo0", "echo  + echo-a19705  foo1"]


def test_watching_ends_where_there_is_nothing_to_follow() -> None:
    done = run("--watch", text=ECHO.replace("debugEcho", "thermometer"))

    assert (done.exit_code, done.stdout) == (1, "")
    assert "no discovery handler thermometer comes with Akri" in done.stderr
    assert run("--watch", text="{]").exit_code == 1


def test_explaining_says_which_part_of_which_rule_turned_which_device_away() -> None:
    done = run("--node", "n", "--explain", text=UDEV)

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    place = lines.index("    /devices/virtual/mem/zero (/dev/zero)")
    assert lines[place + 1] == '      udevRules[0]: KERNEL=="null": found "zero"'
    assert " devices are selected; turned away, the nearest misses first:" in done.stdout
    assert " more: --device TEXT shows those whose path or device node holds TEXT" in done.stdout


def test_explaining_one_device() -> None:
    done = run("--explain", "--device", "/dev/zero", text=UDEV)
    assert done.stdout.count("udevRules[0]: ") == 1 + done.stdout.partition("explained:")[0].count("udevRules[0]: ")
    assert "    selected: /devices/virtual/mem/null" in run("--explain", "--device", "/dev/null", text=UDEV).stdout
    assert "no device has '/dev/nothing'" in run("--explain", "--device", "/dev/nothing", text=UDEV).stdout


def test_explaining_another_handler_says_that_it_cannot() -> None:
    assert "only udev's rules can be explained" in run("--explain", text=ECHO).stdout


def test_what_does_not_go_together_is_wrong_usage() -> None:
    assert run("--explain", "-o", "json", text=ECHO).exit_code == 2
    assert run("--watch", "-o", "yaml", text=ECHO).exit_code == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    done = run(text=ECHO.replace("[foo0, foo1]", '["a\\u009bb"]'))

    assert "\u009b" not in done.stdout
    assert "a\\x9bb" in done.stdout


def test_help_has_examples_and_exit_codes() -> None:
    done = CliRunner().invoke(cli, ["discover", "--help"])

    assert "akri discover disks.yaml --explain" in done.stdout
    assert "Exit codes: 0 each Configuration finds a device" in done.stdout

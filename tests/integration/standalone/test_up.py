"""`akri up` as a user runs it: a process of its own, real sockets, real brokers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GOOD = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: echo
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions: ["foo0", "foo1"]
  brokerSpec:
    brokerPodSpec:
      containers:
      - name: broker
        command: ["sh", "-c", "echo I have $DEBUG_ECHO_DESCRIPTION; exec sleep 98765"]
        resources:
          limits:
            "{{PLACEHOLDER}}": "1"
"""
BAD = GOOD.replace("name: echo", "name: bad").replace("spec:\n  disc", "spec:\n  capacity: '3'\n  colour: red\n  disc")


def akri(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from akri.cli.main import main; main()", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=50, check=False)


def processes(word: str) -> list[str]:
    found = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [command for command in found if word in command and "pytest" not in command]


def test_devices_reach_brokers_and_nothing_is_left() -> None:
    result = akri("up", "-f", "-", "--node", "gateway", "--for", "4", text=GOOD.replace("98765", "98761"))
    assert (result.returncode, result.stderr) == (0, "")
    for line in (
        "echo  Configuration applied: looking for devices with debugEcho",
        "echo-8120fe  device found: foo0 (1 slot)",
        "echo-a19705  device found: foo1 (1 slot)",
        "echo-8120fe  slot echo-8120fe-0 held by gateway",
        "gateway-echo-8120fe-pod  running",
        "gateway-echo-8120fe-pod | I have foo0",
        "gateway-echo-a19705-pod | I have foo1",
    ):
        assert line in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1] == "akri  ended; no broker is left"
    assert processes("sleep 98761") == []


def test_what_is_wrong_with_a_file_is_said_and_everything_else_goes_on(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(BAD)
    good.write_text(GOOD)
    result = akri("up", "-f", str(bad), "-f", str(good), "--node", "gateway", "--for", "3")
    assert result.returncode == 0
    assert f"{bad}:6: spec.capacity: '3' is a text: expected a whole number from 1 to 1000" in result.stderr
    assert f"{bad}:7: spec.colour: unknown field" in result.stderr
    assert "gateway-echo-8120fe-pod | I have foo0" in result.stdout
    assert "bad  Configuration applied" not in result.stdout


def test_without_a_usable_configuration_it_ends_at_once() -> None:
    result = akri("up", "-f", "-", text=BAD)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "Error: no usable Configuration was given"


def test_a_folder_that_cannot_be_used_is_named() -> None:
    result = akri("up", "-f", "-", "--state", "/proc/akri", text=GOOD)
    assert result.returncode == 1
    assert "/proc/akri" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broker_command_that_does_not_exist_is_named_and_the_other_brokers_run() -> None:
    lost = GOOD.replace("name: echo", "name: lost").replace(
        '"sh", "-c", "echo I have $DEBUG_ECHO_DESCRIPTION; exec sleep 98765"', '"/no/such"'
    )
    result = akri("up", "-f", "-", "--node", "gateway", "--for", "4", text=f"{lost}---\n{GOOD}")
    assert result.returncode == 0
    assert "failed (StartError: spec.containers[0].command: '/no/such' is not valid" in result.stdout
    assert "gateway-echo-8120fe-pod | I have foo0" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_brokers(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "echo.yaml"
    file.write_text(GOOD.replace("98765", f"9876{int(number)}"))
    command = [sys.executable, "-c", "from akri.cli.main import main; main()", "up", "-f", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while len(processes(f"sleep 9876{int(number)}")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "akri  ended; no broker is left"
    assert processes(f"sleep 9876{int(number)}") == []


def test_help_has_examples_and_exit_codes() -> None:
    result = akri("up", "--help")
    assert result.returncode == 0
    assert "akri up -f samples/debug-echo.yaml" in result.stdout
    assert "Exit codes: 0 ended as asked" in result.stdout


def test_help_of_all_commands_does_not_load_what_up_needs() -> None:
    program = "import sys; from akri.cli.group import cli\ntry: cli(['--help'])\nexcept SystemExit: pass\nsys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0

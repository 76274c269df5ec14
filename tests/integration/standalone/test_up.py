"""`akri up` as a user runs it: a process of its own, real sockets, real brokers."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.standalone.programs import State, akri, state

pytestmark = pytest.mark.timeout(300)

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


def processes(word: str) -> list[str]:
    found = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [command for command in found if word in command and "pytest" not in command]


def test_devices_reach_brokers_and_a_temporary_one_leaves_nothing() -> None:
    result = akri("up", "--temporary", "-f", "-", "--node", "gateway", "--for", "6", text=GOOD.replace("98765", "98761"))
    assert (result.returncode, result.stderr) == (0, "")
    for line in (
        "akri  node gateway, everything is in memory; Ctrl-C ends it and all brokers",
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
    result = akri("up", "--temporary", "-f", bad, "-f", good, "--node", "gateway", "--for", "6")
    assert result.returncode == 0
    assert f"{bad}:6: spec.capacity: '3' is a text: expected a whole number from 1 to 1000" in result.stderr
    assert f"{bad}:7: spec.colour: unknown field" in result.stderr
    assert "gateway-echo-8120fe-pod | I have foo0" in result.stdout
    assert "bad  Configuration applied" not in result.stdout


def test_without_a_usable_configuration_it_ends_at_once() -> None:
    result = akri("up", "--temporary", "-f", "-", text=BAD)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "Error: no usable Configuration was given"
    result = akri("up", "--temporary")
    assert result.returncode == 1
    assert "--temporary needs a Configuration: give one with -f FILE" in result.stderr


def test_a_temporary_folder_has_no_other_name(tmp_path: Path) -> None:
    result = akri("up", "--temporary", "--state", tmp_path, "-f", "-", text=GOOD)
    assert result.returncode == 2
    assert "--temporary makes a folder of its own, so there is no --state with it" in result.stderr


def test_a_folder_that_cannot_be_used_is_named() -> None:
    result = akri("up", "-f", "-", "--state", "/proc/akri", text=GOOD)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: state folder /proc/akri cannot be used: ")
    assert "Traceback" not in result.stderr


def test_a_folder_with_a_long_path_is_refused_with_the_limit(tmp_path: Path) -> None:
    result = akri("up", "-f", "-", "--state", tmp_path / ("x" * 100), text=GOOD)
    assert result.returncode == 1
    assert "a socket's path holds 107 bytes" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_broker_command_that_does_not_exist_is_named_and_the_other_brokers_run() -> None:
    lost = GOOD.replace("name: echo", "name: lost").replace(
        '"sh", "-c", "echo I have $DEBUG_ECHO_DESCRIPTION; exec sleep 98765"', '"/no/such"'
    )
    result = akri("up", "--temporary", "-f", "-", "--node", "gateway", "--for", "6", text=f"{lost}---\n{GOOD}")
    assert result.returncode == 0
    assert "spec.containers[0].command: '/no/such' is not valid" in result.stdout
    assert "gateway-echo-8120fe-pod | I have foo0" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_brokers_go_on_until_they_are_told_to_end(number: signal.Signals) -> None:
    with state() as it:
        program = it.start("up", "-f", it.configuration(), "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        before = it.brokers()
        program.send_signal(number)
        assert program.wait(30) == 0
        assert f"2 brokers go on until 'akri up' is back: 'akri down --state {it.path}' ends all brokers" in it.said()
        assert it.brokers() == before
        result = akri("down", "--state", it.path)
        assert (result.returncode, result.stdout) == (0, "2 brokers ended\n")
        assert it.brokers() == []
        result = akri("down", "--state", it.path)
        assert (result.returncode, result.stdout) == (0, f"nothing ran on {it.path}\n")


def test_down_ends_programs_and_brokers_and_says_what_it_did() -> None:
    with state() as it:
        up = it.start("up", "-f", it.configuration(capacity=2), "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        node = it.start("node", "--name", "line-2")
        it.until(lambda: "node line-2" in it.said(), "the node runs")
        result = akri("down", "--state", it.path)
        assert result.returncode == 0
        assert f"akri up (process {up.pid}) ended" in result.stdout
        assert f"akri node --name line-2 (process {node.pid}) ended" in result.stdout
        assert result.stdout.splitlines()[-1].endswith("brokers ended")
        assert (up.wait(30), node.wait(30), it.brokers()) == (0, 0, [])


def test_a_second_one_on_a_folder_is_refused_with_the_first_one_s_number() -> None:
    with state() as it:
        program = it.start("up", "--node", "gateway")
        it.until(lambda: "node gateway" in it.said())
        result = akri("up", "--state", it.path, "--node", "other")
        assert result.returncode == 1
        assert f"'akri up' runs on {it.path} already (process {program.pid})" in result.stderr
        result = akri("node", "--state", it.path, "--name", "gateway")
        assert result.returncode == 1
        assert f"node gateway runs on {it.path} already (process {program.pid})" in result.stderr
        assert it.end(program) == 0


def test_a_node_needs_a_state() -> None:
    with state() as it:
        result = akri("node", "--state", it.path, "--name", "line-2")
        assert result.returncode == 1
        assert f"{it.path} holds no state of akri: begin it with 'akri up --state {it.path}'" in result.stderr


def test_without_files_it_goes_on_with_its_state_and_says_where_there_is_none() -> None:
    with state() as it:
        result = akri("up", "--state", it.path, "--node", "gateway", "--for", "1")
        assert result.returncode == 0
        assert f"there is no Configuration yet: apply one with 'akri apply -f FILE --state {it.path}'" in result.stdout
        file = it.configuration()
        program = it.start("up", "-f", file, "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        assert it.end(program) == 0
        result = akri("up", "--state", it.path, "--node", "gateway", "--for", "1")
        assert "known from before: 1 Configuration, 2 devices, 2 brokers on this node" in result.stdout
        assert "device found" not in result.stdout


def test_the_folder_is_one_s_own_and_is_named_by_the_environment() -> None:
    with state() as it:
        environment = {**os.environ, "AKRI_STATE": str(it.path)}
        result = akri("up", "--node", "gateway", "--for", "1", environment=environment)
        assert result.returncode == 0
        assert f"node gateway, state in {it.path}; Ctrl-C ends it but not its brokers, 'akri down' ends them" in result.stdout
        assert it.path.stat().st_mode & 0o777 == 0o700


def _as_ordinary_user(it: State, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who is not root. That user may read everything, for Python itself may be in root's home."""
    nobody = ("--reuid", "65534", "--regid", "65534", "--clear-groups")
    reading = ("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search")
    prefix = ("setpriv", *nobody, *reading, "--") if os.geteuid() == 0 else ()
    environment = {"PATH": os.environ["PATH"], "HOME": str(it.folder), "XDG_STATE_HOME": str(it.folder / "own")}
    command = [*prefix, sys.executable, "-c", "from akri.cli.main import main; main()", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=55, check=False)


def test_a_first_run_works_for_an_ordinary_user() -> None:
    with state() as it:
        file = it.configuration()
        for folder in (it.folder, it.accounts):
            folder.chmod(0o777)
        result = _as_ordinary_user(it, "up", "-f", str(file), "--node", "gateway", "--for", "6")
        assert (result.returncode, result.stderr) == (0, "")
        own = it.folder / "own/akri"
        assert f"node gateway, state in {own}; Ctrl-C ends it but not its brokers, 'akri down' ends them" in result.stdout
        assert "I have echo-0" in result.stdout
        assert _as_ordinary_user(it, "down").stdout == "2 brokers ended\n"
        assert it.brokers() == []


def test_what_is_remembered_is_in_small_files_of_the_node() -> None:
    with state() as it:
        program = it.start("up", "-f", it.configuration(), "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        assert it.end(program) == 0
        document = json.loads((it.path / "nodes/gateway/agent/devices.json").read_text())
        (one,) = document["configurations"]
        assert [device["id"] for device in one["devices"]] == ["echo-0", "echo-1"]


@pytest.mark.parametrize("command", ["up", "node", "down"])
def test_help_has_examples_and_exit_codes(command: str) -> None:
    result = akri(command, "--help")
    assert result.returncode == 0
    assert f"  akri {command}" in result.stdout
    assert "Exit codes: 0 " in result.stdout


def test_help_of_all_commands_does_not_load_what_up_needs() -> None:
    program = "import sys; from akri.cli.group import cli\ntry: cli(['--help'])\nexcept SystemExit: pass\nsys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_a_store_of_a_later_release_is_refused_in_a_sentence_and_left_as_it_is() -> None:
    with state() as it:
        assert akri("up", "--state", it.path, "--node", "gateway", "--for", "1").returncode == 0
        with closing(sqlite3.connect(it.path / "store.sqlite")) as store:
            store.execute("UPDATE counter SET version = 99")
            store.execute("PRAGMA user_version = 99")
            store.commit()
        result = akri("up", "--state", it.path, "--node", "gateway", "--for", "1")
        assert result.returncode == 1
        assert "99" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert list(it.path.glob("*damaged*")) == []


def test_a_machine_that_was_renamed_is_told_of_the_brokers_under_its_former_name() -> None:
    with state() as it:
        program = it.start("up", "-f", it.configuration(), "--node", "former")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        assert it.end(program) == 0
        result = akri("up", "--state", it.path, "--node", "renamed", "--for", "1")
        assert result.returncode == 0
        assert f"node former has brokers and does not run: 'akri node --name former --state {it.path}' takes them up" in result.stdout

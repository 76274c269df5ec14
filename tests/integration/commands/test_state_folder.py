"""The commands over the state folder of a machine that runs: the real program, from applying to deleting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pexpect
import pytest

from tests.integration.commands.terminal import in_terminal, lines_of

AKRI: Final = str(Path(sys.executable).with_name("akri"))
PATIENCE: Final = 60.0
CONFIGURATION: Final = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: echo
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions: [foo0]
  capacity: 2
  brokerProperties:
    COLOUR: green
  brokerSpec:
    brokerPodSpec:
      containers:
      - name: broker
        command: [sh, -c, "echo I have $DEBUG_ECHO_DESCRIPTION; exec sleep infinity"]
        resources:
          limits:
            "{{PLACEHOLDER}}": 1
"""
BROKER: Final = "gateway-echo-8120fe-pod"


class Machine:
    """`akri up` on a state folder, and the commands beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "AKRI_STATE": str(folder / "state"), "LANG": "C.UTF-8"}

    def run(self, *words: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [AKRI, *words], env=self.environment | environment, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.run("get", "all").stdout
            time.sleep(0.2)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        made = Machine(Path(folder))
        log = (Path(folder) / "up.log").open("w")
        running = subprocess.Popen([AKRI, "up", "--node", "gateway"], env=made.environment, stdout=log, stderr=log)
        try:
            made.until(lambda: "gateway   Ready" in made.run("get", "nodes").stdout)
            yield made
        finally:
            made.run("down", "--grace", "1")
            running.terminate()
            running.wait(PATIENCE)
            log.close()


@pytest.mark.timeout(300)
def test_from_applying_to_deleting(machine: Machine) -> None:
    applied = machine.run("apply", "-f", "-", text=CONFIGURATION)
    assert (applied.returncode, applied.stdout) == (0, "configuration.akri.sh/echo created\n")
    machine.until(lambda: "Running" in machine.run("get", "brokers").stdout and "1/1" in machine.run("get", "akric").stdout)

    assert machine.run("get", "all", "-o", "name").stdout.split() == [
        "configuration.akri.sh/echo",
        "instance.akri.sh/echo-8120fe",
        f"pod/{BROKER}",
        "discoveryreport.akri.sh/echo.gateway",
        "node/gateway",
    ]
    instance = json.loads(machine.run("get", "akrii/echo-8120fe", "-o", "json").stdout)
    assert sorted(instance["spec"]["deviceUsage"].values()) == ["", "gateway"]
    assert "COLOUR_8120FE=green\n" in machine.run("env", "echo-8120fe", "-o", "env").stdout
    assert machine.run("logs", "echo-8120fe").stdout == "I have foo0\n"
    described = machine.run("describe", f"broker/{BROKER}").stdout
    assert [line.split()[:2] for line in described.splitlines() if line.startswith("  broker ")] == [["broker", "running"]]
    assert machine.run("top").stdout.startswith("1 Configuration, 1 device, 1/2 slots held, 1/1 brokers well, 1 node\n")

    edited = machine.run("edit", "echo", VISUAL="", EDITOR="sed -i s/green/blue/")
    assert (edited.returncode, edited.stdout) == (0, "configuration.akri.sh/echo edited\n")
    machine.until(lambda: "COLOUR_8120FE=blue\n" in machine.run("env", "echo-8120fe", "-o", "env").stdout)

    assert machine.run("delete", "echo").stdout == "configuration.akri.sh/echo deleted\n"
    machine.until(lambda: machine.run("get", "all", "-o", "name").stdout.split() == ["node/gateway"])


@pytest.mark.timeout(300)
def test_what_is_followed_shows_what_others_do(machine: Machine) -> None:
    """`get --watch` and `top` are told by another process, whose store they share."""
    other = CONFIGURATION.replace("name: echo", "name: other")
    environment = {"AKRI_STATE": machine.environment["AKRI_STATE"]}
    with (
        in_terminal([AKRI, "get", "akrii", "-w"], environment=environment) as watching,
        in_terminal([AKRI, "top"], environment=environment) as viewing,
    ):
        watching.expect("NAME")
        viewing.expect("0 devices")
        assert machine.run("apply", "-f", "-", text=other).returncode == 0
        watching.expect(r"\+.*other-8120fe")
        viewing.expect("other-8120fe")
        assert machine.run("delete", "other").returncode == 0
        watching.expect(r"-.*other-8120fe")
        viewing.expect("0 devices")
        viewing.send("q")
        viewing.expect(pexpect.EOF)
        watching.sendintr()
        watching.expect(pexpect.EOF)
        assert all("Traceback" not in line for line in lines_of(watching.before or ""))


@pytest.mark.timeout(300)
def test_names_are_completed(machine: Machine) -> None:
    assert machine.run("apply", "-f", "-", text=CONFIGURATION.replace("name: echo", "name: third")).returncode == 0

    def completed(words: str) -> list[str]:
        done = machine.run(_AKRI_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    machine.until(lambda: completed("akri env th") == ["third-8120fe"])
    assert completed("akri get akric th") == ["third"]
    assert completed("akri get n") == ["nodes"]
    assert machine.run("delete", "third").returncode == 0

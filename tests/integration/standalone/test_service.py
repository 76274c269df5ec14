"""`akri up` under a service manager: the units say what the program needs, and the program says when it serves."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import click
import pytest

from akri.cli.where import default_state
from akri_standalone import commands
from tests.integration.standalone.programs import PATIENCE, akri, state

pytestmark = pytest.mark.timeout(300)

UNITS = Path(__file__).parents[3] / "deploy" / "systemd"


def unit(name: str) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections[line.strip("[]")] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            assert key not in section, f"{key} stands twice"
            section[key] = value
    return sections


@pytest.mark.parametrize(("name", "command"), [("akri.service", commands.up), ("akri-node@.service", commands.node)])
def test_a_unit_starts_a_command_that_there_is_and_leaves_its_brokers_alone(name: str, command: click.Command) -> None:
    service = unit(name)["Service"]
    _, word, *arguments = shlex.split(service["ExecStart"])
    assert word == command.name
    assert command.make_context("akri", arguments).params is not None
    assert (service["Type"], service["KillMode"], service["Restart"]) == ("notify", "process", "always")
    assert service["User"] != "root"
    # These would take device nodes away from brokers.
    assert not {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"} & service.keys()
    assert service["Environment"] == "AKRI_STATE=/var/lib/akri/local"


def test_the_service_keeps_its_state_where_root_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    service = unit("akri.service")["Service"]
    assert Path("/var/lib") / service["StateDirectory"].split()[-1] == default_state()
    assert service["User"] in (UNITS / "akri.sysusers").read_text(encoding="utf-8").splitlines()[-1].split()


def test_the_service_manager_hears_when_all_is_served_and_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with state() as it, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        first = it.start("up", "-f", it.configuration(), "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        assert it.end(first) == 0
        manager.bind(str(it.folder / "notify"))
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(it.folder / "notify"))
        second = it.start("up", "--node", "gateway")
        assert manager.recv(100) == b"READY=1"
        assert "sockets       device manager of node gateway answers" in akri("doctor", "--state", it.path).stdout
        second.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        assert second.wait(PATIENCE) == 0
        assert "all that was known is served" in it.said()

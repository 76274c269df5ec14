"""What the doctor says of device nodes, udev, runtimes, limits, stores, sockets and programs."""

from __future__ import annotations

import json
import resource
import socket
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from akri.cli.doctoring.examination import examined
from akri.cli.doctoring.findings import Finding, Level, documents, lines, ok, problem, summary, warning, worst
from akri.cli.doctoring.machine import examine_device_nodes, examine_limits, examine_runtimes, examine_udev
from akri.cli.doctoring.running import examine_brokers, examine_programs, examine_sockets
from akri.cli.doctoring.stores import examine_store
from akri.cli.doctoring.users import User
from akri.cli.tables import Screen
from akri.clock import SystemClock
from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock
from akri.platforms.local.sqlite.store import SqliteStore

NODE = NodeName("n")


@pytest.fixture
def folder() -> Generator[StateFolder]:
    """A prepared state folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as path:
        made = StateFolder(Path(path) / "s")
        made.prepare(NODE)
        yield made


def told(findings: Iterable[Finding]) -> list[str]:
    return [f"{one.level.value}: {one.message}; {one.advice}" for one in findings]


def _remember(folder: StateFolder, *paths: Path) -> None:
    nodes = [{"containerPath": str(path), "hostPath": str(path), "permissions": "rw"} for path in paths]
    device: Mapping[str, object] = {"id": "x", "shared": False, "properties": {}, "mounts": [], "deviceNodes": nodes}
    one = {"namespace": "default", "name": "cam", "uid": "1", "devices": [device]}
    (folder.node(NODE).agent / "devices.json").write_text(json.dumps({"version": 1, "configurations": [one]}))


def test_a_device_node_that_is_closed_is_named_with_its_group(folder: StateFolder, tmp_path: Path) -> None:
    opened, closed = tmp_path / "open", tmp_path / "closed"
    for path in (opened, closed):
        path.write_text("")
    opened.chmod(0o666)
    closed.chmod(0o660)
    _remember(folder, opened, closed, tmp_path / "gone")
    (line,) = told(examine_device_nodes(folder, User(54321, frozenset({54321}))))
    group = User.group_name(closed.stat().st_gid)
    assert line.startswith(f"problem: user 54321 may not open {closed}, which belongs to group {group}; ")
    assert "docs/service.md" in line if group == "root" else f"usermod --append --groups {group}" in line
    closed.chmod(0o666)
    assert told(examine_device_nodes(folder, User(54321, frozenset({54321})))) == [
        "ok: 3 known, all open to user 54321 (groups group 54321); "
    ]
    assert told(examine_device_nodes(folder, User(0, frozenset({0})))) == ["ok: root may open all of them; "]


def test_udev_is_there_half_there_or_not(tmp_path: Path) -> None:
    assert told(examine_udev(tmp_path / "none"))[0].startswith("warning: there is no ")
    assert "start systemd-udevd" in told(examine_udev(tmp_path))[0]
    (tmp_path / "control").write_text("")
    assert told(examine_udev(tmp_path))[0].startswith("ok: udevd runs")


def test_runtimes_are_looked_for_by_program_and_socket(tmp_path: Path) -> None:
    assert told(examine_runtimes(["no-such-program"]))[0].startswith("warning: there is neither containerd nor podman")
    assert "start containerd" in told(examine_runtimes(["sh"], {"sh": str(tmp_path / "s")}))[0]
    assert told(examine_runtimes(["sh"], {})) == ["ok: images run with sh; "]


def test_few_open_files_are_few_devices() -> None:
    assert told(examine_limits((1024, 1024)))[0].startswith("warning: a process may open 1024 files, enough for about 256 devices")
    assert told(examine_limits((1024, 8192))) == ["ok: enough for a thousand devices; "]
    assert told(examine_limits((1024, resource.RLIM_INFINITY))) == ["ok: enough for a thousand devices; "]


async def test_a_store_is_read_whole(folder: StateFolder) -> None:
    assert told(examine_store(folder)) == ["ok: there is none yet: 'akri up' makes it; "]
    async with SqliteStore(folder.path, SystemClock()) as store:
        await store.register_node(NODE)
        (line,) = told(examine_store(folder))
        assert line.endswith(", 1 object, whole; ")
    with closing(sqlite3.connect(folder.store)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "has version 99, and this release knows versions up to" in told(examine_store(folder))[0]
    folder.store.write_bytes(b"rubbish" * 1000)
    assert told(examine_store(folder))[0].startswith(f"problem: {folder.store} cannot be read: ")


def test_programs_and_sockets_of_a_node(folder: StateFolder) -> None:
    assert told(examine_programs(folder)) == ["ok: none runs: begin with 'akri up'; "]
    part = folder.node(NODE)
    assert told(examine_sockets(folder)) == []
    with Lock.take(part.lock), socket.socket(socket.AF_UNIX) as server:
        assert told(examine_programs(folder))[1].startswith("problem: nodes run without 'akri up'")
        server.bind(str(part.pod_resources))
        server.listen()
        found = told(examine_sockets(folder))
        assert found[0].startswith(f"problem: device manager of node n does not answer at {part.plugins}/kubelet.sock: No such file")
        assert found[1] == "ok: PodResources of node n answers; "
    with Lock.take(folder.controller_lock):
        assert f"forget it: rm -r {folder.path}/nodes/n" in told(examine_programs(folder))[1]


def test_handlers_that_registered_are_asked(folder: StateFolder) -> None:
    part = folder.node(NODE)
    here = {"name": "udev", "endpoint": str(part.handlers / "udev.sock"), "network": False, "shared": False}
    far = {"name": "onvif", "endpoint": "10.1.2.3:80", "network": True, "shared": True}
    (part.agent / "handlers.json").write_text(json.dumps({"version": 1, "handlers": [here, far]}))
    with Lock.take(part.lock):
        found = [one for one in examine_sockets(folder) if one.subject == "handlers"]
        assert [one.level for one in found] == [Level.PROBLEM, Level.OK]
        assert "start the handler" in found[0].advice
        (part.agent / "handlers.json").write_text("{")
        found = [one for one in examine_sockets(folder) if one.subject == "handlers"]
        assert [one.level for one in found] == [Level.PROBLEM]


def test_no_broker_is_well(folder: StateFolder) -> None:
    assert told(examine_brokers(folder)) == ["ok: 0 containers running; "]


def test_findings_are_counted_and_printed() -> None:
    findings = [ok("space", "much"), warning("udev", "none", "install it"), problem("store", "\x1bbad", "mend it")]
    assert (worst(findings), worst(findings[:2]), worst([])) == (Level.PROBLEM, Level.WARNING, Level.OK)
    assert summary(findings) == "3 checks: 1 problem, 1 warning"
    assert summary(findings[:1]) == "all 1 checks are well"
    assert list(lines(findings, Screen())) == [
        "ok       space  much",
        "warning  udev   none; install it",
        "problem  store  \\x1bbad; mend it",
    ]
    assert documents(findings)[1] == {"level": "warning", "subject": "udev", "message": "none", "advice": "install it"}


def test_what_cannot_be_looked_at_is_a_finding(folder: StateFolder) -> None:
    (folder.path / "controller.lock").mkdir()
    found = examined(folder.path, {})
    assert any(one.level is Level.PROBLEM and "controller.lock cannot be looked at: " in one.message for one in found)
    assert {one.subject for one in found} >= {"space", "store", "udev", "leftovers"}

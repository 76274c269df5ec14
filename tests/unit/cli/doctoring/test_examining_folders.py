"""What the doctor says of state folders, and of what was left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from akri.cli.doctoring.findings import Finding, Level
from akri.cli.doctoring.folders import examine_folder, examine_leftovers, examine_space
from akri.cli.doctoring.users import User
from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock

ME = User.present()
SOMEBODY = User(54321, frozenset({54321}))


@pytest.fixture
def folder() -> Generator[StateFolder]:
    """A prepared state folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as path:
        made = StateFolder(Path(path) / "s")
        made.prepare(NodeName("n"))
        yield made


def said(findings: list[Finding], subject: str) -> tuple[Level, str]:
    (found,) = [one for one in findings if one.subject == subject]
    return found.level, f"{found.message}; {found.advice}"


def test_one_s_own_folder_is_well(folder: StateFolder) -> None:
    found = list(examine_folder(folder, ME))
    assert [one.level for one in found] == [Level.OK, Level.OK]
    assert said(found, "state form") == (Level.OK, "form 1; ")


def test_a_folder_that_is_not_there_yet_is_well_where_one_may_make_it(tmp_path: Path) -> None:
    missing = StateFolder(tmp_path / "a/b")
    level, message = said(list(examine_folder(missing, ME)), "state folder")
    assert (level, "'akri up' makes it" in message) == (Level.OK, True)
    level, message = said(list(examine_folder(missing, SOMEBODY)), "state folder")
    assert (level, "name another one with --state" in message) == (Level.PROBLEM, True)


def test_a_folder_of_somebody_else_is_a_problem(folder: StateFolder) -> None:
    level, message = said(list(examine_folder(folder, SOMEBODY)), "state folder")
    assert level is Level.PROBLEM
    assert f"belongs to {ME.name}, and user 54321 may not write there; run akri as {ME.name}" in message


def test_a_folder_that_others_can_enter_is_a_warning(folder: StateFolder) -> None:
    folder.path.chmod(0o755)
    level, message = said(list(examine_folder(folder, ME)), "state folder")
    assert (level, message.endswith(f"chmod 700 {folder.path}")) == (Level.WARNING, True)
    folder.path.chmod(0o777)
    level, message = said(list(examine_folder(folder, SOMEBODY)), "state folder")
    assert (level, f"run akri as {ME.name}" in message) == (Level.WARNING, True)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    level, message = said(list(examine_folder(StateFolder(tmp_path / "s"), ME)), "state folder")
    assert (level, "is no folder" in message) == (Level.PROBLEM, True)


def test_a_folder_of_a_later_release_is_a_problem(folder: StateFolder) -> None:
    folder.version_file.write_text("9\n")
    level, message = said(list(examine_folder(folder, ME)), "state form")
    assert (level, "form 9, and this release knows forms up to 1" in message) == (Level.PROBLEM, True)


def test_space_is_told_also_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    found = list(examine_space(StateFolder(tmp_path / "a/b")))
    assert "MiB are free" in said(found, "space")[1]


def test_a_folder_in_memory_is_a_warning() -> None:
    level, message = said(list(examine_space(StateFolder(Path("/dev/shm/akri")))), "disk")
    assert (level, "is in memory (tmpfs)" in message) == (Level.WARNING, True)


def test_what_was_left_behind_is_named_with_what_to_do(folder: StateFolder, tmp_path: Path) -> None:
    assert said(list(examine_leftovers(folder, {"TMPDIR": str(tmp_path)})), "leftovers") == (Level.OK, "none; ")
    damaged = folder.path / "nodes/n/agent/devices.json.damaged-17"
    damaged.write_text("")
    killed, runs = tmp_path / "akri-killed", tmp_path / "akri-runs"
    for path in (killed, runs):
        path.mkdir()
        (path / "controller.lock").write_text("")
    with Lock.take(runs / "controller.lock"):
        found = list(examine_leftovers(folder, {"TMPDIR": str(tmp_path)}))
    assert [one.advice for one in found] == [
        f"look into it if something is missed, then: rm -r {damaged}",
        f"akri down --state {killed} && rm -r {killed}",
    ]
    assert {one.level for one in found} == {Level.WARNING}


def test_rights_are_those_of_owner_group_and_others(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.write_text("")
    owner = path.stat().st_uid
    for mode, user, may in (
        (0o600, User(owner or 7, frozenset()), True),
        (0o060, User(99, frozenset({path.stat().st_gid})), True),
        (0o060, User(99, frozenset({77777})), False),
        (0o006, User(99, frozenset({77777})), True),
        (0o000, User(0, frozenset()), True),
    ):
        path.chmod(mode)
        if owner == 0 and user.id == 7:
            os.chown(path, 7, -1)
        status = path.stat()
        assert (user.may_read(status), user.may_write(status)) == (may, may)

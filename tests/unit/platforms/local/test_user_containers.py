"""What people are shown of a container, from what its supervisor wrote."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from akri.core.ids import ObjectKey
from akri.core.metadata import ObjectMeta
from akri.platforms.local.host_processes import boot_id
from akri.platforms.local.objects import Pod
from akri.platforms.local.user_containers import container_states
from akri.ports import ContainerState
from akri.scheduling.model import Phase

POD = Pod(
    ObjectMeta(ObjectKey("default", "broker"), uid="u"),
    {"initContainers": [{"name": "first", "command": ["true"]}], "containers": [{"name": "main", "command": ["sleep", "9"]}]},
    phase=Phase.RUNNING,
)


def record(folder: Path, boot: str, **files: str) -> None:
    stat = Path("/proc/self/stat").read_text(encoding="ascii")
    main = folder / "u" / "main"
    main.mkdir(parents=True)
    (main / "started").write_text(f"2 3 {boot} 1.50\n{stat}")
    for name, text in files.items():
        (main / name).write_text(text)


def main_container(folder: Path) -> ContainerState:
    return container_states(POD, folder)[1]


def test_without_a_record_the_pod_tells_what_is_known(tmp_path: Path) -> None:
    assert container_states(POD, None) == (ContainerState("first", init=True), ContainerState("main", running=True))
    assert container_states(POD, tmp_path) == container_states(POD, None)


def test_one_that_ended_tells_how_and_how_often(tmp_path: Path) -> None:
    record(tmp_path, boot_id(), ended="3 9.50 swept\n")
    state = main_container(tmp_path)

    assert (state.running, state.exit_code, state.restarts, state.reason) == (False, 3, 3, "Error")
    assert 0 < state.started < state.finished
    assert container_states(POD, tmp_path)[0] == ContainerState("first", init=True)


def test_one_that_runs(tmp_path: Path) -> None:
    record(tmp_path, boot_id(), lock="")
    descriptor = os.open(tmp_path / "u" / "main" / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        state = main_container(tmp_path)
    finally:
        os.close(descriptor)

    assert (state.running, state.exit_code, state.restarts) == (True, None, 3)
    assert state.started > 0


@pytest.mark.parametrize("boot", ["another-boot"])
def test_one_whose_machine_went_down_is_lost_and_its_start_unknown(tmp_path: Path, boot: str) -> None:
    record(tmp_path, boot)
    state = main_container(tmp_path)

    assert (state.running, state.exit_code, state.reason, state.started) == (False, 137, "Lost", 0.0)

"""Containers from images, in the runtimes that this machine has: devices, mounts, environment, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.metadata import JsonObject
from akri.core.reports import Reason
from akri.platforms.local.stopping import stop_all
from akri.scheduling.model import Phase
from tests.cluster.images import BUSYBOX, node_images
from tests.integration.processes.station import KEY, eventually, marked, new_station, running, spec, station

CONFIGURATION = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
"""


def _lacks() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "containerd runs on Linux and needs root"
    missing = [name for name in ("containerd", "ctr", "runc", "busybox") if shutil.which(name) is None]
    return f"containers need {', '.join(missing)} (./dev test installs them)" if missing else ""


@pytest_asyncio.fixture
async def containerd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Path]:
    """A containerd of the test's own that has a small image; the environment points at it. Gives the state folder."""
    reason = _lacks()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="akri-"))  # short: sockets lie in it
    images = folder / "images"
    images.mkdir()
    (folder / "config.toml").write_text(CONFIGURATION.format(folder=folder), encoding="utf-8")
    monkeypatch.setenv("AKRI_CONTAINER_RUNTIME", "containerd")
    monkeypatch.setenv("CONTAINERD_ADDRESS", str(folder / "containerd.sock"))
    monkeypatch.setenv("CONTAINERD_SNAPSHOTTER", "native")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec("containerd", "--config", str(folder / "config.toml"), stdout=log, stderr=log)
    try:
        await eventually(lambda: _ctr("version").returncode == 0)
        for file in node_images(images):
            assert _ctr("images", "import", str(file)).returncode == 0
        yield tmp_path / "state"
    finally:
        await stop_all(tmp_path / "state", 0)
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        shutil.rmtree(folder)


def _ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ctr", "-n", "akri", *arguments], capture_output=True, text=True, timeout=30, check=False)


def _containers() -> list[str]:
    return _ctr("containers", "ls", "-q").stdout.split()


def _image(script: str) -> JsonObject:
    return {"name": "main", "image": BUSYBOX, "args": ["/bin/sh", "-c", script], "imagePullPolicy": "Never"}


async def test_an_image_gets_the_devices_mounts_and_environment_of_its_edits(containerd: Path, tmp_path: Path) -> None:
    file = tmp_path / "calibration"
    file.write_text("sharp", encoding="utf-8")
    edits = ContainerEdits(
        {"CAMERA": "rtsp://a b"},
        (Mount("/etc/camera/calibration", str(file), read_only=True),),
        (DeviceNode("/dev/full", "/dev/full"), DeviceNode("/dev/camera", "/dev/zero")),
    )
    looks = "echo $CAMERA; cat /etc/camera/calibration; echo; head -c 2 /dev/camera | od -An -tx1; ls -l /dev/full | cut -c1"
    script = f"{looks}; : >/etc/camera/calibration"
    async with station(containerd, edits={"main": edits}) as place:
        await place.store.create_pod(KEY, spec(_image(script.replace("$", "$$"))))
        pod = await place.phase(Phase.FAILED, Phase.SUCCEEDED)
        # The two outputs come on ways of their own.
        [refusal] = [line for line in place.lines if "Read-only file system" in line]
        place.lines.remove(refusal)
        assert place.lines == ["main: rtsp://a b", "main: sharp", "main:  00 00", "main: c"]
        assert pod.message == "container main ended with exit code 1"
        assert place.said(Reason.FIELD_IGNORED) == []
        await eventually(lambda: _containers() == [])


async def test_an_image_is_adopted_asked_to_end_and_removed(containerd: Path) -> None:
    place = await new_station()
    # Of what is written right before the end ctr may lose something.
    script = "trap 'echo bye; sleep 1; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    async with running(place, containerd):
        await place.store.create_pod(KEY, spec(_image(script)))
        await place.heard("main: up")
        await place.phase(Phase.RUNNING)
    assert len(_containers()) == 1
    async with running(place, containerd):
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert place.lines == ["main: up", "main: bye"]
        assert len(place.admitted) == 1
        await eventually(lambda: _containers() == [])
    assert marked(containerd) == []


async def test_a_container_that_ignores_signals_is_killed_and_so_is_one_whose_watcher_was(containerd: Path) -> None:
    place = await new_station()
    async with running(place, containerd):
        await place.store.create_pod(
            KEY, spec(_image("trap '' TERM; echo up; while :; do sleep 0.1; done"), terminationGracePeriodSeconds=1)
        )
        await place.heard("main: up")
        await place.phase(Phase.RUNNING)
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        await eventually(lambda: _containers() == [])
        await place.store.create_pod(KEY, spec(_image("echo again; while :; do sleep 0.1; done")))
        await place.heard("main: again")
        await place.phase(Phase.RUNNING)
    assert await stop_all(containerd, 0) == 1
    assert _containers() == []
    assert marked(containerd) == []


async def test_what_is_not_there_and_what_cannot_be_done_is_said(containerd: Path) -> None:
    async with station(containerd) as place:
        await place.store.create_pod(KEY, spec({"name": "main", "image": "localhost/none:1", "imagePullPolicy": "Never"}))
        pod = await place.phase(Phase.FAILED)
        assert pod.message == "container main ended with exit code 125"
        assert place.lines == ["main: image localhost/none:1 is not there, and imagePullPolicy is Never"]
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        await place.store.create_pod(KEY, spec({"name": "main", "image": BUSYBOX, "command": ["/no/such/program"]}))
        pod = await place.phase(Phase.FAILED)
        assert "containerd's ctr cannot replace the image's entry point" in pod.message


async def test_a_command_of_this_machine_runs_as_a_process_though_there_is_an_image() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec({"name": "main", "image": "localhost/none:1", "command": ["echo", "here"]}))
        await place.phase(Phase.SUCCEEDED)
        assert place.lines == ["main: here"]
        assert place.said(Reason.FIELD_IGNORED) == [
            "image localhost/none:1 of container main is not used: echo is a program of this machine"
        ]

"""How container runtimes are asked to run an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.platforms.local.pod_spec import Container
from akri.platforms.local.runtimes import ImageStart, Runtime, image_start, present_runtime

FOLDER = Path("/state/brokers/uid-1/main")
AGENT = {"PATH": "/usr/bin", "CONTAINERD_ADDRESS": "/run/c.sock", "SECRET": "not handed on", "HOME": "/var/lib/akri"}
EDITS = ContainerEdits(
    {}, (Mount("/etc/cal", "/srv/cal", read_only=True),), (DeviceNode("/dev/a", "/dev/a"), DeviceNode("/dev/cam", "/dev/video7", "r"))
)
IMAGE = Container("main", "containers[0]", image="example.com/broker:1", arguments=("--fast",), mounts=(("/dev/bus", False),))


def _start(runtime: Runtime | None, container: Container = IMAGE, **environment: str) -> ImageStart:
    return image_start(runtime, container, EDITS, environment, folder=FOLDER, of_agent=AGENT)


def test_podman_gets_devices_mounts_and_the_names_of_variables_but_not_their_values() -> None:
    whole = Container("main", "containers[0]", image="i", entry=("run", "it"), working_directory="/srv", pull="Always")
    start = _start(Runtime.PODMAN, whole, TOKEN="s3cret\nline", PATH="/bin")
    words = start.command.arguments
    assert words[:2] == ("podman", "run")
    assert {
        "--device=/dev/a:/dev/a:rwm",
        "--device=/dev/video7:/dev/cam:r",
        "--volume=/srv/cal:/etc/cal:ro",
        "--workdir=/srv",
        '--entrypoint=["run", "it"]',
        "TOKEN",
        "PATH=/bin",
        "AKRI_CONTAINER",
        "always",
    } <= set(words)
    assert not [word for word in words if "s3cret" in word]
    assert start.command.environment["TOKEN"] == "s3cret\nline"
    assert "SECRET" not in start.command.environment
    assert (start.command.environment["PATH"], words[-1]) == ("/usr/bin", "i")
    assert start.removal == (
        "CONTAINERD_ADDRESS=/run/c.sock HOME=/var/lib/akri PATH=/usr/bin exec podman rm --force --time=0 --ignore akri-uid-1-main\n"
    )
    assert start.environment_file == ""


def test_containerd_gets_what_its_program_can() -> None:
    start = _start(Runtime.CONTAINERD, TOKEN="s3cret")
    words = start.command.arguments
    assert words[2:5] == ("akri-uid-1-main", "example.com/broker:1", "")
    assert words[-3:] == ("example.com/broker:1", "akri-uid-1-main", "--fast")
    text = " ".join(words)
    assert "--device /dev/a --device /dev/video7" in text
    for mount in (
        "src=/srv/cal,dst=/etc/cal,options=rbind:ro",
        "src=/dev/bus,dst=/dev/bus,options=rbind:rw",
        "src=/dev/video7,dst=/dev/cam,",
    ):
        assert f"--mount type=bind,{mount}" in text
    assert "s3cret" not in text
    assert start.environment_file == "AKRI_CONTAINER=/state/brokers/uid-1/main\nTOKEN=s3cret\n"
    assert "containerd.sh remove akri-uid-1-main\n" in start.removal


def test_what_containerd_cannot_do_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidValueError, match="replace the image's entry point"):
        _start(Runtime.CONTAINERD, Container("main", "containers[0]", image="i", entry=("run",)))
    with pytest.raises(InvalidValueError, match="line breaks"):
        _start(Runtime.CONTAINERD, TEXT="a\nb")
    with pytest.raises(InvalidValueError, match="without commas"):
        _start(Runtime.CONTAINERD, Container("main", "containers[0]", image="i", mounts=(("/a,b", False),)))
    with pytest.raises(InvalidValueError, match=r"spec\.containers\[0\]\.image: .* there is no podman and no containerd"):
        _start(None)


def test_names_of_containers_fit_and_differ() -> None:
    names = [
        _start(Runtime.CONTAINERD, Container(f"{'a' * 62}{letter}", "containers[0]", image="i")).command.arguments[2] for letter in "bc"
    ]
    assert len(set(names)) == 2
    assert all(len(name) <= 76 for name in names)


def test_the_runtime_that_is_there_and_wanted_is_taken(tmp_path: Path) -> None:
    for name in ("podman", "ctr"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    socket = tmp_path / "socket"
    there = {"PATH": str(tmp_path), "CONTAINERD_ADDRESS": str(socket)}
    assert present_runtime({**there, "AKRI_CONTAINER_RUNTIME": "containerd"}) is None
    socket.touch()
    assert present_runtime(there) is Runtime.PODMAN
    assert present_runtime({**there, "AKRI_CONTAINER_RUNTIME": "containerd"}) is Runtime.CONTAINERD
    assert present_runtime({**there, "AKRI_CONTAINER_RUNTIME": "none"}) is None
    (tmp_path / "podman").unlink()
    assert present_runtime(there) is Runtime.CONTAINERD
    assert present_runtime({"PATH": ""}) is None

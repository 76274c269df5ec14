"""A corner of the machine for the real udev: namespaces in which it finds its own /run, /dev and rules, and the machine's devices."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, cast

__all__ = ["RULES", "UDEVD", "in_namespace", "prepare", "refused"]

RULES: Final = Path("/run/udev/rules.d")
UDEVD: Final = Path("/usr/lib/systemd/systemd-udevd")
_ROOT: Final = Path(__file__).parents[3]
# With processes of its own, so that all of them end with it, a udev daemon that a scene could not stop too.
_UNSHARE: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
_PACKAGED: Final = (Path("/usr/lib/udev/rules.d"), Path("/etc/udev/rules.d"))


def refused() -> str:
    """Say why the real udev cannot be asked here; "" if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the real udev needs Linux and root: namespaces and mounts"
    if shutil.which("udevadm") is None or not UDEVD.exists():
        return "the real udev is not installed: package udev (./dev test installs it)"
    if subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True, timeout=10).returncode:
        return "the real udev needs namespaces, which this root may not make (a container without privileges?)"
    return ""


def in_namespace(module: str, question: object, seconds: float, *, network: bool = True) -> dict[str, object]:
    """Run a module's main in namespaces of its own; the question goes in and the answer comes out as JSON.

    network: whether it has a network namespace of its own, too.
    """
    unshare = [part for part in _UNSHARE if network or part != "--net"]
    command = [*unshare, sys.executable, "-m", module]
    done = subprocess.run(command, cwd=_ROOT, input=json.dumps(question), capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, done.stderr[-4000:]
    return cast("dict[str, object]", json.loads(done.stdout.splitlines()[-1]))


def prepare(*, network: bool = True) -> None:
    """Give this process's mount namespace a /run and a /dev of its own, and no rules but those in RULES.

    network: whether the process has a network namespace of its own, which its sysfs then shows.
    """
    for folder in (Path("/run"), *_PACKAGED):
        if folder.is_dir():
            _mount("-t", "tmpfs", "akri-test", str(folder))
    RULES.mkdir(parents=True)
    nodes = Path("/run/nodes")
    nodes.mkdir()
    _mount("-t", "tmpfs", "akri-test", str(nodes))
    # A copy: udev makes and changes nodes and links.
    subprocess.run(["cp", "--archive", "--one-file-system", "/dev/.", str(nodes)], check=True, timeout=30)
    _mount("--move", str(nodes), "/dev")
    if network:
        _mount("-t", "sysfs", "akri-test", "/sys")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)

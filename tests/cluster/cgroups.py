"""The cgroups of a test cluster: one folder for each node, in every hierarchy of cgroup v1, or in the one of v2.

A kubelet removes pod cgroups below its root that it does not know: two on one machine need roots of their own.
Version 2 is written as the kernel documents it and has not been tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

__all__ = ["CGROUPS", "create", "hierarchies", "processes", "remove"]

CGROUPS = Path("/sys/fs/cgroup")
_NEEDED_V2 = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")  # a kubelet wants each that the machine has, but io


def hierarchies() -> list[Path]:
    """The roots below which each node has a folder."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted(folder for folder in CGROUPS.iterdir() if folder.is_dir() and not folder.is_symlink() and folder.name != "unified")


def create(name: str) -> None:
    """Make the folder `name` (with slashes: each level) in every hierarchy, ready to hold pods."""
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in Path(name).parts:
            folder /= part
            folder.mkdir(exist_ok=True)
            _prepare(folder)


def processes(name: str, *, first: bool = False) -> list[int]:
    """Ids of the processes in the folder `name` and below, in any hierarchy, or in the first (where all containers are)."""
    found: set[int] = set()
    for hierarchy in hierarchies()[: 1 if first else None]:
        for file in (hierarchy / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # it went away
                found.update(int(line) for line in file.read_text(encoding="ascii").split())
    return sorted(found - {0})


async def remove(name: str, *, seconds: float = 10.0) -> None:
    """Kill what is left in the folder `name` and remove it with all below; raises OSError if it is still in use after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        for pid in processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            for hierarchy in (*hierarchies(), CGROUPS / "unified"):  # runc makes its folders in that one too, where there is one
                _remove_folder(hierarchy / name)
        except OSError:
            if loop.time() >= end:
                raise
        else:
            return
        await asyncio.sleep(0.02)


def _prepare(folder: Path) -> None:
    """What a new folder lacks before processes may enter it: the processors on v1, the controllers on v2."""
    for file in ("cpuset.mems", "cpuset.cpus"):
        if (folder / file).exists() and (folder.parent / "cgroup.procs").exists() and (folder.parent / "cpuset.cpus").exists():
            (folder / file).write_text((folder.parent / file).read_text(encoding="ascii"), encoding="ascii")
    available = folder / "cgroup.controllers"
    if available.exists():
        for level in (folder.parent, folder):
            known = (level / "cgroup.controllers").read_text(encoding="ascii").split()
            wanted = " ".join(f"+{controller}" for controller in known if controller in _NEEDED_V2)
            (level / "cgroup.subtree_control").write_text(wanted, encoding="ascii")


def _remove_folder(folder: Path) -> None:
    if not folder.exists():
        return
    for path, _folders, _files in os.walk(folder, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            Path(path).rmdir()

"""The real state of a node's containers, read from the files that containerd's shims keep and from the kernel.

Neither kubelet nor containerd is asked: what is found here holds also while they are stopped, and for containers that they forgot.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from attrs import frozen

from tests.cluster import cgroups

__all__ = ["Container", "containers", "end_of", "parse_container"]

_TASKS = Path("containerd/io.containerd.runtime.v2.task/k8s.io")


@frozen
class Container:
    """A container that containerd has, living or not. `pid` is its first process as seen from this machine, None if it does not live."""

    id: str
    namespace: str
    pod: str
    pod_uid: str
    name: str
    pid: int | None

    @property
    def sandbox(self) -> bool:
        """Whether it is the one that holds the pod together."""
        return not self.name


def parse_container(identity: str, configuration: str, pid: int | None) -> Container:
    """A container from the `config.json` of its bundle. Raises ValueError or KeyError if it is none of the kubelet's."""
    notes: dict[str, str] = json.loads(configuration)["annotations"]
    return Container(
        identity,
        notes["io.kubernetes.cri.sandbox-namespace"],
        notes["io.kubernetes.cri.sandbox-name"],
        notes.get("io.kubernetes.cri.sandbox-uid", ""),
        notes.get("io.kubernetes.cri.container-name", ""),
        pid,
    )


def containers(run_folder: Path) -> list[Container]:
    """The containers of the node whose /run is `run_folder`, each at once whether it lives."""
    found: list[Container] = []
    folder = run_folder / _TASKS
    for bundle in sorted(folder.iterdir()) if folder.exists() else ():
        try:
            text = (bundle / "config.json").read_text(encoding="utf-8")
            inside = int((bundle / "init.pid").read_text(encoding="ascii"))
            group: str = json.loads(text)["linux"]["cgroupsPath"]
            found.append(parse_container(bundle.name, text, _outside(inside, cgroups.processes(group.lstrip("/"), first=True))))
        except (OSError, ValueError, KeyError):  # just being made, or just being removed
            continue
    return found


async def end_of(pid: int) -> tuple[float, float]:
    """Wait until a process ends; returns the time of it: of the clock (time.time) and steady (time.monotonic), both in seconds.

    The kernel tells, so the times are exact to about a millisecond while the loop is not busy. A process that has ended before
    counts as ending now.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[float, float]] = loop.create_future()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return time.time(), time.monotonic()

    def tell() -> None:
        loop.remove_reader(handle)
        if not ended.done():
            ended.set_result((time.time(), time.monotonic()))

    loop.add_reader(handle, tell)
    try:
        return await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _outside(inside: int, candidates: list[int]) -> int | None:
    """Which of the candidates has the id `inside` in the node's process namespace and lives."""
    for pid in candidates:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        # The ids of a process, from our own namespace inwards: the node's is the next one, the container's own comes last.
        chain = [int(number) for number in fields["NSpid"].split()]
        if len(chain) > 1 and chain[1] == inside and not fields["State"].startswith(("Z", "X")):
            return pid
    return None

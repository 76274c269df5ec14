"""Examines the machine: who may use the device nodes that were found, udev, container runtimes, and what a process may open."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from akri.agent.remembering import read_devices
from akri.cli.doctoring.findings import Finding, ok, problem, warning
from akri.cli.doctoring.users import User
from akri.core.errors import AkriError
from akri.platforms.local.folder import StateFolder

__all__ = ["examine_device_nodes", "examine_limits", "examine_runtimes", "examine_udev"]

_RUN_UDEV: Final = Path("/run/udev")
_FILES_OF_A_DEVICE: Final = 4
_FILES: Final = 4096
_MOST_SHOWN: Final = 10


def examine_device_nodes(folder: StateFolder, user: User) -> Iterator[Finding]:
    """Tell which device nodes of devices that were found this user may not open."""
    paths = sorted(set(_device_nodes(folder)))
    refused = [path for path in paths if path.exists() and not (user.may_read(path.stat()) and user.may_write(path.stat()))]
    for path in refused[:_MOST_SHOWN]:
        group = user.group_name(path.stat().st_gid)
        said = f"{user.name} may not open {path}, which belongs to group {group}"
        if group == "root":
            yield problem("device nodes", said, "give it a group with a udev rule: docs/service.md")
        else:
            yield problem("device nodes", said, f"usermod --append --groups {group} {user.name}, and start akri anew")
    if len(refused) > _MOST_SHOWN:
        yield problem("device nodes", f"{len(refused) - _MOST_SHOWN} more are closed to {user.name}", "as above")
    if not refused and user.id == 0:
        yield ok("device nodes", "root may open all of them")
    elif not refused:
        groups = ", ".join(sorted(user.group_name(group) for group in user.groups))
        yield ok("device nodes", f"{len(paths)} known, all open to {user.name} (groups {groups})")


def _device_nodes(folder: StateFolder) -> Iterator[Path]:
    for name, part in folder.nodes():
        try:
            remembered = read_devices(json.loads((part.agent / "devices.json").read_text(encoding="utf-8")), name)
        except (AkriError, OSError, ValueError):
            continue  # a damaged file is set aside by the agent, and told of as a leftover
        for one in remembered.values():
            for sighting in one.sightings:
                yield from (Path(node.host_path) for node in sighting.device.device_nodes)


def examine_udev(run: Path = _RUN_UDEV) -> Iterator[Finding]:
    """Tell where news of devices come from."""
    if (run / "control").exists():
        yield ok("udev", "udevd runs: rules may ask for what its database holds")
    elif run.is_dir():
        yield warning("udev", f"{run} is there, but udevd does not run", "start systemd-udevd, or mount the host's /run/udev")
    else:
        said = f"there is no {run}: devices are found by the kernel's own words, without udev's database"
        yield warning("udev", said, "in a container, mount the host's /run/udev; without udev, rules on ENV{...} and TAG match nothing")


def examine_runtimes(programs: Iterable[str] = ("ctr", "podman"), sockets: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Tell what can run brokers that name an image and no command."""
    found = [name for name in programs if shutil.which(name)]
    sockets = {"ctr": "/run/containerd/containerd.sock"} if sockets is None else sockets
    ready = [name for name in found if name not in sockets or Path(sockets[name]).exists()]
    if ready:
        yield ok("containers", f"images run with {ready[0]}")
    elif found:
        yield warning("containers", f"{found[0]} is there, but {sockets[found[0]]} is not", "start containerd, if brokers name images")
    else:
        yield warning(
            "containers", "there is neither containerd nor podman", "brokers need a command of this machine; for images install one of them"
        )


def examine_limits(limits: tuple[int, int] | None = None) -> Iterator[Finding]:
    """Tell for how many devices the open files of a process suffice."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE) if limits is None else limits
    if most != resource.RLIM_INFINITY and most < _FILES:
        said = f"a process may open {most} files, enough for about {most // _FILES_OF_A_DEVICE} devices"
        yield warning("open files", said, "raise it: LimitNOFILE= of the service, or ulimit -Hn")
    else:
        yield ok("open files", "enough for a thousand devices")

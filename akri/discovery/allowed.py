"""What an operator lets discovery handlers do on a node: a handler is other people's code, and what it names ends up in containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from akri.core.device import Device
from akri.core.errors import Problem, short
from akri.core.ids import HandlerName
from akri.discovery.snapshot import Snapshot

__all__ = ["USUAL", "Allowed", "name_refusal", "restricted"]


@frozen
class Allowed:
    """What handlers may do.

    names: which may register, None for any. mounts, device_nodes: folders of the host at or below which the paths must lie
    that they hand to brokers; ("/",) for any.
    """

    names: frozenset[HandlerName] | None = None
    mounts: tuple[str, ...] = ("/",)
    device_nodes: tuple[str, ...] = ("/dev",)


USUAL: Final = Allowed()
"""What holds if the operator says nothing: any handler, any mount, device nodes in /dev."""


def name_refusal(name: HandlerName, allowed: Allowed) -> str | None:
    """Say why a handler of this name may not register; None: it may."""
    if allowed.names is None or name in allowed.names:
        return None
    return f"discovery handler {short(name)} is not allowed on this node: expected one of {', '.join(sorted(allowed.names)) or 'none'}"


def restricted(snapshot: Snapshot, allowed: Allowed) -> Snapshot:
    """Take devices out of a Snapshot that name paths which are not allowed; each is a problem of it."""
    with_paths = (device for device in snapshot.devices if device.mounts or device.device_nodes)
    problems = [problem for device in with_paths for problem in _refusals(device, allowed)]
    if not problems:
        return snapshot
    devices = tuple(device for device in snapshot.devices if next(_refusals(device, allowed), None) is None)
    return evolve(snapshot, devices=devices, problems=(*snapshot.problems, *problems))


def _refusals(device: Device, allowed: Allowed) -> Iterator[Problem]:
    paths = [("mounts", index, mount.host_path, allowed.mounts) for index, mount in enumerate(device.mounts)]
    paths += [("deviceSpecs", index, node.host_path, allowed.device_nodes) for index, node in enumerate(device.device_nodes)]
    for kind, index, path, folders in paths:
        if not any(_within(path, folder) for folder in folders):
            place = f"device {short(device.id)}.{kind}[{index}].hostPath"
            yield Problem(place, f"{short(path)} is not allowed on this node: expected a path in {', '.join(folders) or 'no folder'}")


def _within(path: str, folder: str) -> bool:
    base = folder.rstrip("/")
    return path == base or path.startswith(f"{base}/")

"""Containers that name an image: which runtime of this machine runs them, and how it is asked to. The supervisor is the same.

podman is given everything that a container may ask for. containerd is asked through its `ctr`, which can less; what it cannot
is refused. Both run the container in the host's network, as processes are.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.core.device import Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.naming import fitted
from akri.platforms.local.host_processes import MARKER
from akri.platforms.local.pod_spec import Container
from akri.platforms.local.processes import Command

__all__ = ["RUNTIME_VARIABLE", "ImageStart", "Runtime", "image_start", "present_runtime"]

RUNTIME_VARIABLE: Final = "AKRI_CONTAINER_RUNTIME"
"""Environment variable that chooses: podman, containerd or none. Without it the first of them that is there."""
_SCRIPT: Final = Path(__file__).with_name("containerd.sh")
_DEFAULT_SOCKET: Final = "/run/containerd/containerd.sock"
_LONGEST_ID: Final = 76
_NAMESPACE: Final = "akri"


class Runtime(Enum):
    """What runs images."""

    PODMAN = "podman"
    CONTAINERD = "containerd"


@frozen
class ImageStart:
    """How a container is started from its image: the command, a file that it reads its environment from, and how to remove it.

    environment_file: empty where none is needed. removal: a script that ends and removes the container, however far it came.
    """

    command: Command
    removal: str
    environment_file: str = ""


def present_runtime(environment: Mapping[str, str]) -> Runtime | None:
    """Find the runtime of this machine that this user can use."""
    path = environment.get("PATH", os.defpath)
    socket = Path(environment.get("CONTAINERD_ADDRESS", _DEFAULT_SOCKET))
    usable = {
        Runtime.PODMAN.value: shutil.which("podman", path=path) is not None,
        Runtime.CONTAINERD.value: shutil.which("ctr", path=path) is not None and os.access(socket, os.R_OK | os.W_OK),
    }
    chosen = environment.get(RUNTIME_VARIABLE)
    return next((runtime for runtime in Runtime if usable[runtime.value] and chosen in {None, runtime.value}), None)


def image_start(
    runtime: Runtime | None,
    container: Container,
    edits: ContainerEdits,
    environment: Mapping[str, str],
    *,
    folder: Path,
    of_agent: Mapping[str, str],
) -> ImageStart:
    """Compose the start of a container. folder: its own; environment: what it gets; of_agent: this program's own.

    Raises InvalidValueError for what the runtime cannot do, and where there is none.
    """
    place = f"spec.{container.place}"
    if runtime is None:
        expected = "a `command` that is a program of this machine: there is no podman and no containerd here to run an image"
        raise InvalidValueError(f"{place}.image", container.image, expected)
    own = {name: value for name, value in of_agent.items() if name in {"PATH", "HOME", "XDG_RUNTIME_DIR"} or name.startswith("CONTAINER")}
    marked = {**environment, MARKER: str(folder)}
    identity = fitted(f"akri-{folder.parent.name}-{container.name}", _LONGEST_ID)
    if runtime is Runtime.PODMAN:
        return _podman(container, edits, marked, own, identity=identity)
    return _containerd(container, edits, marked, own, folder=folder, identity=identity)


def _podman(
    container: Container, edits: ContainerEdits, environment: Mapping[str, str], own: Mapping[str, str], *, identity: str
) -> ImageStart:
    pull = {"Always": "always", "Never": "never"}.get(container.pull, "missing")
    options = ["--rm", "--replace", "--name", identity, "--network", "host", "--pull", pull, "--log-driver", "none"]
    for name in sorted(environment):
        # Values come from podman's own environment: arguments can be seen by everybody. Its own variables have to be given like that.
        options += ["--env", f"{name}={environment[name]}" if name in own else name]
    options += [f"--device={node.host_path}:{node.container_path}:{node.permissions}" for node in edits.device_nodes]
    options += [f"--volume={one.host_path}:{one.container_path}{':ro' if one.read_only else ''}" for one in _mounts(container, edits)]
    if container.working_directory:
        options.append(f"--workdir={container.working_directory}")
    if container.entry:
        options.append(f"--entrypoint={json.dumps(container.entry)}")
    arguments = ("podman", "run", *options, container.image, *container.arguments)
    command = Command(f"spec.{container.place}.image", arguments, {**environment, **own})
    return ImageStart(command, _script(own, ("podman", "rm", "--force", "--time=0", "--ignore", identity)))


def _containerd(
    container: Container,
    edits: ContainerEdits,
    environment: Mapping[str, str],
    own: Mapping[str, str],
    *,
    folder: Path,
    identity: str,
) -> ImageStart:
    place = f"spec.{container.place}"
    if container.entry:
        expected = "no `command`: containerd's ctr cannot replace the image's entry point. Use `args`, or install podman"
        raise InvalidValueError(f"{place}.command", list(container.entry), expected)
    for name, value in environment.items():
        if "\n" in value:
            raise InvalidValueError(
                f"{place}.env", name, "variables without line breaks: containerd's ctr cannot pass them on. Install podman"
            )
    mounts = [*_mounts(container, edits)]
    # ctr makes a node under its own path alone; where it shall be elsewhere it is mounted there as well.
    mounts += [Mount(node.container_path, node.host_path) for node in edits.device_nodes if node.container_path != node.host_path]
    file = folder / "environment"
    options = ["--rm", "--net-host", "--env-file", str(file)]
    for node in edits.device_nodes:
        options += ["--device", node.host_path]
    for one in mounts:
        if "," in one.host_path + one.container_path:
            raise InvalidValueError(f"{place}.volumeMounts", one.host_path, "a path without commas, for containerd's ctr")
        access = "ro" if one.read_only else "rw"
        options += ["--mount", f"type=bind,src={one.host_path},dst={one.container_path},options=rbind:{access}"]
    if container.working_directory:
        options += ["--cwd", container.working_directory]
    own = {"CONTAINERD_NAMESPACE": _NAMESPACE, **own}
    head = ("/bin/sh", str(_SCRIPT), identity, container.image, container.pull)
    command = Command(f"{place}.image", (*head, *options, container.image, identity, *container.arguments), own)
    text = "".join(f"{name}={value}\n" for name, value in sorted(environment.items()))
    return ImageStart(command, _script(own, ("/bin/sh", str(_SCRIPT), "remove", identity)), text)


def _mounts(container: Container, edits: ContainerEdits) -> tuple[Mount, ...]:
    return (*edits.mounts, *(Mount(path, path, read_only) for path, read_only in container.mounts))


def _script(environment: Mapping[str, str], arguments: tuple[str, ...]) -> str:
    assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items()))
    return f"{assignments} exec {shlex.join(arguments)}\n"

"""How a container is started: as a process of this machine, or by a container runtime from its image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.platforms.local.pod_spec import Container, expanded
from akri.platforms.local.processes import Command
from akri.platforms.local.runtimes import ImageStart, image_start, present_runtime

__all__ = ["container_start"]


def container_start(
    container: Container, edits: ContainerEdits, *, folder: Path, of_agent: Mapping[str, str], tell: Callable[[str], None]
) -> ImageStart:
    """Compose a start. A `command` that is a program of this machine is run as a process, whatever the image; else the image is.

    folder: the container's own. of_agent: this program's environment; processes get its PATH. tell: is told what cannot be had.
    Raises InvalidValueError where it cannot be started.
    """
    command = _process(container, edits, of_agent.get("PATH", ""))
    try:
        command.check()
    except InvalidValueError:
        if not container.image:
            raise
    else:
        _tell_limits(container, edits, tell)
        return ImageStart(command, "")
    environment = {**edits.environment, **container.environment}
    whole = evolve(
        container,
        entry=tuple(expanded(text, environment) for text in container.entry),
        arguments=tuple(expanded(text, environment) for text in container.arguments),
    )
    return image_start(present_runtime(of_agent), whole, edits, environment, folder=folder, of_agent=of_agent)


def _process(container: Container, edits: ContainerEdits, path: str) -> Command:
    environment = {"PATH": path, **edits.environment, **container.environment}
    # Without a command the arguments belong to the image's.
    words = container.command if container.entry or not container.image else ()
    arguments = tuple(expanded(text, environment) for text in words)
    return Command(f"spec.{container.place}.command", arguments, environment, container.working_directory)


def _tell_limits(container: Container, edits: ContainerEdits, tell: Callable[[str], None]) -> None:
    if container.image:
        tell(f"image {container.image} of container {container.name} is not used: {container.entry[0]} is a program of this machine")
    paths: tuple[Mount | DeviceNode, ...] = (*edits.mounts, *edits.device_nodes)
    for path in paths:
        if path.container_path != path.host_path:
            what = f"{path.host_path} cannot appear as {path.container_path} for container {container.name}"
            tell(f"{what}: a process sees the paths of the host")

"""What a container gets with its devices. The only place where a broker's environment, mounts and device nodes are composed."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from akri.core.device import DeviceNode, Mount, frozen_mapping

__all__ = ["ContainerEdits"]


@frozen
class ContainerEdits:
    """Environment variables, mounts and device nodes for one container."""

    environment: Mapping[str, str] = field(factory=dict, converter=frozen_mapping, hash=False)
    mounts: tuple[Mount, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()

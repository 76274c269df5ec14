"""What `akri up` can be told, and sensible values for what it is not told."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from akri.core.ids import HandlerName, NodeName
from akri.core.naming import node_name_of
from akri.discovery.embedded import HandlerFactory

__all__ = ["Settings", "default_node"]


def default_node() -> NodeName:
    """Return the name of this machine as a node."""
    return node_name_of(socket.gethostname())


@frozen
class Settings:
    """Settings of one machine.

    folder: for sockets, and for logs of brokers under `logs`; short, because a unix socket's path holds 107 bytes.
    handlers: discovery handlers that run inside the process.
    """

    folder: Path
    node: NodeName = field(factory=default_node)
    handlers: Mapping[HandlerName, HandlerFactory] = field(factory=dict[HandlerName, HandlerFactory], hash=False)

    @property
    def plugins(self) -> Path:
        """Where device plugins have their sockets."""
        return self.folder / "plugins"

    @property
    def pod_resources(self) -> Path:
        """Socket of PodResources."""
        return self.folder / "pod-resources.sock"

    @property
    def discovery_handlers(self) -> Path:
        """Where discovery handlers in processes of their own register: their DISCOVERY_HANDLERS_DIRECTORY."""
        return self.folder / "handlers"

    @property
    def logs(self) -> Path:
        """Where the output of brokers goes."""
        return self.folder / "logs"

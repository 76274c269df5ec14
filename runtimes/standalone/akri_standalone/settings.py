"""What a node of this machine can be told, and sensible values for what it is not told."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from attrs import field, frozen

from akri.core.ids import HandlerName, NodeName
from akri.core.naming import node_name_of
from akri.discovery.embedded import HandlerFactory
from akri.platforms.local.folder import NodeFolder, StateFolder

__all__ = ["Settings", "default_node"]


def default_node() -> NodeName:
    """Return the name of this machine as a node."""
    return node_name_of(socket.gethostname())


@frozen
class Settings:
    """Settings of one node.

    state: the folder that it shares with other nodes of this machine. handlers: discovery handlers that run inside the process.
    controlling: this process runs the controller as well, of which there is one for each state folder. sockets: the agent's devices
    reach the device manager through sockets, as they reach a kubelet; for trials and measurements of just that.
    """

    state: StateFolder
    node: NodeName = field(factory=default_node)
    handlers: Mapping[HandlerName, HandlerFactory] = field(factory=dict[HandlerName, HandlerFactory], hash=False)
    controlling: bool = True
    sockets: bool = False

    @property
    def folder(self) -> NodeFolder:
        """What is this node's in the state folder. Raises InvalidValueError for a node name that is no file name."""
        return self.state.node(self.node)

"""Says which nodes are ready: those whose process holds the node's lock. What heartbeats are to a cluster, locks are to one machine.

The process with the controller looks once a second. A node's process may die in any way and at any moment, and its lock is free with it.
"""

from __future__ import annotations

import logging
from typing import Final

from attrs import define

from akri.core.errors import AkriError
from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import holder
from akri.platforms.local.store import LocalStore
from akri.ports import Clock

__all__ = ["Readiness"]

_INTERVAL: Final = 1.0
_logger = logging.getLogger(__name__)


@define(eq=False)
class Readiness:
    """Keeps what the store says of nodes in line with their locks. `run` until cancelled."""

    store: LocalStore
    folder: StateFolder
    clock: Clock

    async def run(self) -> None:
        """Look once a second. What cannot be stored now is tried again with the next look."""
        while True:
            for node in self.store.nodes:
                ready = self._is_held(node.name)
                if ready != node.ready:
                    _logger.info("node %s is %s", node.name, "ready" if ready else "not ready: its process ended")
                    await self._say(node.name, ready=ready)
            await self.clock.sleep(_INTERVAL)

    def _is_held(self, name: NodeName) -> bool:
        try:
            return holder(self.folder.node(name).lock) is not None
        except (AkriError, OSError) as error:
            _logger.warning("the lock of a node cannot be looked at, so it counts as not ready node=%s error=%s", name, error)
            return False

    async def _say(self, name: NodeName, *, ready: bool) -> None:
        try:
            await self.store.set_node_ready(name, ready=ready)
        except AkriError as error:
            _logger.warning("it is not stored whether a node is ready node=%s error=%s", name, error)

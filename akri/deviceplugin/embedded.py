"""Device plugins of the very process that the device manager runs in: offered to it and asked by it without sockets.

What agent and manager see of each other is the same as over gRPC; a thousand resources cost two dictionaries instead of a thousand
servers. Plugins of other programs register at kubelet.sock as ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.plugin import Allocate
from akri.deviceplugin.wire import DeviceIds

__all__ = ["EmbeddedPlugins"]

_LOG: Final = logging.getLogger(__name__)


class EmbeddedPlugins:
    """Offers resources to the device manager of this process.

    allocate: claims devices, see Allocate. answered: told when the manager has an answer, and also when nobody waits for it any
    more: then what `allocate` claimed stays claimed, for nobody. Must not block.
    """

    def __init__(self, manager: DeviceManager, allocate: Allocate, answered: Callable[[ResourceName, DeviceIds], None]) -> None:
        """Take the manager; nothing is offered yet."""
        self._manager = manager
        self._allocate = allocate
        self._answered = answered
        self._offered: set[ResourceName] = set()
        self._work: set[asyncio.Task[ContainerEdits]] = set()

    @property
    def streaming(self) -> frozenset[ResourceName]:
        """The resources that the manager knows at this moment."""
        return frozenset(self._offered)

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool = False) -> None:
        """Set the whole device list of a resource, true for a healthy device; `in_use` makes no difference."""
        del in_use
        if resource not in self._offered:
            self._offered.add(resource)
            self._manager.embed(resource, self._claim)
        self._manager.listed(resource, devices)

    def withdraw(self, resource: ResourceName) -> None:
        """Stop offering a resource. Nothing happens if it is not offered."""
        if resource in self._offered:
            self._offered.discard(resource)
            self._manager.listed(resource, {})
            self._manager.remove_embedded(resource)

    async def run(self) -> None:
        """Stay until cancelled; claims that are being written come to their end, for one that is cut off leaves doubt."""
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _claim(self, resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
        work = asyncio.ensure_future(self._allocate(resource, ids))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        try:
            edits = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(lambda done: self._lost(resource, ids, done))
            raise
        self._answered(resource, ids)
        return edits

    def _lost(self, resource: ResourceName, ids: DeviceIds, work: asyncio.Task[ContainerEdits]) -> None:
        if not work.cancelled() and (error := work.exception()) is not None:
            _LOG.warning("allocation failed after nobody waited for it any more resource=%s error=%s", resource, error)
        self._answered(resource, ids)

"""Our own device manager as the kubelet of the behaviour tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from akri.core.errors import RemoteCallError
from akri.deviceplugin.devices import PodRequest
from akri.testing.kubelet import FakeKubelet
from tests.integration.deviceplugin.agent import until
from tests.integration.deviceplugin.driver import Driver, Habits

__all__ = ["ManagerDriver"]

_START_BACK_OFF = 0.05


class ManagerDriver(Driver):
    """Drives a FakeKubelet. It has no containers: one that runs is one that it started and did not end."""

    _HABITS: Final = Habits(
        older_end_cuts_newer=False,
        older_list_counts=False,
        endpoint_elsewhere=False,
        any_permissions=False,
        empty_answer_leaks=False,
    )

    def __init__(self, kubelet: FakeKubelet) -> None:
        self.kubelet = kubelet
        self._running: dict[str, PodRequest] = {}

    @property
    def habits(self) -> Habits:
        return self._HABITS

    @property
    def plugins(self) -> Path:
        return self.kubelet.plugins

    @property
    def outside(self) -> Path:
        return self.plugins.parent

    @property
    def pod_resources_socket(self) -> Path:
        return self.kubelet.pod_resources_socket

    async def run(self, request: PodRequest) -> Mapping[str, Mapping[str, str]]:
        edits = await self.kubelet.run(request)
        self._running[request.uid] = request
        for container in request.in_order:
            await self._start(request, container.name)
        return {container: edits.environment for container, edits in edits.items()}

    async def _start(self, request: PodRequest, container: str) -> None:
        """Start a container as a kubelet does: after an error of a plugin again and again."""
        while True:
            try:
                return await self.kubelet.manager.pre_start(request.uid, container)
            except RemoteCallError:
                await asyncio.sleep(_START_BACK_OFF)

    async def start_again(self, request: PodRequest, container: str) -> Mapping[str, str]:
        await self._start(request, container)
        return self.kubelet.manager.edits(request.uid, container).environment

    async def end(self, request: PodRequest) -> None:
        del self._running[request.uid]
        self.kubelet.end(request)

    async def delete_by_force(self, request: PodRequest) -> None:
        await self.end(request)

    async def ended_by_restart(self, request: PodRequest) -> None:
        await until(lambda: not self.runs(request))
        del self._running[request.uid]

    def runs(self, request: PodRequest) -> bool:
        return request.uid in self._running and all(refused != request for refused, _ in self.kubelet.rejected)

    async def shows(self, resource: str, *, capacity: int, allocatable: int) -> None:
        await self.kubelet.shows(resource, capacity=capacity, allocatable=allocatable)

    async def stop(self) -> None:
        await self.kubelet.manager.stop()

    async def start(self) -> None:
        await self.kubelet.manager.start(tuple(self._running.values()))

    async def restart(self) -> None:
        await self.stop()
        await self.start()

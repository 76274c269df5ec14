"""What the behaviour tests need of a kubelet, so that they can run unchanged against a real one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from akri.deviceplugin.devices import PodRequest
from akri.testing.kubelet import FakeKubelet

__all__ = ["Driver", "FakeDriver"]


class Driver(Protocol):
    """A kubelet with its node: pods go in, and what became of them comes out."""

    @property
    def plugins(self) -> Path:
        """The device plugin directory."""
        ...

    @property
    def pod_resources_socket(self) -> Path:
        """The PodResources socket."""
        ...

    async def run(self, request: PodRequest) -> Mapping[str, Mapping[str, str]]:
        """Start a pod; answer the environment that each container got from its devices. Raises AdmissionError with the kubelet's text."""
        ...

    async def end(self, request: PodRequest) -> None:
        """Let a pod end, and wait until it has."""
        ...

    async def shows(self, resource: str, *, capacity: int, allocatable: int) -> None:
        """Wait until the Node object shows a resource like this; raises TimeoutError if that does not come."""
        ...

    async def restart(self) -> None:
        """Restart the kubelet; its pods go on."""
        ...


class FakeDriver:
    """Our own device manager."""

    def __init__(self, kubelet: FakeKubelet) -> None:
        self.kubelet = kubelet

    @property
    def plugins(self) -> Path:
        return self.kubelet.plugins

    @property
    def pod_resources_socket(self) -> Path:
        return self.kubelet.pod_resources_socket

    async def run(self, request: PodRequest) -> Mapping[str, Mapping[str, str]]:
        return {container: edits.environment for container, edits in (await self.kubelet.run(request)).items()}

    async def end(self, request: PodRequest) -> None:
        self.kubelet.end(request)

    async def shows(self, resource: str, *, capacity: int, allocatable: int) -> None:
        await self.kubelet.shows(resource, capacity=capacity, allocatable=allocatable)

    async def restart(self) -> None:
        await self.kubelet.manager.restart()

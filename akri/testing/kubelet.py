"""A kubelet for tests of device plugins, ours and other people's: the device manager in a folder of its own, with short cuts.

Real unix sockets and the real wire format; a plugin cannot tell it from a kubelet. Faults are ordered through `faults`.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError
from akri.core.ids import ObjectKey, ResourceName
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.deviceplugin.faults import Faults
from akri.deviceplugin.manager import DeviceManager
from akri.ports import Clock

__all__ = ["FakeKubelet", "pod"]

_PATIENCE: Final = 10.0


def pod(
    name: str,
    containers: Mapping[str, Mapping[str, int]],
    *,
    init: Mapping[str, Mapping[str, int]] | None = None,
    sidecars: Mapping[str, Mapping[str, int]] | None = None,
    uid: str = "",
) -> PodRequest:
    """Describe a pod in namespace `default`: for each container, resources and how many of each. Its uid is its name if not given."""

    def requests(part: Mapping[str, Mapping[str, int]] | None, *, sidecar: bool = False) -> tuple[ContainerRequest, ...]:
        return tuple(
            ContainerRequest(container, {ResourceName(resource): count for resource, count in wanted.items()}, sidecar)
            for container, wanted in (part or {}).items()
        )

    return PodRequest(ObjectKey("default", name), uid or name, requests(containers), requests(init) + requests(sidecars, sidecar=True))


class FakeKubelet:
    """A kubelet without containers. Use it with `async with`; its folder is deleted at the end."""

    def __init__(self, *, clock: Clock | None = None, faults: Faults | None = None) -> None:
        """Make the folder; nothing is served before `async with` is entered."""
        # Not pytest's tmp_path: a unix socket's path holds 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="akri-"))
        self.clock: Final[Clock] = SystemClock() if clock is None else clock
        self.faults: Final = Faults() if faults is None else faults
        self.rejected: Final[list[tuple[PodRequest, AdmissionError]]] = []
        self.manager: Final = DeviceManager(
            self.plugins,
            self.pod_resources_socket,
            clock=self.clock,
            faults=self.faults,
            rejected=lambda refused, error: self.rejected.append((refused, error)),
        )

    @property
    def plugins(self) -> Path:
        """The directory where plugins put their sockets; `kubelet.sock` is in it."""
        return self._folder / "device-plugins"

    @property
    def pod_resources_socket(self) -> Path:
        """The PodResources socket."""
        return self._folder / "pod-resources.sock"

    async def __aenter__(self) -> Self:
        """Start."""
        await self.manager.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and delete the folder."""
        await self.manager.__aexit__()
        shutil.rmtree(self._folder)

    async def run(self, request: PodRequest) -> Mapping[str, ContainerEdits]:
        """Start a pod; answer what each container gets. Raises AdmissionError."""
        return await self.manager.admit(request)

    def end(self, request: PodRequest) -> None:
        """End a pod."""
        self.manager.pod_ended(request.uid)

    async def shows(self, resource: str, *, capacity: int, allocatable: int, within: float = _PATIENCE) -> None:
        """Wait until the node shows a resource like this; raises TimeoutError after `within` seconds."""
        name = ResourceName(resource)

        def reached() -> bool:
            shown = self.manager.resources.get(name)
            return shown is not None and (shown.capacity, shown.allocatable) == (capacity, allocatable)

        async with asyncio.timeout(within):
            await self.manager.until(reached)

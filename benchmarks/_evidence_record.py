"""Records on a real node, side by side: what an agent can observe of its pods, and when their containers really lived.

Observed are Allocate calls, PodResources Lists at about 50 Hz, the pod watch of the Kubernetes platform and starts of the kubelet.
Real are the first processes of the containers: the kernel tells when they end.
"""

from __future__ import annotations

import asyncio
import copyreg
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import define, field

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.errors import AkriError
from akri.core.evidence import Id
from akri.core.ids import NodeName, PluginDeviceId, ResourceName
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.wire import DeviceIds
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.login import ssl_context
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from benchmarks._evidence_replay import Allocating, Answered, Entry, KubeletStarted, Listed, Watched
from tests.cluster.cluster import Cluster
from tests.cluster.containers import Container, end_of
from tests.cluster.nodes import Node
from tests.cluster.processes import eventually

__all__ = ["RESOURCE", "VARIABLE", "Life", "Recording", "recording"]

RESOURCE: Final = ResourceName("akri.sh/evidence")
VARIABLE: Final = "EVIDENCE_ID"
"""Tells a container which device it has."""
MARK: Final = "EVIDENCE"
"""Set in every container of the pods that are watched."""
_LIST_PERIOD: Final = 0.02
_LOOK_PERIOD: Final = 0.1
_CLOCK: Final = SystemClock()


def _view(content: dict[object, object]) -> MappingProxyType[object, object]:
    return MappingProxyType(content)


# Recordings are kept as pickles, and values of akri hold such views.
copyreg.pickle(MappingProxyType, lambda view: (_view, (dict(view),)))


@define
class Life:
    """A container: the device it was told, when it was first seen, and when its first process ended."""

    pod_uid: str
    pod: str
    name: str
    device: str
    seen: float
    end: float | None = None


@define
class Recording:
    """Everything that was seen, in the order of the times."""

    entries: list[Entry] = field(factory=list[Entry])
    lives: list[Life] = field(factory=list[Life])
    lists_failed: int = 0


class _Recorder:
    def __init__(self, node: Node, platform: KubernetesNodePlatform) -> None:
        self.node = node
        self.platform = platform
        self.recording = Recording()
        self._followed: set[int] = set()
        self._unknown: dict[int, float] = {}
        self.host = PluginHost(
            node.plugins, self._allocate, clock=_CLOCK, answered=self._answered, kubelet_started=self._add_start, failed=self._failed
        )

    async def offers(self) -> bool:
        """Whether a kubelet watches the devices."""
        return RESOURCE in self.host.streaming

    def _add_start(self, at: float) -> None:
        self.recording.entries.append(KubeletStarted(at))

    async def _allocate(self, resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
        self.recording.entries.append(Allocating(_CLOCK.now(), _ids(resource, ids)))
        return ContainerEdits({VARIABLE: ids[0]})

    def _answered(self, resource: ResourceName, ids: DeviceIds, at: float) -> None:
        self.recording.entries.append(Answered(at, _ids(resource, ids)))

    def _failed(self, resource: ResourceName, ids: DeviceIds) -> None:
        self.recording.entries.append(Answered(_CLOCK.now(), _ids(resource, ids)))

    async def list_pods(self) -> None:
        """Ask for a List 50 times a second. While there is no kubelet, nothing is recorded."""
        client = PodResourcesClient(self.node.pod_resources_socket, _CLOCK)
        while True:
            begun = _CLOCK.now()
            try:
                async with asyncio.timeout(2.0):  # not wait_for, which in Python 3.11 may swallow the end of this task
                    listing = await client.list()
                self.recording.entries.append(Listed(_CLOCK.now(), listing))
            except (AkriError, OSError, TimeoutError):
                self.recording.lists_failed += 1
            await asyncio.sleep(max(0.001, begun + _LIST_PERIOD - _CLOCK.now()))

    async def watch_pods(self) -> None:
        """Follow the platform's pod watch."""
        async for event in self.platform.watch_pods():
            self.recording.entries.append(Watched(_CLOCK.now(), event))

    async def follow_containers(self) -> None:
        """Find new containers, and wait for the end of each."""
        async with asyncio.TaskGroup() as group:
            while True:
                for container in self.node.containers():
                    if container.pid is not None and container.pid not in self._followed and not container.sandbox:
                        self._look(group, container, container.pid)
                await asyncio.sleep(_LOOK_PERIOD)

    def _look(self, group: asyncio.TaskGroup, container: Container, pid: int) -> None:
        # While runc prepares the container the process still has another environment.
        seen = self._unknown.setdefault(pid, _CLOCK.now())
        environment = _environment(pid)
        if MARK not in environment:
            return
        self._followed.add(pid)
        life = Life(container.pod_uid, container.pod, container.name, environment.get(VARIABLE, ""), seen)
        self.recording.lives.append(life)
        group.create_task(_follow(life, pid))


async def _follow(life: Life, pid: int) -> None:
    _, life.end = await end_of(pid)


def _environment(pid: int) -> dict[str, str]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace").split("\0")
        return {name: value for name, _, value in (line.partition("=") for line in lines)}
    return {}


def _ids(resource: ResourceName, ids: DeviceIds) -> tuple[Id, ...]:
    return tuple((resource, device) for device in ids)


@asynccontextmanager
async def recording(cluster: Cluster, node: Node, devices: int) -> AsyncGenerator[Recording]:
    """Offer so many devices on a node, and record until the end of the block."""
    server = cluster.api_server
    connection = Connection(server.url, ssl_context(server.ca_file), lambda: server.admin_token)
    async with ApiClient(connection, _CLOCK) as client:
        recorder = _Recorder(node, KubernetesNodePlatform(client, NodeName(node.name), _CLOCK))
        recorder.host.offer(RESOURCE, {PluginDeviceId(f"device-{number}"): True for number in range(devices)}, in_use=True)
        works = (recorder.host.run(), recorder.list_pods(), recorder.watch_pods(), recorder.follow_containers())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await eventually(recorder.offers, seconds=30, what="a kubelet that watches the devices")
            await asyncio.sleep(0.5)  # until it has taken in the list
            yield recorder.recording
        finally:
            await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome

"""A plugin host that writes down what it is asked and told, and a plugin that is written straight against the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.host import KUBELET_SOCKET, PluginHost
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.transport import connect, serve
from akri.deviceplugin.wire import DeviceIds
from akri.rpc import call, stream_method, unary_method

if TYPE_CHECKING:
    from grpc import aio

    from akri.deviceplugin.plugin import Prefer
    from akri.rpc import Context
    from tests.integration.deviceplugin.driver import Driver

__all__ = ["ALL_OPTIONS", "Agent", "RawPlugin", "answer", "devices", "listed", "register", "until", "until_listed"]

ALL_OPTIONS = wire.write_options(wire.Options(pre_start_required=True, preferred_allocation=True))
_PATIENCE = 30.0
_REGISTER_PATIENCE = 20.0  # a kubelet takes 10 s to find that nobody serves


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(_PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def devices(*healthy: str, unhealthy: Sequence[str] = ()) -> dict[PluginDeviceId, bool]:
    return {PluginDeviceId(name): name not in unhealthy for name in (*healthy, *unhealthy)}


async def listed(kubelet: Driver) -> dict[str, dict[str, str]]:
    """Ask for a List: for each resource the name of the pod that uses each device."""
    listing = await PodResourcesClient(kubelet.pod_resources_socket, SystemClock()).list()
    return {resource: {device: key.name for device, key in users.items()} for resource, users in listing.users.items()}


async def until_listed(kubelet: Driver, resource: str, pods: Sequence[str]) -> None:
    """Wait until a List shows these pods as the users of a resource: right after its start a kubelet does not know all of its pods."""
    async with asyncio.timeout(_PATIENCE):
        while sorted((await listed(kubelet)).get(resource, {}).values()) != sorted(pods):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)


def answer(**environment: str) -> bytes:
    """Write the answer to an Allocate."""
    return wire.write_allocate_response([ContainerEdits(environment)])


def _one_variable(_resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
    return ContainerEdits({f"DEVICE_{device.upper().replace('-', '_')}": device for device in ids})


class Agent:
    """A plugin host in a task of its own. `answer` may be replaced; while `gate` is cleared, claims do not end."""

    def __init__(self, directory: Path, *, prefer: Prefer | None = None) -> None:
        self.allocated: list[tuple[str, DeviceIds]] = []
        self.claimed: list[DeviceIds] = []
        self.answered: list[tuple[str, DeviceIds]] = []
        self.failed: list[tuple[str, DeviceIds]] = []
        self.kubelet_starts: list[float] = []
        self.answer: Callable[[ResourceName, DeviceIds], ContainerEdits] = _one_variable
        self.gate = asyncio.Event()
        self.gate.set()
        self.host = PluginHost(
            directory,
            self._allocate,
            clock=SystemClock(),
            prefer=prefer,
            answered=lambda resource, ids, _at: self.answered.append((resource, ids)),
            failed=lambda resource, ids: self.failed.append((resource, ids)),
            kubelet_started=self.kubelet_starts.append,
        )
        self._task: asyncio.Task[None] | None = None

    async def _allocate(self, resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
        self.allocated.append((resource, ids))
        await self.gate.wait()
        self.claimed.append(ids)
        return self.answer(resource, ids)

    def offer(self, resource: str, listed: Mapping[PluginDeviceId, bool], *, in_use: bool = False) -> None:
        self.host.offer(ResourceName(resource), listed, in_use=in_use)

    def withdraw(self, resource: str) -> None:
        self.host.withdraw(ResourceName(resource))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.host.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        assert self._task.cancelled()


class RawPlugin:
    """A plugin that answers what a test tells it, however wrong. Answers are bytes or errors to raise.

    While `gate` is cleared it does not answer the question for its options, while `allocate_gate` is, no Allocate.
    `pre_start` is answered to the first `refused_starts` announcements only, if that is not None.
    """

    def __init__(self, directory: Path, name: str = "raw.sock") -> None:
        self.directory = directory
        self.name = name
        self.options: bytes | Exception = wire.EMPTY
        self.asked_options = 0
        self.gate = _open_gate()
        self.lists: list[bytes] = []
        self.end_stream = False
        self.allocate: bytes | Exception = wire.EMPTY
        self.allocate_gate = _open_gate()
        self.allocating = asyncio.Event()
        self.allocations = 0
        self.preferred: bytes | Exception = wire.EMPTY
        self.pre_start: bytes | Exception = wire.EMPTY
        self.refused_starts: int | None = None
        self.pre_started: list[DeviceIds] = []
        self.streams = 0
        self._open: list[Context] = []
        self._server: aio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self.directory / self.name,
            {
                wire.OPTIONS: unary_method(self._options),
                wire.LIST_AND_WATCH: stream_method(self._stream),
                wire.ALLOCATE: unary_method(self._allocate),
                wire.PREFERRED: unary_method(self._preferred),
                wire.PRE_START: unary_method(self._pre_start),
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.stop(None)

    async def send(self, data: bytes) -> None:
        """Send one more list on the newest stream."""
        await self._open[-1].write(data)

    async def _options(self, _request: bytes, _context: Context) -> bytes:
        self.asked_options += 1
        await self.gate.wait()
        return _given(self.options)

    async def _stream(self, _request: bytes, context: Context) -> None:
        self.streams += 1
        for data in self.lists:
            await context.write(data)
        self._open.append(context)
        if not self.end_stream:
            await asyncio.Event().wait()

    async def _allocate(self, _request: bytes, _context: Context) -> bytes:
        self.allocations += 1
        self.allocating.set()
        await self.allocate_gate.wait()
        return _given(self.allocate)

    async def _preferred(self, _request: bytes, _context: Context) -> bytes:
        return _given(self.preferred)

    async def _pre_start(self, request: bytes, _context: Context) -> bytes:
        self.pre_started.append(wire.read_pre_start_request(request))
        refused = self.refused_starts is None or len(self.pre_started) <= self.refused_starts
        return _given(self.pre_start) if refused else wire.EMPTY

    async def register(self, resource: str = "example.com/raw", *, version: str = wire.VERSION, endpoint: str | None = None) -> None:
        """Register with the kubelet; raises RemoteCallError with its answer."""
        name = self.name if endpoint is None else endpoint
        await register(self.directory, wire.write_registration(wire.Registration(version, name, ResourceName(resource))))


async def register(directory: Path, request: bytes) -> None:
    channel = connect(directory / KUBELET_SOCKET)
    try:
        await call(channel, wire.REGISTER, request, seconds=_REGISTER_PATIENCE)
    finally:
        await channel.close()


def _given(answer: bytes | Exception) -> bytes:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate

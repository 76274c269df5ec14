"""One resource of the plugin side: its device list, and the server that a kubelet talks to.

Each registration gets a fresh server on a fresh socket. So a lost stream, wiped sockets and a new kubelet are one case, and an
old stream is always closed before the next Register, as kubelets up to 1.36 need it (kubernetes/kubernetes 121994).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import field, frozen

from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.transport import serve, when_done
from akri.deviceplugin.wire import DeviceIds
from akri.rpc import stream_method, unary_method

if TYPE_CHECKING:
    from grpc import aio

    from akri.rpc import Context

__all__ = ["SOCKETS", "Allocate", "Handlers", "Plugin", "Prefer", "socket_name"]

Allocate: TypeAlias = Callable[[ResourceName, DeviceIds], Awaitable[ContainerEdits]]
"""Claims the devices and answers with what their container gets. An AkriError refuses the pod with its sentence."""
Prefer: TypeAlias = Callable[[ResourceName, DeviceIds, DeviceIds, int], Sequence[PluginDeviceId]]
"""Of (resource, available, must include, size), chooses the devices that the kubelet should take; fewer leaves the rest to it."""

SOCKETS: Final = "akri-????????-????????.sock"
"""Pattern of the names of all our sockets."""

_LOG: Final = logging.getLogger(__name__)


@frozen
class Handlers:
    """What a plugin asks and tells its owner. `own` keeps a task alive and ends it with the host."""

    allocate: Allocate
    prefer: Prefer | None
    answered: Callable[[ResourceName, DeviceIds], None]
    failed: Callable[[ResourceName, DeviceIds], None]
    stream_changed: Callable[[Plugin], None]
    own: Callable[[Awaitable[tuple[ContainerEdits, ...]]], asyncio.Task[tuple[ContainerEdits, ...]]]


def socket_name(resource: ResourceName, token: int) -> str:
    """Name a plugin's socket: short whatever the resource's name, and never used twice (`token`)."""
    return f"akri-{blake2b(resource.encode(), digest_size=4).hexdigest()}-{token:08x}.sock"


@frozen(eq=False)
class _Served:
    """One server on one socket; `streams` are the open ListAndWatch calls."""

    path: Path
    streams: set[object] = field(factory=set[object])


class Plugin:
    """One resource: what it offers, and its present server."""

    def __init__(self, resource: ResourceName, directory: Path, handlers: Handlers) -> None:
        """Offer nothing yet, and serve nothing."""
        self.resource: Final = resource
        self.devices: Mapping[PluginDeviceId, bool] = {}
        self.in_use = False
        self.withdrawn = False
        self.wake: Final = asyncio.Event()
        self.retry_at = 0.0
        self._directory = directory
        self._handlers = handlers
        self._changed = asyncio.Event()
        self._served: _Served | None = None
        self._server: aio.Server | None = None

    @property
    def streaming(self) -> bool:
        """Whether a kubelet watches the device list."""
        return self._served is not None and bool(self._served.streams)

    def update(self, devices: Mapping[PluginDeviceId, bool]) -> None:
        """Set the whole list; it is sent if it differs from the former one."""
        if dict(devices) != self.devices:
            self.devices = dict(devices)
            self._pulse()

    def withdraw(self) -> None:
        """Send an empty list, so that the kubelet counts the resource as 0 at once, and end the stream after it."""
        self.withdrawn = True
        self.devices = {}
        self._pulse()
        self.wake.set()

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def open(self, token: int) -> str:
        """Serve on a fresh socket in place of the former one; answer its file name."""
        await self.close()
        served = _Served(self._directory / socket_name(self.resource, token))
        self._served = served

        async def send(_request: bytes, context: Context) -> None:
            await self._stream(served, context)

        methods = {
            wire.OPTIONS: unary_method(self._options),
            wire.LIST_AND_WATCH: stream_method(send),
            wire.ALLOCATE: unary_method(self._allocate),
            wire.PREFERRED: unary_method(self._preferred),
            wire.PRE_START: unary_method(self._pre_start),
        }
        self._server = await serve(served.path, methods)
        return served.path.name

    async def close(self, grace: float | None = None) -> None:
        """Stop the present server; calls under way get `grace` seconds to end. The socket file goes with it."""
        self._served = None
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace)

    async def _options(self, _request: bytes, _context: Context) -> bytes:
        return wire.write_options(wire.Options(preferred_allocation=self._handlers.prefer is not None))

    async def _stream(self, served: _Served, context: Context) -> None:
        stream = object()
        served.streams.add(stream)
        self._handlers.stream_changed(self)
        try:
            while True:
                changed = self._changed
                await context.write(wire.write_device_list(self.devices))
                if self.withdrawn:
                    return
                await changed.wait()
        finally:
            served.streams.discard(stream)
            if served is self._served:
                self._handlers.stream_changed(self)

    async def _allocate(self, request: bytes, context: Context) -> bytes:
        requests = wire.read_allocate_request(request)
        ids = tuple(device for one in requests for device in one)
        work = self._handlers.own(self._claim(requests))
        try:
            # The kubelet may go away while a claim is being written: the claim comes to its end all the same, for a write
            # that is cut off half-way leaves doubt where a finished one leaves knowledge.
            answer = wire.write_allocate_response(await asyncio.shield(work))
        except asyncio.CancelledError:
            work.add_done_callback(lambda done: self._lost(ids, done))
            raise
        when_done(context, lambda sent: (self._handlers.answered if sent else self._handlers.failed)(self.resource, ids))
        return answer

    async def _claim(self, requests: tuple[DeviceIds, ...]) -> tuple[ContainerEdits, ...]:
        return tuple([await self._handlers.allocate(self.resource, ids) for ids in requests])

    def _lost(self, ids: DeviceIds, work: asyncio.Task[tuple[ContainerEdits, ...]]) -> None:
        if not work.cancelled() and (error := work.exception()) is not None:
            _LOG.warning("allocation failed after its caller was gone resource=%s error=%s", self.resource, error)
        self._handlers.failed(self.resource, ids)

    async def _preferred(self, request: bytes, _context: Context) -> bytes:
        return wire.write_preferred_response([self._prefer(query) for query in wire.read_preferred_request(request)])

    def _prefer(self, query: wire.PreferredQuery) -> Sequence[PluginDeviceId]:
        if self._handlers.prefer is None:
            return ()
        try:
            return self._handlers.prefer(self.resource, query.available, query.must_include, query.size)
        except Exception:  # noqa: BLE001 - an error would fail the pod; no preference only leaves the choice to the kubelet
            _LOG.exception("no preference because of an unexpected error resource=%s", self.resource)
            return ()

    async def _pre_start(self, _request: bytes, _context: Context) -> bytes:
        return wire.EMPTY

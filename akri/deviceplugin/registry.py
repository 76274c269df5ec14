"""The kubelet's dealings with plugins: takes their registration, dials them, watches their lists, and calls them.

Habits kept from the kubelet: Register dials the plugin and asks for its options before it is answered, what RegisterRequest says of
options is ignored, and a plugin whose stream ended is never dialled again: it has to register anew.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from akri.core.edits import ContainerEdits
from akri.core.errors import AkriError, InvalidValueError, RemoteCallError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.faults import Faults
from akri.deviceplugin.tasks import Tasks
from akri.deviceplugin.transport import connect
from akri.deviceplugin.wire import DeviceIds
from akri.ports import Clock
from akri.rpc import call, unary_method, watch

if TYPE_CHECKING:
    from grpc import aio

    from akri.rpc import Context, MethodHandler

__all__ = ["Ask", "Listener", "Registry", "check_registration"]

_LOG: Final = logging.getLogger(__name__)
_DIAL_TIMEOUT: Final = 10.0
_PRE_START_TIMEOUT: Final = 30.0
_LONGEST_DOMAIN: Final = 253 - len("requests.")
_DOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


Ask: TypeAlias = Callable[[ResourceName, DeviceIds], Awaitable[ContainerEdits]]
"""How an embedded plugin is asked for what a container gets with devices."""


class Listener(Protocol):
    """Who is told what plugins say."""

    def listed(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool]) -> None:
        """Take the whole device list of a resource."""
        ...

    def stopped(self, resource: ResourceName) -> None:
        """Take note that a resource's plugin is gone."""
        ...


def check_registration(registration: wire.Registration) -> None:
    """Raise InvalidValueError unless the kubelet would take this: version, extended resource name, file name of the socket."""
    if registration.version != wire.VERSION:
        raise InvalidValueError("version", registration.version, f"'{wire.VERSION}', the only supported version")
    domain, slash, name = registration.resource.partition("/")
    valid = slash and len(domain) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(domain) and _NAME.fullmatch(name)
    if not valid or domain.startswith("requests.") or domain.endswith("kubernetes.io"):
        raise InvalidValueError("resource_name", registration.resource, "an extended resource, 'domain/name'")
    if Path(registration.endpoint).name != registration.endpoint or not registration.endpoint:
        raise InvalidValueError("endpoint", registration.endpoint, "the file name of a socket in the device plugin directory")


class _Endpoint:
    """A connected plugin."""

    def __init__(self, resource: ResourceName, channel: aio.Channel, options: wire.Options) -> None:
        self.resource: Final = resource
        self.channel: Final = channel
        self.options: Final = options
        self.watcher: asyncio.Task[None] | None = None

    async def drop(self) -> None:
        """End the watch, and the connection with it. Closing the channel alone leaves calls open in some versions of gRPC."""
        if self.watcher is not None:
            self.watcher.cancel()
            await asyncio.wait((self.watcher,))


class Registry:
    """The plugins that are connected, by resource. embedded: those of this process; nobody else may register under their names."""

    def __init__(self, directory: Path, listener: Listener, *, clock: Clock, faults: Faults) -> None:
        """Take the device plugin directory and who is told of device lists."""
        self._directory = directory
        self._listener = listener
        self._clock = clock
        self._faults = faults
        self._endpoints: dict[ResourceName, _Endpoint] = {}
        self.embedded: Final[dict[ResourceName, Ask]] = {}
        self._tasks = Tasks()

    @property
    def methods(self) -> Mapping[str, MethodHandler]:
        """What is to be served on kubelet.sock."""
        return {wire.REGISTER: unary_method(self._register)}

    async def stop(self) -> None:
        """Drop all plugins."""
        await self._tasks.stop()
        self._endpoints.clear()

    async def drop_stream(self, resource: ResourceName) -> None:
        """Close the connection to a plugin, as a kubelet does that met an error on it."""
        endpoint = self._endpoints.get(resource)
        if endpoint is not None:
            await endpoint.drop()

    async def _register(self, request: bytes, _context: Context) -> bytes:
        await self._faults.registrations.wait()
        if self._faults.refuse_registration():
            raise RemoteCallError("registration refused by order")
        registration = wire.read_registration(request)
        check_registration(registration)
        if registration.resource in self.embedded:
            raise InvalidValueError("resource_name", registration.resource, "a resource that no plugin of the agent offers")
        channel = connect(self._directory / registration.endpoint)
        try:
            options = wire.read_options(await call(channel, wire.OPTIONS, wire.EMPTY, seconds=_DIAL_TIMEOUT, wait=True))
        except BaseException:
            await channel.close()
            raise
        endpoint = _Endpoint(registration.resource, channel, options)
        self._endpoints[registration.resource] = endpoint
        self._tasks.start(self._watch(endpoint))
        return wire.EMPTY

    async def _watch(self, endpoint: _Endpoint) -> None:
        endpoint.watcher = asyncio.current_task()
        try:
            async with aclosing(watch(endpoint.channel, wire.LIST_AND_WATCH, wire.EMPTY)) as lists:
                async for data in lists:
                    devices = wire.read_device_list(data)
                    if self._endpoints.get(endpoint.resource) is endpoint:
                        self._listener.listed(endpoint.resource, devices)
        except AkriError as error:
            _LOG.info("device list failed resource=%s error=%s", endpoint.resource, error)
        finally:
            self._ended(endpoint)
            await endpoint.channel.close()

    def _ended(self, endpoint: _Endpoint) -> None:
        current = self._endpoints.get(endpoint.resource)
        if current is endpoint:
            del self._endpoints[endpoint.resource]
            self._listener.stopped(endpoint.resource)
        elif current is not None and self._faults.disconnects_newer:
            self._tasks.start(current.drop())

    def _endpoint(self, resource: ResourceName) -> _Endpoint:
        endpoint = self._endpoints.get(resource)
        if endpoint is None:
            raise RemoteCallError(f"unknown Device Plugin {resource}")
        return endpoint

    async def allocate(self, resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
        """Ask a plugin for what a container gets with these devices. Without a deadline, as in the kubelet.

        Raises RemoteCallError with the plugin's error; an embedded one's own AkriError.
        """
        ask = self.embedded.get(resource)
        if ask is not None:
            return await ask(resource, ids)
        endpoint = self._endpoint(resource)
        work = call(endpoint.channel, wire.ALLOCATE, wire.write_allocate_request(ids))
        after = self._faults.take_cut()
        data = await (work if after is None else self._cut(endpoint, work, after))
        await self._faults.answers.wait()
        responses = wire.read_allocate_response(data)
        if not responses:
            raise RemoteCallError("no containers return in allocation response")
        return responses[0]

    async def _cut(self, endpoint: _Endpoint, work: Awaitable[bytes], after: float) -> bytes:
        answer = asyncio.ensure_future(work)
        try:
            await self._clock.sleep(after)
        finally:
            answer.cancel()
            await asyncio.wait((answer,))
            await endpoint.drop()
        raise RemoteCallError("the connection was cut by order")

    async def prefer(self, resource: ResourceName, query: wire.PreferredQuery) -> DeviceIds:
        """Ask a plugin which devices it prefers, if it wants to be asked; raises RemoteCallError."""
        if resource in self.embedded:
            return ()
        endpoint = self._endpoint(resource)
        if not endpoint.options.preferred_allocation:
            return ()
        try:
            data = await call(endpoint.channel, wire.PREFERRED, wire.write_preferred_request(query))
        except RemoteCallError as error:
            raise RemoteCallError(f"device plugin GetPreferredAllocation rpc failed with err: {error}", error.code) from error
        responses = wire.read_preferred_response(data)
        return responses[0] if responses else ()

    async def pre_start(self, resource: ResourceName, ids: DeviceIds) -> None:
        """Tell a plugin that a container with its devices starts, if it wants to be told; raises RemoteCallError.

        A plugin that is away is not asked: it may well be gone while its devices stay in use.
        """
        endpoint = self._endpoints.get(resource)
        if endpoint is not None and endpoint.options.pre_start_required:
            await call(endpoint.channel, wire.PRE_START, wire.write_pre_start_request(ids), seconds=_PRE_START_TIMEOUT)

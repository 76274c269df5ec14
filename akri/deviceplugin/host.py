"""The plugin side: keeps every offered resource registered with the kubelet, whatever happens to either of them.

One task for each resource serves, registers and waits for the loss of its stream; one more looks at kubelet.sock ten times a
second, which is within the time that pods need after a kubelet restart (half a second) and needs no platform's file watch.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from akri.core.edits import ContainerEdits
from akri.core.errors import RemoteCallError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.core.retry import NETWORK_BACK_OFF
from akri.deviceplugin import wire
from akri.deviceplugin.plugin import SOCKETS, Allocate, Handlers, Plugin, Prefer, socket_name
from akri.deviceplugin.transport import connect
from akri.deviceplugin.turns import Turns
from akri.deviceplugin.wire import DeviceIds
from akri.ports import Clock
from akri.rpc import call, check_socket_path

if TYPE_CHECKING:
    from grpc import aio

__all__ = ["KUBELET_SOCKET", "PluginHost"]

KUBELET_SOCKET: Final = "kubelet.sock"
"""File name of the kubelet's registration socket in the device plugin directory."""

_LOG: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 32
_POLL: Final = 0.1
_AT_ALL_EVENTS: Final = 10
_AFTER_LOSS: Final = 0.1
_REGISTER_TIMEOUT: Final = 20.0  # the kubelet itself takes up to 10 s to dial the plugin
_STREAM_TIMEOUT: Final = 10.0
_WITHDRAW_GRACE: Final = 1.0


def _ignore_answer(_resource: ResourceName, _ids: DeviceIds, _at: float) -> None:
    pass


def _ignore_failure(_resource: ResourceName, _ids: DeviceIds) -> None:
    pass


def _ignore_start(_at: float) -> None:
    pass


@frozen(eq=False)
class _Kubelet:
    """One life of a kubelet: what tells its kubelet.sock from the next one, and the connection to it."""

    identity: tuple[int, int]
    channel: aio.Channel


class PluginHost:
    """Offers resources to the kubelet of this node.

    allocate: claims devices, see Allocate. prefer: chooses among devices, see Prefer; without it the kubelet chooses.
    answered: told after the answer of an Allocate went out (resource, ids, clock.now()), be it to a kubelet that just died.
    failed: told instead of it when the caller was known to be gone before; what `allocate` claimed stays claimed, for nobody.
    kubelet_started: told (clock.now()) when a kubelet started while this host ran. All three must not block.
    look_every: seconds between two looks at kubelet.sock; more where the kubelet's half lives in this very process.
    """

    def __init__(
        self,
        directory: Path,
        allocate: Allocate,
        *,
        clock: Clock,
        prefer: Prefer | None = None,
        answered: Callable[[ResourceName, DeviceIds, float], None] = _ignore_answer,
        failed: Callable[[ResourceName, DeviceIds], None] = _ignore_failure,
        kubelet_started: Callable[[float], None] = _ignore_start,
        look_every: float = _POLL,
    ) -> None:
        """Take the kubelet's device plugin directory; raises InvalidValueError if its path is too long for sockets in it."""
        check_socket_path(directory / socket_name(ResourceName(""), 0))
        self._directory = directory
        self._clock = clock
        self._kubelet_started = kubelet_started
        self._look_every = look_every
        self._handlers = Handlers(
            allocate,
            prefer,
            lambda resource, ids: answered(resource, ids, clock.now()),
            failed,
            self._stream_changed,
            self._own,
        )
        self._plugins: dict[ResourceName, Plugin] = {}
        self._tasks: dict[ResourceName, asyncio.Task[None]] = {}
        self._work: set[asyncio.Task[tuple[ContainerEdits, ...]]] = set()
        self._turns = Turns(_AT_ONCE)
        self._group: asyncio.TaskGroup | None = None
        self._kubelet: _Kubelet | None = None
        self._unsettled = True  # whether to look which plugins no kubelet watches; of a thousand, most of the time none

    @property
    def streaming(self) -> frozenset[ResourceName]:
        """The resources whose device list a kubelet watches at this moment."""
        return frozenset(resource for resource, plugin in self._plugins.items() if plugin.streaming)

    @property
    def offered(self) -> Mapping[ResourceName, Mapping[PluginDeviceId, bool]]:
        """The device lists that a watching kubelet has been sent, or is about to be."""
        return {resource: plugin.devices for resource, plugin in self._plugins.items() if plugin.streaming}

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool = False) -> None:
        """Set the whole device list of a resource, true for a healthy device. `in_use` resources register before others."""
        plugin = self._plugins.get(resource)
        if plugin is None:
            self._unsettled = True
            plugin = self._plugins[resource] = Plugin(resource, self._directory, self._handlers)
            plugin.in_use = in_use
            if self._group is not None:
                self._start(self._group, plugin)
        plugin.in_use = in_use
        plugin.update(devices)

    def withdraw(self, resource: ResourceName) -> None:
        """Stop offering a resource. Nothing happens if it is not offered."""
        plugin = self._plugins.pop(resource, None)
        if plugin is not None:
            plugin.withdraw()

    async def run(self) -> None:
        """Keep the offered resources registered, until cancelled; then every socket is closed and removed."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._clean_up()
                await self._look()
                for plugin in sorted(self._plugins.values(), key=lambda plugin: not plugin.in_use):
                    self._start(group, plugin)
                await self._watch_kubelet()
        finally:
            self._group = None
            if self._kubelet is not None:
                await self._kubelet.channel.close()
                self._kubelet = None
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    def _start(self, group: asyncio.TaskGroup, plugin: Plugin) -> None:
        self._tasks[plugin.resource] = group.create_task(self._keep(plugin, self._tasks.get(plugin.resource)))

    def _own(self, work: Awaitable[tuple[ContainerEdits, ...]]) -> asyncio.Task[tuple[ContainerEdits, ...]]:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _keep(self, plugin: Plugin, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            await asyncio.wait((former,))
            # A kubelet that hears of the former one's end only now would take the new one off its books.
            await self._clock.sleep(_AFTER_LOSS)
        attempt = 0
        try:
            while not plugin.withdrawn:
                kubelet = self._kubelet
                if await self._register(plugin):
                    attempt = 0
                    await self._until_lost(plugin)
                else:
                    attempt += 1
                    await self._pause(plugin, kubelet, attempt)
                    attempt = attempt if kubelet == self._kubelet else 0
            await plugin.close(_WITHDRAW_GRACE)
        finally:
            await plugin.close()
            if self._tasks.get(plugin.resource) is asyncio.current_task():
                del self._tasks[plugin.resource]

    async def _pause(self, plugin: Plugin, kubelet: _Kubelet | None, attempt: int) -> None:
        """Wait for the next try, or for another kubelet than the one that was tried."""
        plugin.wake.clear()
        plugin.retry_at = self._clock.now() + NETWORK_BACK_OFF.seconds(attempt, self._clock.random())
        if kubelet == self._kubelet and not plugin.withdrawn:
            await plugin.wake.wait()

    async def _until_lost(self, plugin: Plugin) -> None:
        """Return a little after the stream ended, or when none came."""
        plugin.retry_at = self._clock.now() + _STREAM_TIMEOUT
        plugin.wake.clear()
        while not plugin.withdrawn:
            await plugin.wake.wait()
            plugin.wake.clear()
            if not plugin.streaming:
                return

    async def _register(self, plugin: Plugin) -> bool:
        async with self._turns.turn(urgent=plugin.in_use):
            if self._kubelet is None or plugin.withdrawn:
                return False
            try:
                endpoint = await plugin.open(int(self._clock.random() * 2**32))
                request = wire.write_registration(wire.Registration(wire.VERSION, endpoint, plugin.resource))
                await call(self._kubelet.channel, wire.REGISTER, request, seconds=_REGISTER_TIMEOUT)
            except (RemoteCallError, OSError) as error:
                _LOG.warning("registration failed resource=%s error=%s", plugin.resource, error)
                return False
        _LOG.info("registered resource=%s socket=%s", plugin.resource, endpoint)
        return True

    def _stream_changed(self, plugin: Plugin) -> None:
        if plugin.streaming:
            return
        self._unsettled = True
        # A little later, by the watch: the kubelet first has to notice that the old connection ended.
        plugin.retry_at = self._clock.now() + _AFTER_LOSS

    async def _watch_kubelet(self) -> None:
        for number in count():
            await self._clock.sleep(self._look_every)
            started = await self._look()
            if started:
                _LOG.info("the kubelet started")
                self._kubelet_started(self._clock.now())
            if started or self._unsettled or number % _AT_ALL_EVENTS == 0:
                self._wake_waiting(started=started)

    def _wake_waiting(self, *, started: bool) -> None:
        now = self._clock.now()
        waiting = [plugin for plugin in self._plugins.values() if not plugin.streaming]
        self._unsettled = bool(waiting)
        for plugin in sorted(waiting, key=lambda plugin: not plugin.in_use):
            if started or plugin.retry_at <= now:
                plugin.wake.set()

    def _clean_up(self) -> None:
        """Remove sockets that a former process left behind; one that somebody listens on stays."""
        for path in self._directory.glob(SOCKETS):
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                if probe.connect_ex(os.fsencode(path)) == errno.ECONNREFUSED:
                    path.unlink()

    async def _look(self) -> bool:
        """Look at kubelet.sock; tell whether there is one and it is another than before."""
        known = self._kubelet
        path = self._directory / KUBELET_SOCKET
        try:
            status = path.stat()
        except OSError:
            identity = None
        else:
            # Inode numbers alone will not do: some file systems use one again at once.
            identity = (status.st_ino, status.st_ctime_ns)
        if known is not None and known.identity == identity:
            return False
        self._kubelet = None if identity is None else _Kubelet(identity, connect(path))
        if known is not None:
            await known.channel.close()
        return self._kubelet is not None

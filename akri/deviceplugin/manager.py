"""The kubelet's device manager: admits pods to devices, answers PodResources, and remembers over restarts.

The standalone runtime uses it for real and tests use it as a kubelet; its habits are the kubelet's (1.36), good ones and bad ones.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, AkriError, RemoteCallError
from akri.core.evidence import Listing
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointFile
from akri.deviceplugin.devices import (
    Allocation,
    ContainerRequest,
    Ledger,
    PodRequest,
    ResourceState,
    TokenBucket,
    choose,
    complete,
    list_pods,
    merge_edits,
    reusable_after,
)
from akri.deviceplugin.faults import Faults
from akri.deviceplugin.host import KUBELET_SOCKET
from akri.deviceplugin.pod_resources import users
from akri.deviceplugin.registry import Ask, Registry
from akri.deviceplugin.tasks import Tasks
from akri.deviceplugin.transport import serve
from akri.ports import Clock
from akri.rpc import check_socket_path, unary_method

if TYPE_CHECKING:
    from grpc import aio

    from akri.rpc import Context, MethodHandler

__all__ = ["DeviceManager", "Resource"]

_LOG: Final = logging.getLogger(__name__)
_LIST_RATE: Final = 100.0
_LIST_BURST: Final = 10.0
_READMIT_AFTER: Final = 1.0
_SAVE_AFTER: Final = 0.2


def _ignore_rejection(_pod: PodRequest, _error: AdmissionError) -> None:
    pass


def _ignore_time(_resource: ResourceName, _seconds: float) -> None:
    pass


@frozen
class Resource:
    """A resource as the Node object shows it: all devices, and the healthy ones. 0 and 0 for one that expired."""

    capacity: int
    allocatable: int


class DeviceManager:
    """Gives devices to pods, as the kubelet of one node.

    directory: where plugins put their sockets and register at kubelet.sock. pod_resources_socket: where List is served.
    rejected: told of pods that were running and are refused after a restart, because a container of theirs that does not run
    (a finished init container) had a device whose plugin did not come back in time. readmits: whether that is done, as a kubelet
    does; without it what runs keeps its devices whatever its plugins say.
    timed: set it to be told how many seconds each Allocate took (kubelet_device_plugin_alloc_duration_seconds).
    """

    def __init__(
        self,
        directory: Path,
        pod_resources_socket: Path,
        *,
        clock: Clock,
        faults: Faults | None = None,
        rejected: Callable[[PodRequest, AdmissionError], None] = _ignore_rejection,
        readmits: bool = True,
    ) -> None:
        """Take the paths; raises InvalidValueError if one is too long for a unix socket."""
        self._directory = directory
        self._sockets: Final = (directory / KUBELET_SOCKET, check_socket_path(pod_resources_socket))
        check_socket_path(_hidden(self._sockets[0]))
        check_socket_path(_hidden(self._sockets[1]))
        self._clock = clock
        self.faults: Final = Faults() if faults is None else faults
        self._rejected = rejected
        self._readmits: Final = readmits
        self.timed: Callable[[ResourceName, float], None] = _ignore_time
        self._file = CheckpointFile(directory / CHECKPOINT_FILE, self._checkpoint)
        self._ledger = Ledger()
        self._pods: dict[str, PodRequest] = {}
        self._states: dict[ResourceName, ResourceState] = {}
        self._allocatable: dict[ResourceName, int] = {}
        self._registry = Registry(directory, self, clock=clock, faults=self.faults)
        self._servers: list[aio.Server] = []
        self._tasks = Tasks()
        self._admission = asyncio.Lock()
        self._changed = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._bucket = TokenBucket(_LIST_RATE, _LIST_BURST, _LIST_BURST, clock.now())

    async def __aenter__(self) -> Self:
        """Start without pods."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self, running: Iterable[PodRequest] = ()) -> None:
        """Start as a kubelet does: wipe all sockets in the directory, read the checkpoint, serve.

        `running`: the pods that run on this node already; devices of others in the checkpoint are free again. A second later
        they are admitted again: see `rejected`.
        """
        for folder in (self._directory, self._sockets[1].parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.wipe_sockets()
        checkpoint = self._file.load()
        self._pods = {pod.uid: pod for pod in running}
        self._ledger = checkpoint.ledger
        self._states = {resource: ResourceState() for resource in checkpoint.registered}
        self._allocatable = dict.fromkeys(self._states, 0)
        try:
            for socket, methods in zip(self._sockets, (self._registry.methods, self._list_methods), strict=True):
                self._servers.append(await _serve_at(socket, methods))
        except BaseException:
            await self.stop()
            raise
        self._tasks.start(self._save_changes())
        if self._readmits:
            self._tasks.start(self._readmit(tuple(self._pods.values())))

    async def stop(self) -> None:
        """Stop as a kubelet that ends: its socket files stay behind, and what is allocated stays in the checkpoint."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.stop(None)
        await self._registry.stop()
        await self._tasks.stop()
        if servers:
            # Without a start nothing was read, and what is in the file is worth more than what is known here.
            await self._save()

    async def restart(self) -> None:
        """Stop and start again; the pods stay."""
        await self.stop()
        await self.start(tuple(self._pods.values()))

    def wipe_sockets(self) -> None:
        """Delete all unix sockets in the device plugin directory, and nothing else."""
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(path.lstat().st_mode):
                    path.unlink()

    async def drop_stream(self, resource: ResourceName) -> None:
        """Close the connection to a plugin, as the kubelet does after an error; the plugin has to register again."""
        await self._registry.drop_stream(resource)

    # What plugins say

    def embed(self, resource: ResourceName, ask: Ask) -> None:
        """Take a plugin of this process, which says what it has by `listed` and is asked without a socket; see EmbeddedPlugins."""
        self._registry.embedded[resource] = ask

    def remove_embedded(self, resource: ResourceName) -> None:
        """Take note that a plugin of this process is gone."""
        if self._registry.embedded.pop(resource, None) is not None:
            self.stopped(resource)

    def listed(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool]) -> None:
        """Take a plugin's whole device list; called by the registry."""
        self._set_state(resource, ResourceState(devices))

    def stopped(self, resource: ResourceName) -> None:
        """Take note that a plugin is gone; called by the registry."""
        self._set_state(resource, self._states.get(resource, ResourceState()).stopped(self._clock.now()))

    def _set_state(self, resource: ResourceName, state: ResourceState) -> None:
        self._states[resource] = state
        self._allocatable[resource] = state.allocatable
        self._unsaved.set()
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def resources(self) -> Mapping[ResourceName, Resource]:
        """Capacity and allocatable of all resources that ever registered."""
        now = self._clock.now()
        return {name: Resource(state.capacity(now), state.allocatable) for name, state in self._states.items()}

    @property
    def allocatable(self) -> Mapping[ResourceName, int]:
        """The healthy devices of each resource, as in `resources`; cheap, also where there are thousands."""
        return MappingProxyType(self._allocatable)

    @property
    def devices(self) -> Mapping[ResourceName, Mapping[PluginDeviceId, bool]]:
        """The device lists as the plugins sent them last, true for a healthy device."""
        return {name: state.devices for name, state in self._states.items()}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on `resources` or `devices` holds; it is tested at each change of them. Bound it with a time-out."""
        while not condition():
            await self._changed.wait()

    # Pods

    async def admit(self, pod: PodRequest) -> Mapping[str, ContainerEdits]:
        """Allocate devices for all containers of a pod; answer by container name what each gets. One pod at a time.

        Raises AdmissionError with the kubelet's text; then no allocation is kept, though plugins may have answered some.
        A resource that this node does not know is ignored, as the kubelet does.
        """
        async with self._admission:
            self._pods[pod.uid] = pod
            self._purge()
            try:
                reusable: dict[ResourceName, frozenset[PluginDeviceId]] = {}
                for container in pod.in_order:
                    await self._admit_container(pod, container, reusable)
                await self._file.save()
            except (AkriError, OSError) as error:
                self._forget(pod.uid)
                raise AdmissionError(f"Allocate failed due to {error}, which is unexpected") from error
            except BaseException:
                self._forget(pod.uid)
                raise
            return {container.name: self.edits(pod.uid, container.name) for container in pod.in_order}

    async def _admit_container(
        self, pod: PodRequest, container: ContainerRequest, reusable: dict[ResourceName, frozenset[PluginDeviceId]]
    ) -> None:
        for resource, count in container.resources.items():
            if resource not in self._states:
                continue
            again = reusable.get(resource, frozenset())
            ids = await self._allocate(pod.uid, container.name, resource, count, again)
            passed_on = container in pod.init_containers and not container.sidecar
            reusable[resource] = reusable_after(again, ids, passed_on=passed_on)

    async def _allocate(
        self, uid: str, container: str, resource: ResourceName, count: int, reusable: frozenset[PluginDeviceId]
    ) -> tuple[PluginDeviceId, ...]:
        present = tuple(device for a in self._ledger.of(uid, container) if a.resource == resource for device in a.ids)
        choice = choose(
            resource,
            self._states[resource],
            count=count,
            present=frozenset(present),
            reusable=reusable,
            in_use=self._ledger.in_use(resource),
        )
        preferred = () if choice.query is None else await self._registry.prefer(resource, choice.query)
        draw = [self._clock.random() for _ in choice.query.available] if choice.query else ()
        ids = complete(choice, preferred, draw)
        if ids:
            begun = self._clock.now()
            edits = await self._registry.allocate(resource, ids)
            self.timed(resource, self._clock.now() - begun)
            self._ledger = self._ledger.add(Allocation(uid, container, resource, ids, edits))
        return ids or present

    def edits(self, uid: str, container: str) -> ContainerEdits:
        """What a container gets with its devices; the same at each of its starts. Empty for one without devices."""
        allocations = sorted(self._ledger.of(uid, container), key=lambda _: self._clock.random())
        return merge_edits(allocation.edits for allocation in allocations)

    async def pre_start(self, uid: str, container: str) -> None:
        """Tell the plugins that want it that a container is about to start. Raises RemoteCallError: then it must not start yet."""
        for allocation in self._ledger.of(uid, container):
            await self._registry.pre_start(allocation.resource, allocation.ids)

    def pod_ended(self, uid: str) -> None:
        """Take note that a pod is terminal, or that it was deleted without grace and its containers may run on.

        Either way it is out of List at once and its devices may go to the next pod: that is what makes List early.
        """
        self._pods.pop(uid, None)
        self._unsaved.set()

    def _forget(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._purge()
        self._unsaved.set()

    def _purge(self) -> None:
        self._ledger = self._ledger.keep(self._pods.keys())

    async def _readmit(self, pods: tuple[PodRequest, ...]) -> None:
        """Admit running pods again. What runs passes without its plugin; a finished init container's device must be healthy."""
        await self._clock.sleep(_READMIT_AFTER)
        for pod in pods:
            try:
                for container in pod.init_containers:
                    self._check_finished(pod, container)
            except AkriError as error:
                self._forget(pod.uid)
                self._rejected(pod, AdmissionError(f"Allocate failed due to {error}, which is unexpected"))

    def _check_finished(self, pod: PodRequest, container: ContainerRequest) -> None:
        for allocation in self._ledger.of(pod.uid, container.name):
            if not container.sidecar and pod.uid in self._pods:
                choose(
                    allocation.resource,
                    self._states.get(allocation.resource, ResourceState()),
                    count=len(allocation.ids),
                    present=frozenset(allocation.ids),
                    reusable=frozenset(),
                    in_use=frozenset(),
                )

    # PodResources

    @property
    def _list_methods(self) -> Mapping[str, MethodHandler]:
        return {wire.LIST_POD_RESOURCES: unary_method(self._list)}

    async def _list(self, _request: bytes, _context: Context) -> bytes:
        self._bucket, allowed = self._bucket.take(self._clock.now())
        if not allowed or self.faults.exhaust_list():
            raise RemoteCallError("rejected by rate limit", "RESOURCE_EXHAUSTED")
        if self.faults.unsynced:
            return wire.write_pod_resources(())
        self._purge()
        return wire.write_pod_resources(list_pods(self._pods.values(), self._ledger))

    async def listing(self) -> Listing:
        """Answer a List to an agent in this process, without socket and rate limit: it asks twice a second for years."""
        self._purge()
        pods = list_pods(self._pods.values(), self._ledger)
        return Listing(self._clock.now(), users(pods), frozenset(pod.key for pod in pods))

    # Memory

    def _checkpoint(self) -> Checkpoint:
        registered = {name: tuple(sorted(state.healthy)) for name, state in self._states.items()}
        return Checkpoint(self._ledger, registered)

    async def _save_changes(self) -> None:
        while True:
            await self._unsaved.wait()
            await self._clock.sleep(_SAVE_AFTER)
            self._unsaved.clear()
            await self._save()

    async def _save(self) -> None:
        try:
            await self._file.save()
        except OSError as error:
            # Allocations fail with their pod; what else is in the file a restart learns again from the plugins.
            _LOG.error("cannot write the checkpoint error=%s", error)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}")


async def _serve_at(path: Path, methods: Mapping[str, MethodHandler]) -> aio.Server:
    """Serve under a name of its own and rename it: the socket appears only when it listens, and stays behind at the end."""
    hidden = _hidden(path)
    hidden.unlink(missing_ok=True)
    server = await serve(hidden, methods)
    try:
        hidden.replace(path)
    except OSError:
        await server.stop(None)  # left to itself it would end later, and take the file of the next one with it
        raise
    return server

"""Which pods use which devices, asked from the kubelet's PodResources socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from akri.core.errors import RemoteCallError
from akri.core.evidence import Listing
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.transport import connect
from akri.ports import Clock
from akri.rpc import call

__all__ = ["PodResourcesClient", "users"]

_TIMEOUT: Final = 10.0
_TRIES: Final = 5
_PAUSE: Final = 0.05


def users(pods: Iterable[wire.ListedPod]) -> Mapping[ResourceName, Mapping[PluginDeviceId, ObjectKey]]:
    """Turn a List answer round: for each resource, which pod uses which device."""
    found: dict[ResourceName, dict[PluginDeviceId, ObjectKey]] = {}
    for pod in pods:
        for container in pod.containers:
            for resource, device in container.devices:
                found.setdefault(resource, {})[device] = pod.key
    return MappingProxyType(found)


class PodResourcesClient:
    """Asks for Lists. A new connection for each: the kubelet restarts, Lists are rare, and a unix socket costs nothing."""

    def __init__(self, socket: Path, clock: Clock) -> None:
        """Take the socket's path and the clock whose `now` dates the Lists."""
        self._socket = socket
        self._clock = clock

    async def list(self) -> Listing:
        """Ask for one List; `sent_at` is the time before it was sent.

        The kubelet shares one rate limit among all its clients: when it is used up, tries again a little later.
        Raises RemoteCallError when there is no answer, and InvalidValueError when it cannot be read.
        """
        channel = connect(self._socket)
        try:
            for attempt in range(_TRIES):
                await self._clock.sleep(_PAUSE * attempt * (1 + self._clock.random()))
                sent_at = self._clock.now()
                try:
                    answer = await call(channel, wire.LIST_POD_RESOURCES, wire.EMPTY, seconds=_TIMEOUT)
                except RemoteCallError as error:
                    if error.code != "RESOURCE_EXHAUSTED" or attempt == _TRIES - 1:
                        raise RemoteCallError(f"cannot list pod resources at {self._socket}: {error}", error.code) from error
                else:
                    pods = tuple(wire.read_pod_resources(answer))
                    return Listing(sent_at, users(pods), frozenset(pod.key for pod in pods))
        finally:
            await channel.close()
        raise AssertionError("the last try returns or raises")

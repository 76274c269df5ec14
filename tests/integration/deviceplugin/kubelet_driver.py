"""A real kubelet: pods go in through the API server, bound to its node, and what became of them is read from there and from /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from akri.clock import SystemClock
from akri.core.errors import AdmissionError
from akri.core.ids import ObjectKey
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.wire import write_device_list
from tests.cluster.admin import Admin, Manifest, RequestError
from tests.cluster.containers import Container
from tests.cluster.images import BUSYBOX
from tests.cluster.nodes import Node
from tests.integration.deviceplugin.agent import RawPlugin
from tests.integration.deviceplugin.driver import Driver, Habits

__all__ = ["KubeletDriver", "manifest"]

_PATIENCE: Final = 60.0
_HEARD: Final = 10.0
_POLL: Final = 0.05
_REJECTED: Final = "Pod was rejected: "
_END: Final = "= end of the environment ="
_STAYS: Final = f"env; echo '{_END}'; trap 'exit 0' TERM; trap 'exit 1' USR1; while :; do sleep 3600 & wait $!; done"
_ENDS: Final = f"env; echo '{_END}'"
_OWN: Final = ("PATH", "HOME", "HOSTNAME", "SHLVL", "PWD", "KUBERNETES_")


def _path(key: ObjectKey) -> str:
    return f"/api/v1/namespaces/{key.namespace}/pods/{key.name}"


def _container(request: ContainerRequest, script: str) -> Manifest:
    counts = {resource: str(count) for resource, count in request.resources.items()}
    return {
        "name": request.name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", script],
        "resources": {"limits": counts},
    } | ({"restartPolicy": "Always"} if request.sidecar else {})


def manifest(request: PodRequest, node: str, *, grace: int = 2) -> Manifest:
    """Write a Pod that is bound to a node. Its containers print their environment; main containers and sidecars stay until SIGTERM."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": request.key.name, "namespace": request.key.namespace},
        "spec": {
            "nodeName": node,
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace,
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [_container(one, _STAYS if one.sidecar else _ENDS) for one in request.init_containers],
            "containers": [_container(one, _STAYS) for one in request.containers],
        },
    }


class KubeletDriver(Driver):
    """Drives the kubelet of one node. `clean_up` at the end of a test removes what it left."""

    _HABITS: Final = Habits(
        older_end_cuts_newer=True,
        older_list_counts=True,
        endpoint_elsewhere=True,
        any_permissions=True,
        empty_answer_leaks=True,
    )

    def __init__(self, node: Node, api: Admin) -> None:
        self.node = node
        self.api = api
        self._uids: dict[PodRequest, str] = {}
        self._shown: set[str] = set()
        self._stopped = False

    @property
    def habits(self) -> Habits:
        return self._HABITS

    @property
    def plugins(self) -> Path:
        return self.node.plugins

    @property
    def outside(self) -> Path:
        return self.node.pod_resources_socket.parent.parent

    @property
    def pod_resources_socket(self) -> Path:
        return self.node.pod_resources_socket

    async def run(self, request: PodRequest) -> Mapping[str, Mapping[str, str]]:
        await self._remove_ended(request.key)
        created = await self.api.create(manifest(request, self.node.name))
        self._uids[request] = created["metadata"]["uid"]
        status = await self._until_started(request)
        if status["phase"] == "Failed":
            raise AdmissionError(status.get("message", "").removeprefix(_REJECTED), status.get("reason", ""))
        return {container.name: await self._environment(request, container.name) for container in request.in_order}

    async def _pod(self, key: ObjectKey) -> Manifest | None:
        return await self.api.find(_path(key))

    async def _delete(self, key: ObjectKey, grace: int) -> None:
        try:
            await self.api.delete(_path(key), grace=grace)
        except RequestError as error:
            if error.status != 404:
                raise

    async def _log(self, key: ObjectKey, container: str) -> str:
        try:
            answer = await self.api.request("GET", f"{_path(key)}/log", parameters={"container": container})
        except RequestError:  # it cannot be read yet
            return ""
        return str(answer["message"])

    async def _remove_ended(self, key: ObjectKey) -> None:
        former = await self._pod(key)
        if former is not None:
            assert former["status"]["phase"] in {"Succeeded", "Failed"}, f"pod {key} still runs"
            await self._delete(key, 0)

            async def gone() -> bool:
                return await self._pod(key) is None

            await _until(gone)

    async def _until_started(self, request: PodRequest) -> Manifest:
        status: Manifest = {}

        async def started() -> bool:
            nonlocal status
            status = await self._status(request)
            states = status.get("containerStatuses", [])
            running = len(states) == len(request.containers) and all("running" in one["state"] for one in states)
            return running or status["phase"] in {"Failed", "Succeeded"}

        await _until(started)
        return status

    async def _status(self, request: PodRequest) -> Manifest:
        pod = await self._pod(request.key)
        assert pod is not None, f"pod {request.key} is gone"
        status: Manifest = pod["status"]
        return status

    async def _environment(self, request: PodRequest, container: str) -> Mapping[str, str]:
        text = ""

        async def complete() -> bool:
            nonlocal text
            text = await self._log(request.key, container)
            return _END in text

        await _until(complete)
        lines = (line.partition("=") for line in text.partition(_END)[0].splitlines())
        return {name: value for name, _, value in lines if not name.startswith(_OWN)}

    async def start_again(self, request: PodRequest, container: str) -> Mapping[str, str]:
        before = await self._restarts(request, container)
        _signal((one for one in self._containers(request) if one.name == container), signal.SIGUSR1)

        async def again() -> bool:
            return await self._restarts(request, container) > before

        await _until(again)
        await self._until_started(request)
        return await self._environment(request, container)

    async def _restarts(self, request: PodRequest, container: str) -> int:
        states = (await self._status(request)).get("containerStatuses", [])
        return sum(one["restartCount"] for one in states if one["name"] == container)

    def _containers(self, *requests: PodRequest) -> list[Container]:
        """The living containers of pods."""
        uids = {self._uids[request] for request in requests}
        return [one for one in self.node.containers() if one.pod_uid in uids and one.pid is not None and not one.sandbox]

    async def end(self, request: PodRequest) -> None:
        _signal(self._containers(request), signal.SIGTERM)

        async def ended() -> bool:
            return (await self._status(request))["phase"] in {"Succeeded", "Failed"}

        await _until(ended)

    async def delete_by_force(self, request: PodRequest) -> None:
        await self._delete(request.key, 0)
        client = PodResourcesClient(self.pod_resources_socket, SystemClock())

        async def heard() -> bool:
            return request.key not in (await client.list()).pods

        await _until(heard)

    async def ended_by_restart(self, request: PodRequest) -> None:
        async def ended() -> bool:
            return (await self._status(request))["phase"] in {"Failed", "Succeeded"}

        await _until(ended)

    def runs(self, request: PodRequest) -> bool:
        alive = {container.name for container in self._containers(request)}
        return alive >= {container.name for container in request.containers}

    async def shows(self, resource: str, *, capacity: int, allocatable: int) -> None:
        self._shown.add(resource)

        async def reached() -> bool:
            status = await self._node_status()
            return (status["capacity"].get(resource), status["allocatable"].get(resource)) == (str(capacity), str(allocatable))

        await _until(reached)

    async def _node_status(self) -> Manifest:
        status: Manifest = (await self.api.get(f"/api/v1/nodes/{self.node.name}"))["status"]
        return status

    async def stop(self) -> None:
        self._stopped = True
        await self.node.stop_kubelet()

    async def start(self) -> None:
        # Heartbeats are dated in whole seconds.
        begun = datetime.fromtimestamp(int(time.time()) + 1, UTC)
        await asyncio.sleep(begun.timestamp() - time.time())
        await self.node.start_kubelet()
        self._stopped = False

        async def reported() -> bool:
            conditions = (await self._node_status())["conditions"]
            return any(one["type"] == "Ready" and datetime.fromisoformat(one["lastHeartbeatTime"]) >= begun for one in conditions)

        await _until(reported)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def clean_up(self) -> None:
        """Remove all pods, and wait until nothing of them and of their devices is left: the next test uses the same names."""
        if self._stopped:
            await self.start()
        _signal(self._containers(*self._uids), signal.SIGKILL)
        keys = {request.key for request in self._uids}
        for key in keys:
            await self._delete(key, 0)

        async def gone() -> bool:
            left = [key for key in keys if await self._pod(key) is not None]
            allocatable = (await self._node_status())["allocatable"]
            idle = all(allocatable.get(resource, "0") == "0" for resource in self._shown)
            return idle and not left and not self._containers(*self._uids)

        try:
            await _until(gone, _HEARD)
        except TimeoutError:
            await self._remind()
            await _until(gone)

    async def _remind(self) -> None:
        """Let the kubelet count what a test offered as nothing.

        Where a plugin registers in the moment in which the kubelet hears of the end of its forerunner, a kubelet 1.36 takes the new
        one off its books, and never hears of that one's end.
        """
        for resource in self._shown:
            async with RawPlugin(self.plugins, "reminder.sock") as plugin:
                plugin.lists = [write_device_list({})]
                await plugin.register(resource)

                async def told() -> bool:
                    return plugin.streams > 0

                await _until(told)


def _signal(containers: Iterable[Container], number: signal.Signals) -> None:
    for container in containers:
        if container.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(container.pid, number)


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float = _PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(_POLL)

"""The ends that pods can come to, brought about on a real node: batches of pods that hold one device each."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field, frozen

from akri.clock import SystemClock
from benchmarks._evidence_record import MARK, RESOURCE, Recording
from tests.cluster.admin import Admin, Manifest, RequestError
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.nodes import Node
from tests.cluster.processes import eventually

__all__ = ["SCENARIOS", "Scenario", "Stage"]

_CLOCK: Final = SystemClock()
_PODS: Final = "/api/v1/namespaces/default/pods"
_FOREVER: Final = 3600.0
_PATIENCE: Final = 90.0
_RELEASE: Final = 13.0
"""Seconds in which what is released without proof is released."""
_LONG_GRACE: Final = 30
"""The grace of pods that say nothing of it."""


def _container(name: str, seconds: float, *, device: bool) -> Manifest:
    """A container whose one process ends after a time, and takes no notice of SIGTERM: as process 1 it has no handler for it."""
    return {
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", f"exec sleep {seconds:.2f}"],
        "env": [{"name": MARK, "value": "1"}],
        "resources": {"limits": {RESOURCE: "1"}} if device else {},
    }


@define
class Stage:
    """A node on which pods come and go. `uids` and `names` of all pods that were made; `cuts`: when the node was cut off."""

    cluster: Cluster
    node: Node
    admin: Admin
    recording: Recording
    dice: random.Random
    uids: dict[str, str] = field(factory=dict[str, str])
    cuts: list[tuple[float, float]] = field(factory=list[tuple[float, float]])

    async def create(
        self, name: str, seconds: float = _FOREVER, *, grace: int = 2, restart: str = "Never", init: float | None = None
    ) -> None:
        """Make a pod of one container, which has the device; with `init`, an init container of so many seconds has it."""
        spec = {
            "nodeName": self.node.name,
            "restartPolicy": restart,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace,
            "initContainers": [] if not init else [_container("prepare", init, device=True)],
            "containers": [_container("main", seconds, device=not init)],
        }
        metadata = {"name": name, "namespace": "default", "labels": {"akri.sh/measured": "true"}}
        made = await self.admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.uids[name] = made["metadata"]["uid"]

    async def create_all(self, names: Sequence[str], **options: object) -> None:
        """Make pods, and wait until the container of each that has the device runs."""
        await asyncio.gather(*(self.create(name, **options) for name in names))  # type: ignore[arg-type]
        await self.holding(names)

    async def holding(self, names: Sequence[str]) -> None:
        """Wait until each of the pods had a container with a device."""
        wanted = {self.uids[name] for name in names}

        async def hold() -> bool:
            return wanted <= {life.pod_uid for life in self.recording.lives if life.device}

        await eventually(hold, seconds=_PATIENCE, what="containers with devices")

    async def delete(self, name: str, grace: int | None) -> None:
        """Delete a pod; nothing happens if there is none."""
        try:
            await self.admin.delete(f"{_PODS}/{name}", grace=grace)
        except RequestError as error:
            if error.status != 404:
                raise

    async def delete_all(self, names: Sequence[str], grace: int | None, within: float) -> None:
        """Delete pods at random times within so many seconds."""

        async def one(name: str) -> None:
            await asyncio.sleep(self.dice.random() * within)
            await self.delete(name, grace)

        await asyncio.gather(*(one(name) for name in names))

    async def kill_all(self, names: Sequence[str], within: float) -> None:
        """End the containers of pods, as if by themselves, at random times within so many seconds."""

        async def one(uid: str) -> None:
            await asyncio.sleep(self.dice.random() * within)
            for container in self.node.containers():
                if container.pod_uid == uid and container.pid is not None and not container.sandbox:
                    with suppress(ProcessLookupError):
                        os.kill(container.pid, signal.SIGKILL)

        await asyncio.gather(*(one(self.uids[name]) for name in names))

    async def ended(self, names: Sequence[str]) -> None:
        """Wait until no container of the pods lives."""
        uids = {self.uids[name] for name in names}

        async def over() -> bool:
            return all(life.end is not None for life in self.recording.lives if life.pod_uid in uids)

        await eventually(over, seconds=_PATIENCE, what="the end of containers")

    async def clear(self, names: Sequence[str]) -> None:
        """Remove pods with their containers, and wait until the API server knows none of them."""
        await self.kill_all(names, 0.0)
        for name in names:
            await self.delete(name, 1)

        async def gone() -> bool:
            return all([await self.admin.find(f"{_PODS}/{name}") is None for name in names])

        await eventually(gone, seconds=_PATIENCE, what="the removal of pods")


async def _normal_end(stage: Stage, names: Sequence[str]) -> None:
    await asyncio.gather(*(stage.create(name, 1.5 + 3 * stage.dice.random()) for name in names))
    await stage.holding(names)
    await stage.ended(names)
    await asyncio.sleep(4)


async def _deleted(stage: Stage, names: Sequence[str]) -> None:
    await stage.create_all(names)
    await stage.delete_all(names, None, 1.0)
    await stage.ended(names)
    await asyncio.sleep(4)


async def _forced(stage: Stage, names: Sequence[str]) -> None:
    await stage.create_all(names, grace=_LONG_GRACE)
    await stage.delete_all(names, 0, 1.0)
    await stage.ended(names)
    await asyncio.sleep(_RELEASE)


async def _reboot(stage: Stage, names: Sequence[str]) -> None:
    half = len(names) // 2
    await asyncio.gather(stage.create_all(names[:half]), stage.create_all(names[half:], restart="Always"))
    await asyncio.sleep(1)
    await stage.node.reboot(stage.dice.random())
    await asyncio.sleep(15)
    await stage.delete_all(names[half:], 2, 1.0)
    await asyncio.sleep(6)


async def _kubelet_restart(stage: Stage, names: Sequence[str]) -> None:
    third = len(names) // 3
    await stage.create_all(names)
    await stage.node.stop_kubelet()
    await stage.kill_all(names[:third], 0.5)
    await stage.node.start_kubelet()
    await stage.kill_all(names[third : 2 * third], 3.0)
    await asyncio.sleep(4)
    await stage.kill_all(names[2 * third :], 1.0)
    await asyncio.sleep(5)


async def _init_only(stage: Stage, names: Sequence[str]) -> None:
    """A third of the init containers live for longer than absence frees what nobody asks for; their pods then end by themselves."""
    third = len(names) // 3
    normal, deleted, forced = names[:third], names[third : 2 * third], names[2 * third :]
    await asyncio.gather(*(stage.create(name, 2.0, init=13.0 + stage.dice.random()) for name in normal))
    await asyncio.gather(*(stage.create(name, init=_FOREVER) for name in deleted))
    await asyncio.gather(*(stage.create(name, init=_FOREVER, grace=_LONG_GRACE) for name in forced))
    await stage.holding(names)
    await asyncio.gather(stage.delete_all(deleted, None, 1.0), stage.delete_all(forced, 0, 1.0))
    await asyncio.sleep(14)
    await stage.ended(names)
    await asyncio.sleep(_RELEASE)


async def _forced_unseen(stage: Stage, names: Sequence[str]) -> None:
    """Deleted by force while the node is cut off; then the kubelet has to list anew, and learns only that the pods are not there."""
    await stage.create_all(names, grace=_LONG_GRACE)
    begin = _CLOCK.now()
    await stage.node.cut()
    await stage.delete_all(names, 0, 0.5)
    await stage.cluster.api_server.restart_part("kube-apiserver")
    await asyncio.sleep(1)
    await stage.node.mend()
    stage.cuts.append((begin, _CLOCK.now() + 0.5))
    await stage.ended(names)
    await asyncio.sleep(_RELEASE + _LONG_GRACE)


@frozen
class Scenario:
    """One way in which pods end. batch: how many do so together; a restart of the node is felt by all of a batch."""

    name: str
    act: Callable[[Stage, Sequence[str]], Awaitable[None]]
    batch: int = 10

    async def run(self, stage: Stage, count: int) -> None:
        """Bring `count` pods to their end, batch by batch."""
        prefix = self.name.lower().replace(" ", "-").replace(",", "")
        for first in range(0, count, self.batch):
            names = [f"{prefix}-{number}" for number in range(first, min(first + self.batch, count))]
            await self.act(stage, names)
            await stage.clear(names)
            await asyncio.sleep(1)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        Scenario("normal end", _normal_end),
        Scenario("SIGTERM ignored", _deleted),
        Scenario("deleted by force", _forced, batch=25),
        Scenario("node reboot", _reboot),
        Scenario("kubelet restart", _kubelet_restart),
        Scenario("init container only", _init_only, batch=15),
        Scenario("deleted by force, unseen", _forced_unseen, batch=25),
    )
}

"""A controller beside a cluster, and what nodes do with the pods that it makes: admit those that came, end those that shall go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from attrs import define, evolve, field

from akri.controller.controller import Controller
from akri.core.errors import AdmissionError
from akri.core.metadata import JsonObject
from akri.platforms.local.objects import Pod
from akri.platforms.pod_requests import device_requests
from akri.scheduling.model import Phase
from tests.scenarios.cluster import Cluster, Node, RunningPod

__all__ = ["BROKER", "Brokers", "controlled"]

BROKER: JsonObject = {"containers": [{"name": "broker", "image": "broker", "resources": {"limits": {"{{PLACEHOLDER}}": "1"}}}]}


@define(eq=False)
class Brokers:
    """The brokers of a cluster's nodes. `running`: by the name of the pod."""

    cluster: Cluster
    running: dict[str, RunningPod] = field(factory=dict[str, RunningPod])

    async def until(self, condition: Callable[[], bool], limit: float = 30.0) -> None:
        """Let time pass, and the nodes do their part, until a condition holds. Raises TimeoutError after so many virtual seconds."""
        end = self.cluster.clock.now() + limit
        while not condition():
            if self.cluster.clock.now() > end:
                message = f"the condition did not hold within {limit} virtual seconds"
                raise TimeoutError(message)
            await self.cluster.clock.advance(0.1)
            for pod in self.cluster.store.pods:
                await self._play(pod)

    async def _play(self, pod: Pod) -> None:
        node = next(node for node in self.cluster.nodes if node.name == pod.node)
        running = self.running.get(pod.metadata.key.name)
        if pod.metadata.deleting:
            if running is not None and running.uid == pod.metadata.uid:
                await self.running.pop(pod.metadata.key.name).delete()
        elif pod.phase is Phase.PENDING:
            await self._start(node, pod)

    async def _start(self, node: Node, pod: Pod) -> None:
        if any(sum(node.manager.devices.get(name, {}).values()) < count for name, count in device_requests(pod.spec).items()):
            return  # it does not fit yet: no scheduler would send it here
        bound = await node.store.change_pod(pod, partial(evolve, bound=True))
        admission = asyncio.ensure_future(node.admit(bound or pod))
        await self.cluster.clock.run_until(admission.done, 60)
        try:
            self.running[pod.metadata.key.name] = await admission
        except AdmissionError:
            return


@asynccontextmanager
async def controlled(it: Cluster) -> AsyncGenerator[Brokers]:
    """Run a controller over the cluster's store."""
    task = asyncio.create_task(Controller(it.store.cluster(), it.clock).run())
    try:
        yield Brokers(it)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

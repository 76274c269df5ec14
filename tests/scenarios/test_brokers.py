"""C1: brokers that fail at once, and jobs that no node admits, under the controller and virtual time. The test plays the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from attrs import define, evolve

from akri.controller.controller import Controller
from akri.core.configuration import BrokerSpec, JobBroker, PodBroker
from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_GENERATION, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.platforms.local.jobs import JobRunner
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.scheduling.model import ANNOTATION_ATTEMPT, Phase
from akri.testing.clock import VirtualClock
from tests.scenarios.brokers import BROKER
from tests.scenarios.cluster import configuration

JOB: JsonObject = {"template": {"spec": BROKER}, "backoffLimit": 0}


@define(eq=False)
class _World:
    clock: VirtualClock
    store: MemoryStore

    async def next_pod(self, former: Pod | None = None) -> tuple[float, Pod]:
        """Let time pass until there is another pod to start, and remove those that shall go; tell how long it took."""
        begin = self.clock.now()

        def found() -> bool:
            return any(pod.metadata.deleting or self._fresh(pod, former) for pod in self.store.pods)

        while True:
            await self.clock.run_until(found, 1000)
            fresh = [pod for pod in self.store.pods if self._fresh(pod, former)]
            if fresh:
                return self.clock.now() - begin, fresh[0]
            for pod in self.store.pods:
                if pod.metadata.deleting:
                    await self.store.remove_pod(pod)

    def _fresh(self, pod: Pod, former: Pod | None) -> bool:
        other = former is None or pod.metadata.uid != former.metadata.uid
        return other and pod.phase is Phase.PENDING and not pod.metadata.deleting

    async def run(self, pod: Pod, seconds: float) -> Pod:
        """Let a pod run that long and then fail."""
        await self.store.change_pod(pod, partial(evolve, bound=True, phase=Phase.RUNNING, started=self.clock.wall()))
        await self.clock.advance(seconds)
        ended = await self.store.change_pod(pod, partial(evolve, phase=Phase.FAILED, finished=self.clock.wall()))
        assert ended is not None
        return ended


@asynccontextmanager
async def _world(broker: BrokerSpec) -> AsyncGenerator[_World]:
    """Run a controller over one node that sees one device."""
    clock = VirtualClock()
    store = MemoryStore(clock)
    await store.register_node(NodeName("node-a"))
    stored = await store.apply(evolve(configuration(), broker=broker))
    owner = OwnerReference("akri.sh/v0", "Configuration", "cam", stored.metadata.uid, controller=True)
    annotations = {ANNOTATION_GENERATION: str(stored.metadata.generation)}
    metadata = ObjectMeta(ObjectKey("default", "cam-8120fe"), annotations=annotations, owners=(owner,))
    nodes = (NodeName("node-a"),)
    usage = {"cam-8120fe-0": ""}
    await store.put_instance(Instance(metadata, ConfigurationName("cam"), "akri.sh/cam=8120fe", 1, nodes=nodes, device_usage=usage))
    tasks = [asyncio.create_task(work) for work in (Controller(store.cluster(), clock).run(), JobRunner(store, clock=clock).run())]
    try:
        yield _World(clock, store)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_c1_a_broker_that_fails_at_once_is_tried_again_ever_more_rarely_and_starts_over_when_it_was_well() -> None:
    async with _world(PodBroker(BROKER)) as it:
        _, pod = await it.next_pod()
        waits: list[float] = []
        attempts: list[str] = []
        for _ in range(8):
            pod = await it.run(pod, 0.0)
            waited, pod = await it.next_pod(pod)
            waits.append(round(waited, 3))
            attempts.append(pod.metadata.annotations[ANNOTATION_ATTEMPT])
        assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
        assert attempts == ["1", "2", "3", "4", "5", "6", "7", "8"]
        pod = await it.run(pod, 599.0)
        waited, pod = await it.next_pod(pod)
        assert (round(waited, 3), pod.metadata.annotations[ANNOTATION_ATTEMPT]) == (300, "9")
        pod = await it.run(pod, 600.0)
        waited, pod = await it.next_pod(pod)
        assert (round(waited, 3), pod.metadata.annotations[ANNOTATION_ATTEMPT]) == (10, "1")


async def test_c1_a_job_that_no_node_admits_is_replaced_with_back_off() -> None:
    async with _world(JobBroker(JOB)) as it:
        pod: Pod | None = None
        waits: list[float] = []
        jobs: list[str] = []
        for _ in range(4):
            waited, pod = await it.next_pod(pod)
            waits.append(round(waited, 3))
            (job,) = it.store.jobs
            jobs.append(job.metadata.uid)
            rejected = partial(evolve, phase=Phase.FAILED, reason="UnexpectedAdmissionError", finished=it.clock.wall())
            await it.store.change_pod(pod, rejected)
        assert waits == [0, 10, 20, 40]
        assert len(set(jobs)) == 4


async def test_c1_a_job_whose_program_fails_is_left_as_it_ended() -> None:
    async with _world(JobBroker(JOB)) as it:
        _, pod = await it.next_pod()
        await it.run(pod, 1.0)
        (job,) = it.store.jobs
        await it.clock.advance(1000)
        assert [(one.metadata.uid, one.failed, one.reason) for one in it.store.jobs] == [(job.metadata.uid, True, "BackoffLimitExceeded")]

"""A store that cannot write for a while is told later, everything and in order, and nobody waits for it who does not have to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from attrs import evolve

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import NodeName, ObjectKey
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_report import PodReport, insist
from akri.scheduling.model import Phase
from akri.testing.clock import VirtualClock

KEY = ObjectKey("default", "broker")


class FullStore(MemoryStore):
    """A store whose disk is full for a while."""

    full = True

    async def change_pod(self, pod: Pod, change: Callable[[Pod], Pod]) -> Pod | None:
        """Change a pod, or say that nobody knows whether it was done."""
        if self.full:
            raise OutcomeUnknownError("the disk is full")
        return await super().change_pod(pod, change)


async def test_what_could_not_be_stored_is_stored_later_in_order() -> None:
    clock = VirtualClock()
    store = FullStore(clock)
    await store.register_node(NodeName("node-a"))
    pod = await store.create_pod(KEY, {"containers": []})
    report = PodReport(store, clock, pod)
    task = asyncio.create_task(report.run())
    report.show(partial(evolve, phase=Phase.RUNNING, started=5.0))
    await clock.settle()
    report.show(partial(evolve, reason="CrashLoopBackOff", message="first"))
    report.show(lambda now: evolve(now, message=f"{now.message}, second"))
    await clock.advance(10)
    assert store.pod(KEY) == pod
    store.full = False
    await clock.advance(2)
    stored = store.pod(KEY)
    assert stored is not None
    assert (stored.phase, stored.started, stored.reason, stored.message) == (Phase.RUNNING, 5.0, "CrashLoopBackOff", "first, second")
    await report.stored()
    task.cancel()
    await asyncio.wait({task})


async def test_insisting_goes_on_until_it_is_done() -> None:
    clock = VirtualClock()
    tries: list[int] = []

    async def change() -> str:
        tries.append(1)
        if len(tries) < 4:
            raise OutcomeUnknownError("not now")
        return "done"

    task = asyncio.create_task(insist(clock, change))
    await clock.advance(10)
    assert (await task, len(tries)) == ("done", 4)

"""C1, C4 with processes: brokers that fail at once, jobs that no node admits, and two controllers on one state folder."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest

from akri.core.metadata import JsonObject
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import holder
from akri.scheduling.model import ANNOTATION_ATTEMPT, Phase
from tests.integration.local.plant import RejectedError, configuration, echo, plant

pytestmark = pytest.mark.timeout(240)


async def test_c1_a_broker_that_fails_at_once_is_tried_again_ever_more_rarely() -> None:
    """Both ways: a pod that may not start again in place gets successors, another one has its container started again."""
    async with plant() as it:
        await it.up("a")
        await it.apply(
            configuration("once", echo("pod"), brokerSpec=it.brokers_spec(rest="exit 1", restartPolicy="Never")),
            configuration("always", echo("container"), brokerSpec=it.brokers_spec(rest="exit 1", restartPolicy="Always")),
        )
        await it.until(lambda: len(it.starts("pod")) == 3 and len(it.starts("container")) == 4, "both were tried again")
        for name, begin in (("pod", 0), ("container", 1)):  # a container is started again at once the first time
            waits = [later - earlier for (_, earlier), (_, later) in pairwise(it.starts(name))][begin:]
            assert waits[0] >= 9.9, (name, waits)
            assert waits[1] >= 19.9, (name, waits)
        (pod,) = (one for one in it.store.pods if "once" in one.metadata.key.name)
        assert pod.metadata.annotations[ANNOTATION_ATTEMPT] == "2"
        (other,) = (one for one in it.store.pods if "always" in one.metadata.key.name)
        assert (other.metadata.annotations.get(ANNOTATION_ATTEMPT, "0"), other.phase) == ("0", Phase.RUNNING)


async def test_c1_a_job_that_no_node_admits_is_replaced() -> None:
    """Node a stops while it gives devices to jobs, and another node takes those that are free still: then a's jobs are refused."""
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        devices = [f"foo{number}" for number in range(20)]
        await it.apply(configuration("cam", echo(*devices)))
        await it.until(lambda: it.healthy("cam", "a") == it.healthy("cam", "b") == len(devices), "both nodes offer all")
        resources: JsonObject = {"limits": {"{{PLACEHOLDER}}": "1"}}
        pod: JsonObject = {"restartPolicy": "Never", "containers": [it.broker(rest="exit 0", resources=resources)]}
        job: JsonObject = {"template": {"spec": pod}, "backoffLimit": 0}
        await it.apply(configuration("cam", echo(*devices), brokerSpec={"brokerJobSpec": job}))
        await it.until(lambda: bool(it.usages()), "the first has its device")
        it.of("a").pause()
        free = [one.name for one in it.store.instances if not any(one.device_usage.values())]
        users = [await it.create(f"user-{name}", name, node="b") for name in free]
        for user in users:
            with suppress(RejectedError):  # node a was quicker with this one
                await it.running(user)
        it.of("a").resume()
        refused = {"UnexpectedAdmissionError"}
        await it.until(lambda: any(one.reason in refused for one in it.store.pods), "some are refused")
        first = {owner.uid for one in it.store.pods if one.reason in refused for owner in one.metadata.owners}
        for user in users:
            await it.delete(user.metadata.key.name)
        await it.until(lambda: len(it.store.jobs) == len(devices) and all(one.complete for one in it.store.jobs), "all jobs are done")
        assert not first & {one.metadata.uid for one in it.store.jobs}
        assert [len(it.starts(name)) for name in devices] == [1] * len(devices)


async def test_c4_a_second_controller_is_refused_and_one_that_comes_all_the_same_makes_no_second_broker() -> None:
    """Somebody removes the lock's file; then there are two controllers for one state folder."""
    async with plant() as it:
        first = await it.up("a")
        assert f"process {first.process.pid}" in await it.akri("up", "--node", "c", code=1)
        lock = StateFolder.at(it.state).controller_lock
        lock.unlink()
        second = await it.up("c")
        assert holder(lock) == second.process.pid
        assert first.lives
        devices = [f"foo{number}" for number in range(10)]
        spec: JsonObject = {"capacity": 2, "brokerSpec": it.brokers_spec(shares=True), "instanceServiceSpec": {"ports": [{"port": 80}]}}
        await it.apply(configuration("cam", echo(*devices), spec))
        await it.until(lambda: len(it.brokers()) == 20, "each device has a broker on each node")
        await asyncio.sleep(2)
        assert [len(it.starts(name)) for name in devices] == [2] * 10
        assert len(it.store.pods) == 20
        assert len(it.store.services) == 10
        first.kill()
        await it.akri("delete", "cam")
        await it.until(lambda: not it.store.instances, "all is gone")

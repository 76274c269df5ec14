"""The loop as a whole, over the in-memory platform."""

from __future__ import annotations

from attrs import evolve

from akri.core.ids import NodeName
from akri.scheduling.model import Phase
from tests.unit.controller.world import configuration, key, world


async def test_brokers_start_follow_edits_and_go() -> None:
    async with world() as w:
        await w.store.apply(configuration())
        await w.instance("cam-aaaaaa", "a", "b", "c")
        await w.play()
        assert w.pods() == {"a-cam-aaaaaa-pod": Phase.RUNNING, "b-cam-aaaaaa-pod": Phase.RUNNING}
        first = w.pod("a-cam-aaaaaa-pod")
        await w.store.apply(configuration(spec={"containers": []}))
        await w.play()
        await w.play()
        second = w.pod("a-cam-aaaaaa-pod")
        assert second.metadata.uid != first.metadata.uid
        assert second.spec["containers"] == []
        await w.store.delete(key("cam"))
        await w.play()
        assert w.pods() == {}


async def test_a_failed_broker_comes_back_after_its_back_off() -> None:
    async with world() as w:
        await w.store.apply(configuration(capacity=1))
        await w.instance("cam-aaaaaa", "a", shared=False)
        await w.play()
        pod = w.pod("cam-aaaaaa-pod")
        await w.store.change_pod(pod, lambda pod: evolve(pod, phase=Phase.FAILED, finished=w.clock.wall()))
        await w.clock.advance(9.9)
        assert w.pod("cam-aaaaaa-pod").metadata.uid == pod.metadata.uid
        await w.clock.advance(0.2)
        await w.play()
        again = w.pod("cam-aaaaaa-pod")
        assert again.phase is Phase.RUNNING
        assert again.metadata.annotations["akri.sh/attempt"] == "1"


async def test_a_lost_node_leaves_its_instances() -> None:
    async with world() as w:
        await w.store.apply(configuration(capacity=1))
        await w.instance("cam-aaaaaa", "a", "b")
        await w.play()
        await w.store.set_node_ready(NodeName("a"), ready=False)
        await w.clock.advance(299.0)
        instance = w.store.instance(key("cam-aaaaaa"))
        assert instance is not None
        assert instance.nodes == ("a", "b")
        await w.clock.advance(2.0)
        instance = w.store.instance(key("cam-aaaaaa"))
        assert instance is not None
        assert instance.nodes == ("b",)
        await w.play()
        assert w.pods() == {"b-cam-aaaaaa-pod": Phase.RUNNING}


async def test_a_status_tells_of_the_brokers() -> None:
    async with world() as w:
        await w.store.apply(configuration())
        await w.instance("cam-aaaaaa", "a", "b", "c")
        await w.play()
        await w.clock.advance(2.0)
        status = w.store.status(key("cam"))
        assert status is not None
        assert (status.instances, status.nodes, status.brokers, status.brokers_ready) == (1, 3, 2, 2)
        assert [(one.type, one.status, one.reason.value) for one in status.conditions] == [
            ("Accepted", True, "Accepted"),
            ("Discovering", False, "HandlerMissing"),
            ("BrokersReady", True, "BrokersReady"),
        ]

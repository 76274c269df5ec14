"""The loop as a whole, over the in-memory platform."""

from __future__ import annotations

import asyncio

from attrs import evolve

from akri.controller.controller import Controller
from akri.core.configuration import JobBroker, NoBroker
from akri.core.ids import NodeName
from akri.core.reports import Reason
from akri.scheduling.model import Phase
from akri.testing.faults import Orders
from tests.unit.controller.world import POD, Recording, configuration, key, world


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


async def test_another_controller_finds_everything_as_it_should_be() -> None:
    async with world() as w:
        await w.store.apply(configuration())
        for number in range(20):
            await w.instance(f"cam-{number:06d}", "a", "b")
        await w.play()
        before = {pod.metadata.uid for pod in w.store.pods}
        assert len(before) == 40
        second = Recording(w.store.cluster(), w.clock, Orders())
        task = asyncio.create_task(Controller(second, w.clock).run())
        await w.clock.advance(700.0)
        assert second.actions == []
        assert {pod.metadata.uid for pod in w.store.pods} == before
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_two_controllers_never_make_two_brokers() -> None:
    async with world() as w:
        other = asyncio.create_task(Controller(w.store.cluster(), w.clock).run())
        await w.store.apply(configuration(capacity=1))
        for number in range(20):
            await w.instance(f"cam-{number:06d}", "a", "b")
        await w.play()
        await w.clock.advance(10.0)
        assert w.pods() == {f"a-cam-{number:06d}-pod": Phase.RUNNING for number in range(20)}
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


async def test_a_moved_device_gets_a_new_broker() -> None:
    async with world() as w:
        await w.store.apply(configuration(capacity=1))
        device = await w.instance("cam-aaaaaa", "a")
        await w.play()
        before = w.pod("a-cam-aaaaaa-pod")
        stored = w.store.instance(device.key)
        assert stored is not None
        await w.store.put_instance(evolve(stored, broker_properties={"UDEV_DEVNODE": "/dev/video1"}))
        await w.play()
        await w.play()
        assert w.pod("a-cam-aaaaaa-pod").metadata.uid != before.metadata.uid
        assert Reason.DEVICE_MOVED in {event.reason for event in w.store.events}


async def test_services_and_jobs_are_carried_out() -> None:
    async with world() as w:
        job = evolve(configuration(), broker=JobBroker({"template": {"spec": POD}}), instance_service={"ports": []})
        await w.store.apply(job)
        await w.instance("cam-aaaaaa", "a")
        await w.clock.settle()
        assert [one.metadata.key.name for one in w.store.jobs] == ["cam-aaaaaa-1-job"]
        assert [one.metadata.key.name for one in w.store.services] == ["cam-aaaaaa-svc"]
        before = w.store.services[0].metadata.uid
        await w.store.apply(evolve(job, instance_service={"ports": [{"port": 80}]}))
        await w.clock.settle()
        assert w.store.services[0].metadata.uid == before
        assert w.store.services[0].spec["ports"] == [{"port": 80}]
        await w.store.apply(evolve(job, broker=NoBroker()))
        await w.clock.advance(1.0)
        assert w.store.jobs == ()
        assert w.store.services == ()

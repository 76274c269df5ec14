"""E5, E7, E10: devices that move, that vanish everywhere, and that share a digest or come in thousands."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import PodBroker
from akri.core.device import Device, DeviceNode
from akri.core.ids import DeviceId, ObjectKey
from akri.core.reports import Reason
from akri.scheduling.model import Phase
from akri.testing.faults import Conflict, Fault, Late, LostAfter, LostBefore, Slow
from tests.scenarios.brokers import BROKER, controlled
from tests.scenarios.cluster import cluster, configuration, device, resource
from tests.unit.agent.world import agent_world

POD = ObjectKey("default", "cam-8120fe-pod")
TWINS = {"foo5913": "cam-53754f", "foo6157": "cam-75a7484d"}


def _camera(node: str) -> Device:
    return Device(DeviceId("foo0"), {"NODE": node}, device_nodes=(DeviceNode(node, node),))


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_e5_a_device_that_comes_back_with_another_node_is_handed_out_with_it(level: str) -> None:
    async with cluster(_camera("/dev/video0")) as it:
        await it.apply(configuration(capacity=2))
        node = it.nodes[0]
        pod = await node.run_pod("user", {resource(level): 1})
        assert pod.edits["main-0"].device_nodes == (DeviceNode("/dev/video0", "/dev/video0"),)
        await it.clock.advance(1)
        node.source.show(_camera("/dev/video7"))
        await it.until(lambda: it.instance().broker_properties["NODE"] == "/dev/video7")
        again = await node.run_pod("user-again", {resource("cam-8120fe"): 1})
        assert again.edits["main-0"].device_nodes == (DeviceNode("/dev/video7", "/dev/video7"),)
        assert again.edits["main-0"].environment["NODE"] == "/dev/video7"
        told = [event for event in it.store.events if event.kind == "Pod" and event.reason is Reason.DEVICE_MOVED]
        assert [event.about.name for event in told] == ["user"]
        assert node.store.pod(pod.pod.metadata.key) is not None
        assert len(it.usages()) == 2


async def test_e5_the_broker_of_a_device_that_moved_is_replaced() -> None:
    async with cluster(_camera("/dev/video0"), shared=False) as it, controlled(it) as brokers:
        await it.store.apply(evolve(configuration(), broker=PodBroker(BROKER)))
        await brokers.until(lambda: bool(brokers.running))
        (name, first), *_ = brokers.running.items()
        assert first.edits["broker"].device_nodes == (DeviceNode("/dev/video0", "/dev/video0"),)
        it.nodes[0].source.show(_camera("/dev/video7"))
        await brokers.until(lambda: name in brokers.running and brokers.running[name].uid != first.uid)
        assert brokers.running[name].edits["broker"].device_nodes == (DeviceNode("/dev/video7", "/dev/video7"),)
        assert [pod.phase for pod in it.store.pods] == [Phase.RUNNING]
        assert len(it.usages()) == 1


@pytest.mark.parametrize("fault", [None, Conflict(), LostBefore(5.0), LostAfter(5.0), Late(3.0), Slow(2.0, 2.0), Slow(after=30.0)])
async def test_e7_an_instance_goes_with_its_last_node_also_when_two_drop_it_at_once(fault: Fault | None) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        assert set(it.instance().nodes) == {"node-a", "node-b"}
        for node in it.nodes:
            node.orders.add("leave", fault, fault)
            node.source.show(gone=("foo0",))
        await it.until(lambda: not it.store.instances, 60)
        await it.until(lambda: all(not node.devices("cam-8120fe") and not node.devices("cam") for node in it.nodes))
        await it.clock.advance(45)
        assert it.store.instances == ()


async def test_e7_an_instance_stays_with_the_node_that_still_sees_it() -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        uid = it.instance().metadata.uid
        it.nodes[0].source.show(gone=("foo0",))
        await it.until(lambda: it.instance().nodes == ("node-b",))
        await it.clock.advance(400)
        assert it.instance().metadata.uid == uid
        await it.nodes[1].run_pod("user", {resource("cam"): 1})
        it.nodes[1].source.show(gone=("foo0",))
        await it.until(lambda: not it.store.instances)


async def test_e10_two_devices_with_one_digest_exist_under_different_names_and_can_both_be_had() -> None:
    twins = [device(name, ID=name) for name in TWINS]
    async with cluster(*twins, nodes=2) as it:
        await it.apply(configuration())
        await it.until(lambda: all(node.healthy(name) for node in it.nodes for name in TWINS.values()))
        assert {instance.device_id: instance.name for instance in it.store.instances} == TWINS
        for name, instance in TWINS.items():
            pod = await it.nodes[1].run_pod(name, {resource(instance): 1})
            assert pod.edits["main-0"].environment["ID"] == name
        assert it.usages() == {f"{instance}-0": "node-b" for instance in TWINS.values()}
        await it.clock.advance(60)
        assert {instance.device_id: instance.name for instance in it.store.instances} == TWINS


async def test_e10_ten_thousand_devices_in_one_configuration_stay_ten_thousand_instances() -> None:
    count = 10_000
    async with agent_world(*(device(f"foo{number}") for number in range(count))) as it:
        await it.store.apply(configuration())
        await it.clock.run_until(lambda: len(it.plugins.offered) == count + 1)
        assert len({instance.device_id for instance in it.store.instances}) == count
        assert len({instance.name for instance in it.store.instances}) == count
        assert len(it.plugins.healthy("cam")) == count
        await it.clock.advance(60)
        assert len(it.store.instances) == count

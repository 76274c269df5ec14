"""What an agent can rely on with any kubelet. These tests know a kubelet through the driver only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, ClaimRefusedError
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.wire import DeviceIds
from akri.testing.kubelet import pod
from tests.integration.deviceplugin.agent import Agent, devices, listed, until, until_listed
from tests.integration.deviceplugin.driver import Driver

CAMERA = "akri.sh/camera-8120fe"
OTHER = "akri.sh/other"


async def test_a_device_reaches_a_container(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("camera-8120fe-0"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    environment = await kubelet.run(pod("broker", {"main": {CAMERA: 1}}))
    assert environment["main"] == {"DEVICE_CAMERA_8120FE_0": "camera-8120fe-0"}
    assert await listed(kubelet) == {CAMERA: {"camera-8120fe-0": "broker"}}


async def test_the_list_is_replaced_as_a_whole(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b", "c"))
    await kubelet.shows(CAMERA, capacity=3, allocatable=3)
    agent.offer(CAMERA, devices("a", unhealthy=["b"]))
    await kubelet.shows(CAMERA, capacity=2, allocatable=1)
    agent.offer(CAMERA, {})
    await kubelet.shows(CAMERA, capacity=0, allocatable=0)
    agent.offer(CAMERA, devices("d"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)


async def test_an_unhealthy_device_is_not_allocated(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("good", unhealthy=["bad"]))
    await kubelet.shows(CAMERA, capacity=2, allocatable=1)
    with pytest.raises(AdmissionError, match="Requested: 2, Available: 1, which is unexpected"):
        await kubelet.run(pod("greedy", {"main": {CAMERA: 2}}))
    agent.offer(CAMERA, devices(unhealthy=["good", "bad"]))
    await kubelet.shows(CAMERA, capacity=2, allocatable=0)
    with pytest.raises(AdmissionError, match="Allocate failed due to no healthy devices present; cannot allocate unhealthy devices"):
        await kubelet.run(pod("late", {"main": {CAMERA: 1}}))
    assert agent.allocated == []


async def test_two_main_containers_get_two_devices(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await kubelet.run(pod("two", {"one": {CAMERA: 1}, "two": {CAMERA: 1}}))
    assert sorted(agent.allocated) == [(CAMERA, ("a",)), (CAMERA, ("b",))]


async def test_an_init_containers_device_is_offered_again(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await kubelet.run(pod("chain", {"one": {CAMERA: 1}, "two": {CAMERA: 1}}, init={"prepare": {CAMERA: 1}}))
    first, second, third = (ids for _, ids in agent.allocated)
    assert first == second
    assert set(third).isdisjoint(first)


async def test_a_sidecars_device_is_not_offered_again(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await kubelet.run(pod("side", {"main": {CAMERA: 1}}, sidecars={"companion": {CAMERA: 1}}))
    assert sorted(ids for _, ids in agent.allocated) == [("a",), ("b",)]
    assert await listed(kubelet) == {CAMERA: {"a": "side", "b": "side"}}


async def test_an_init_container_is_not_listed(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    await kubelet.run(pod("brief", {"main": {}}, init={"prepare": {CAMERA: 1}}))
    assert len(agent.allocated) == 1
    assert await listed(kubelet) == {}
    with pytest.raises(AdmissionError, match="Available: 0"):
        await kubelet.run(pod("next", {"main": {CAMERA: 1}}))


async def test_a_refusal_names_its_reason_and_keeps_nothing(kubelet: Driver, agent: Agent) -> None:
    def refuse_the_second(resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
        if len(agent.claimed) == 2:
            raise ClaimRefusedError("slot camera-8120fe-1 is held by node-b", "node-b")
        return ContainerEdits({resource.partition("/")[2]: ids[0]})

    agent.answer = refuse_the_second
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    with pytest.raises(AdmissionError, match="desc = slot camera-8120fe-1 is held by node-b, which is unexpected") as refused:
        await kubelet.run(pod("half", {"one": {CAMERA: 1}, "two": {CAMERA: 1}}))
    assert refused.value.reason == "UnexpectedAdmissionError"
    assert len(agent.allocated) == 2
    assert await listed(kubelet) == {}
    await kubelet.run(pod("whole", {"one": {CAMERA: 2}}))


async def test_a_mistake_in_allocate_costs_one_pod(kubelet: Driver, agent: Agent) -> None:
    def blunder(_resource: ResourceName, _ids: DeviceIds) -> ContainerEdits:
        raise ZeroDivisionError

    good, agent.answer = agent.answer, blunder
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    with pytest.raises(AdmissionError, match="code = Internal desc = internal error: ZeroDivisionError"):
        await kubelet.run(pod("unlucky", {"main": {CAMERA: 1}}))
    agent.answer = good
    assert await kubelet.run(pod("lucky", {"main": {CAMERA: 1}})) == {"main": {"DEVICE_A": "a"}}


async def test_several_resources_are_merged(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    agent.offer(OTHER, devices("o"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    await kubelet.shows(OTHER, capacity=1, allocatable=1)
    environment = await kubelet.run(pod("both", {"main": {CAMERA: 1, OTHER: 1}}))
    assert environment == {"main": {"DEVICE_A": "a", "DEVICE_O": "o"}}
    assert len(agent.allocated) == 2


async def test_a_resource_that_the_node_does_not_know_is_ignored(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    assert await kubelet.run(pod("odd", {"main": {"akri.sh/nothing": 1}})) == {"main": {}}


async def test_the_answer_is_told_once_it_went_out(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    agent.gate.clear()
    async with asyncio.TaskGroup() as group:
        admission = group.create_task(kubelet.run(pod("broker", {"main": {CAMERA: 1}})))
        await until(lambda: agent.allocated == [(CAMERA, ("a",))])
        assert agent.answered == []
        assert await listed(kubelet) == {}
        agent.gate.set()
        await admission
    await until(lambda: agent.answered == [(CAMERA, ("a",))])
    assert agent.failed == []


async def test_an_ended_pods_device_goes_to_the_next(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    first = pod("first", {"main": {CAMERA: 1}})
    await kubelet.run(first)
    with pytest.raises(AdmissionError, match="Requested: 1, Available: 0"):
        await kubelet.run(pod("early", {"main": {CAMERA: 1}}))
    await kubelet.end(first)
    assert await listed(kubelet) == {}
    await kubelet.run(pod("second", {"main": {CAMERA: 1}}))
    assert await listed(kubelet) == {CAMERA: {"a": "second"}}


async def test_a_preference_is_followed(kubelet: Driver) -> None:
    asked: list[tuple[DeviceIds, DeviceIds, int]] = []

    def prefer(_resource: ResourceName, available: DeviceIds, must: DeviceIds, size: int) -> Sequence[PluginDeviceId]:
        asked.append((available, must, size))
        return [PluginDeviceId("elsewhere"), PluginDeviceId("c"), PluginDeviceId("c")]

    async with Agent(kubelet.plugins, prefer=prefer) as agent:
        agent.offer(CAMERA, devices("a", "b", "c", unhealthy=["d"]))
        await kubelet.shows(CAMERA, capacity=4, allocatable=3)
        await kubelet.run(pod("picky", {"main": {CAMERA: 1}}))
        assert agent.allocated == [(CAMERA, ("c",))]
        assert [(set(available), must, size) for available, must, size in asked] == [({"a", "b", "c"}, (), 1)]


async def test_a_mistake_in_the_preference_costs_nothing(kubelet: Driver) -> None:
    def prefer(_resource: ResourceName, _available: DeviceIds, _must: DeviceIds, _size: int) -> Sequence[PluginDeviceId]:
        raise ZeroDivisionError

    async with Agent(kubelet.plugins, prefer=prefer) as agent:
        agent.offer(CAMERA, devices("a", "b"))
        await kubelet.shows(CAMERA, capacity=2, allocatable=2)
        await kubelet.run(pod("broker", {"main": {CAMERA: 1}}))
        assert len(agent.allocated) == 1


async def test_everything_is_registered_again_after_a_kubelet_restart(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b"))
    agent.offer(OTHER, devices("o"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await kubelet.shows(OTHER, capacity=1, allocatable=1)
    kept = pod("kept", {"main": {CAMERA: 1}})
    await kubelet.run(kept)
    (_, held), *_ = agent.allocated
    await kubelet.restart()
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await kubelet.shows(OTHER, capacity=1, allocatable=1)
    assert len(agent.kubelet_starts) == 1
    await until_listed(kubelet, CAMERA, ["kept"])
    assert await listed(kubelet) == {CAMERA: {held[0]: "kept"}}
    await kubelet.run(pod("second", {"main": {CAMERA: 1}}))
    with pytest.raises(AdmissionError, match="Available: 0"):
        await kubelet.run(pod("third", {"main": {CAMERA: 1}}))


async def test_a_new_agent_takes_over(kubelet: Driver) -> None:
    async with Agent(kubelet.plugins) as former:
        former.offer(CAMERA, devices("a"))
        await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    await kubelet.shows(CAMERA, capacity=1, allocatable=0)
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a"))
        await kubelet.shows(CAMERA, capacity=1, allocatable=1)
        await kubelet.run(pod("broker", {"main": {CAMERA: 1}}))
        assert former.allocated == []
        assert len(agent.allocated) == 1


async def test_a_withdrawn_resource_counts_as_nothing_and_may_come_back(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    agent.withdraw(CAMERA)
    agent.withdraw(CAMERA)
    await kubelet.shows(CAMERA, capacity=0, allocatable=0)
    agent.offer(CAMERA, devices("b"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    agent.withdraw(CAMERA)
    agent.offer(CAMERA, devices("c", "d"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)


async def test_many_resources_register_together(kubelet: Driver, agent: Agent) -> None:
    names = [f"akri.sh/many-{number}" for number in range(50)]
    for name in names:
        agent.offer(name, devices(f"{name}-0"))
    for name in names:
        await kubelet.shows(name, capacity=1, allocatable=1)
    await until(lambda: agent.host.streaming == frozenset(ResourceName(name) for name in names))


async def test_pods_of_one_name_are_told_apart_by_uid(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    first = pod("same", {"main": {CAMERA: 1}}, uid="1")
    await kubelet.run(first)
    await kubelet.end(first)
    await kubelet.run(pod("same", {"main": {CAMERA: 1}}, uid="2"))
    listing = await PodResourcesClient(kubelet.pod_resources_socket, SystemClock()).list()
    assert listing.users[ResourceName(CAMERA)] == {PluginDeviceId("a"): ObjectKey("default", "same")}
    assert [ids for _, ids in agent.allocated] == [("a",), ("a",)]

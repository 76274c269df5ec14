"""What any kubelet makes of device lists: whole, wrong, too large, and of devices that are in use."""

from __future__ import annotations

import asyncio

import pytest

from akri.core.device import DeviceNode
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, RemoteCallError
from akri.core.ids import PluginDeviceId
from akri.deviceplugin import wire
from akri.testing.kubelet import pod
from tests.integration.deviceplugin.agent import ALL_OPTIONS, Agent, RawPlugin, answer, devices, listed, until_listed
from tests.integration.deviceplugin.driver import Driver

RAW = "example.com/raw"
LEAKY = "example.com/leaky"


async def streaming(kubelet: Driver, plugin: RawPlugin) -> None:
    plugin.lists = [wire.write_device_list(devices("a", "b"))]
    await plugin.register(RAW)
    await kubelet.shows(RAW, capacity=2, allocatable=2)


async def test_an_empty_list_is_a_list(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        await streaming(kubelet, plugin)
        await plugin.send(wire.write_device_list({}))
        await kubelet.shows(RAW, capacity=0, allocatable=0)
        with pytest.raises(AdmissionError, match=r"no healthy devices present; cannot allocate unhealthy devices example.com/raw"):
            await kubelet.run(pod("broker", {"main": {RAW: 1}}))


async def test_rubbish_for_a_device_list_ends_the_stream(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a")), b"\xff"]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=0)


async def test_a_device_list_over_four_mebibytes_ends_the_stream(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a")), wire.write_device_list(devices(*(f"{n:050}" for n in range(80_000))))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=0)


async def test_a_device_list_below_four_mebibytes_is_taken(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices(*(f"{n:050}" for n in range(19_999))))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=19_999, allocatable=19_999)


async def test_of_equal_ids_the_last_counts_and_unknown_health_is_unhealthy(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        sick = wire.write_device_list(devices("b")).replace(b"Healthy", b"Shaking")
        plugin.allocate = answer(A="a")
        plugin.lists = [wire.write_device_list(devices("a")) + wire.write_device_list(devices("a")) + sick]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=1)
        await kubelet.run(pod("broker", {"main": {RAW: 1}}))
        assert await listed(kubelet) == {RAW: {"a": "broker"}}


async def test_a_device_that_turns_unhealthy_in_use_stays_with_its_pod(kubelet: Driver, agent: Agent) -> None:
    agent.offer(RAW, devices("a"))
    await kubelet.shows(RAW, capacity=1, allocatable=1)
    user = pod("user", {"main": {RAW: 1}})
    await kubelet.run(user)
    agent.offer(RAW, devices(unhealthy=["a"]))
    await kubelet.shows(RAW, capacity=1, allocatable=0)
    assert kubelet.runs(user)
    assert await listed(kubelet) == {RAW: {"a": "user"}}
    assert await kubelet.start_again(user, "main") == {"DEVICE_A": "a"}
    assert len(agent.allocated) == 1
    agent.offer(RAW, devices("a"))
    await kubelet.shows(RAW, capacity=1, allocatable=1)
    with pytest.raises(AdmissionError, match="Requested: 1, Available: 0"):
        await kubelet.run(pod("next", {"main": {RAW: 1}}))


async def test_a_device_that_is_dropped_in_use_stays_with_its_pod(kubelet: Driver, agent: Agent) -> None:
    agent.offer(RAW, devices("a", "b"))
    await kubelet.shows(RAW, capacity=2, allocatable=2)
    user = pod("user", {"main": {RAW: 2}})
    environment = await kubelet.run(user)
    agent.offer(RAW, devices("b"))
    await kubelet.shows(RAW, capacity=1, allocatable=1)
    assert kubelet.runs(user)
    assert await listed(kubelet) == {RAW: {"a": "user", "b": "user"}}
    assert await kubelet.start_again(user, "main") == environment["main"]
    agent.offer(RAW, devices("a", "b", "c"))
    await kubelet.shows(RAW, capacity=3, allocatable=3)
    await kubelet.run(pod("next", {"main": {RAW: 1}}))
    assert await listed(kubelet) == {RAW: {"a": "user", "b": "user", "c": "next"}}


async def test_a_plugin_that_dies_leaves_its_pods_alone(kubelet: Driver) -> None:
    user = pod("user", {"main": {RAW: 1}})
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        plugin.preferred = wire.write_preferred_response([[PluginDeviceId("a")]])
        plugin.allocate = answer(A="a")
        await streaming(kubelet, plugin)
        await kubelet.run(user)
    await kubelet.shows(RAW, capacity=2, allocatable=0)
    assert kubelet.runs(user)
    assert await listed(kubelet) == {RAW: {"a": "user"}}


async def test_an_answer_without_containers_fails_the_pod(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a", "b"))]
        await plugin.register(LEAKY)
        await kubelet.shows(LEAKY, capacity=2, allocatable=2)
        with pytest.raises(AdmissionError, match=r"Allocate failed due to no containers return in allocation response.*, which"):
            await kubelet.run(pod("unlucky", {"main": {LEAKY: 1}}))
        plugin.allocate = answer(A="a")
        assert await listed(kubelet) == {}
        if kubelet.habits.empty_answer_leaks:
            with pytest.raises(AdmissionError, match="Requested: 2, Available: 1"):
                await kubelet.run(pod("next", {"main": {LEAKY: 2}}))
        else:
            await kubelet.run(pod("next", {"main": {LEAKY: 2}}))


async def test_only_the_first_container_of_an_answer_counts(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        await streaming(kubelet, plugin)
        plugin.allocate = answer(A="first") + answer(A="second")
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"A": "first"}}


async def test_rubbish_for_an_answer_fails_the_pod(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        await streaming(kubelet, plugin)
        plugin.allocate = b"\xff"
        with pytest.raises(AdmissionError, match=r"Allocate failed due to .*, which is unexpected"):
            await kubelet.run(pod("unlucky", {"main": {RAW: 2}}))
        plugin.allocate = answer(A="a")
        await kubelet.run(pod("lucky", {"main": {RAW: 2}}))


async def test_a_plugin_that_is_asked_too_much_says_so(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        await streaming(kubelet, plugin)
        plugin.preferred = RemoteCallError("no idea", "UNAVAILABLE")
        text = "device plugin GetPreferredAllocation rpc failed with err: rpc error: code = Unavailable desc = no idea"
        with pytest.raises(AdmissionError, match=text):
            await kubelet.run(pod("broker", {"main": {RAW: 1}}))


async def test_a_plugin_that_dies_during_allocate_fails_the_pod(kubelet: Driver) -> None:
    plugin = RawPlugin(kubelet.plugins)
    async with plugin:
        await streaming(kubelet, plugin)
        plugin.allocate_gate.clear()
        admission = asyncio.create_task(kubelet.run(pod("broker", {"main": {RAW: 1}})))
        await plugin.allocating.wait()
    # gRPC calls it one or the other, as the connection's end is heard before the stream's or after it.
    with pytest.raises(AdmissionError, match=r"Allocate failed due to rpc error: code = (Unavailable|Canceled)"):
        await admission
    assert await listed(kubelet) == {}


async def test_permissions_that_cannot_be(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        await streaming(kubelet, plugin)
        node = wire.write_allocate_response([ContainerEdits({}, (), (DeviceNode("/dev/a", "/dev/null", "rwm"),))])
        plugin.allocate = node.replace(b"rwm", b"xyz")
        if kubelet.habits.any_permissions:
            # The pod is admitted; its container cannot be made.
            start = asyncio.create_task(kubelet.run(pod("broker", {"main": {RAW: 1}})))
            await until_listed(kubelet, RAW, ["broker"])
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
        else:
            with pytest.raises(AdmissionError, match="permissions: 'xyz' is not valid"):
                await kubelet.run(pod("broker", {"main": {RAW: 1}}))
        plugin.allocate = node
        await kubelet.run(pod("next", {"main": {RAW: 1}}))

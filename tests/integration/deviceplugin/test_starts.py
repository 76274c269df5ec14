"""What any kubelet does around starts: of containers, and its own."""

from __future__ import annotations

import asyncio

import pytest

from akri.clock import SystemClock
from akri.core.errors import AdmissionError, RemoteCallError
from akri.core.ids import ObjectKey, PluginDeviceId
from akri.deviceplugin import wire
from akri.deviceplugin.host import KUBELET_SOCKET
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.transport import connect
from akri.rpc import call
from akri.testing.kubelet import pod
from tests.integration.deviceplugin.agent import ALL_OPTIONS, Agent, RawPlugin, answer, devices, listed, until_listed
from tests.integration.deviceplugin.driver import Driver

CAMERA = "akri.sh/camera-8120fe"
RAW = "example.com/raw"


async def test_each_start_of_a_container_is_announced_to_a_plugin_that_wants_it(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = wire.write_options(wire.Options(pre_start_required=True))
        plugin.allocate = answer(A="a")
        plugin.lists = [wire.write_device_list(devices("a", "b"))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        broker = pod("broker", {"main": {RAW: 2}, "idle": {}})
        await kubelet.run(broker)
        assert [set(ids) for ids in plugin.pre_started] == [{"a", "b"}]
        assert await kubelet.start_again(broker, "main") == {"A": "a"}
        assert [set(ids) for ids in plugin.pre_started] == [{"a", "b"}] * 2
        assert plugin.allocations == 1


async def test_a_start_that_the_plugin_refuses_is_tried_again(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        plugin.preferred = wire.write_preferred_response([[PluginDeviceId("b")]])
        plugin.allocate = answer(A="b")
        plugin.lists = [wire.write_device_list(devices("a", "b"))]
        plugin.pre_start = RemoteCallError("not yet")
        plugin.refused_starts = 1
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"A": "b"}}
        assert plugin.pre_started == [("b",), ("b",)]


async def test_init_containers_are_announced_as_well(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = wire.write_options(wire.Options(pre_start_required=True))
        plugin.allocate = answer(A="a")
        plugin.lists = [wire.write_device_list(devices("a", "b"))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        environment = await kubelet.run(pod("broker", {"main": {RAW: 1}}, init={"prepare": {RAW: 1}}))
        assert environment == {"prepare": {"A": "a"}, "main": {"A": "a"}}
        first, second = plugin.pre_started
        assert first == second


async def test_a_container_starts_again_while_its_plugin_is_away(kubelet: Driver) -> None:
    user = pod("user", {"main": {CAMERA: 1}})
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a"))
        await kubelet.shows(CAMERA, capacity=1, allocatable=1)
        await kubelet.run(user)
    await kubelet.shows(CAMERA, capacity=1, allocatable=0)
    assert await kubelet.start_again(user, "main") == {"DEVICE_A": "a"}


async def test_a_restart_removes_sockets_and_nothing_else(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a"))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        (kubelet.plugins / "a-file").write_text("kept", encoding="utf-8")
        (kubelet.plugins / "a-folder").mkdir(exist_ok=True)
        before = (kubelet.plugins / KUBELET_SOCKET).stat()
        await kubelet.stop()
        assert (kubelet.plugins / plugin.name).is_socket()
        await kubelet.start()
        after = (kubelet.plugins / KUBELET_SOCKET).stat()
        assert (before.st_ino, before.st_ctime_ns) != (after.st_ino, after.st_ctime_ns)
        assert not (kubelet.plugins / plugin.name).exists()
        assert (kubelet.plugins / "a-file").read_text(encoding="utf-8") == "kept"
        (kubelet.plugins / "a-file").unlink()
        (kubelet.plugins / "a-folder").rmdir()
        await kubelet.shows(RAW, capacity=0, allocatable=0)
        assert plugin.streams == 1


async def test_a_running_pod_outlives_a_restart_without_its_plugin(kubelet: Driver) -> None:
    user = pod("user", {"main": {CAMERA: 1}})
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a"))
        await kubelet.shows(CAMERA, capacity=1, allocatable=1)
        await kubelet.run(user)
    await kubelet.restart()
    await until_listed(kubelet, CAMERA, ["user"])
    await kubelet.shows(CAMERA, capacity=0, allocatable=0)
    await asyncio.sleep(1.5)  # until it has been admitted again
    assert kubelet.runs(user)
    assert await kubelet.start_again(user, "main") == {"DEVICE_A": "a"}
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a", "b"))
        await kubelet.shows(CAMERA, capacity=2, allocatable=2)
        await kubelet.run(pod("next", {"main": {CAMERA: 1}}))
        assert agent.allocated == [(CAMERA, ("b",))]


async def test_a_finished_init_container_ends_its_pod_after_a_restart_without_its_plugin(kubelet: Driver) -> None:
    user = pod("user", {"main": {}}, init={"prepare": {CAMERA: 1}})
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a"))
        await kubelet.shows(CAMERA, capacity=1, allocatable=1)
        await kubelet.run(user)
    await kubelet.restart()
    await kubelet.ended_by_restart(user)
    assert not kubelet.runs(user)


async def test_a_plugin_that_is_back_at_once_saves_its_pods(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"), in_use=True)
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    user = pod("user", {"main": {}}, init={"prepare": {CAMERA: 1}})
    await kubelet.run(user)
    await kubelet.restart()
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    await asyncio.sleep(1.5)  # until it has been admitted again
    assert kubelet.runs(user)
    assert len(agent.allocated) == 1
    with pytest.raises(AdmissionError, match="Available: 0"):
        await kubelet.run(pod("next", {"main": {CAMERA: 1}}))


async def test_a_kubelet_that_is_away_for_long_finds_everything_when_it_is_back(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    user = pod("user", {"main": {CAMERA: 1}})
    await kubelet.run(user)
    await kubelet.stop()
    await asyncio.sleep(1)
    assert agent.host.streaming == frozenset()
    assert kubelet.runs(user)
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.start()
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)
    await until_listed(kubelet, CAMERA, ["user"])


async def test_force_deleted_pods_are_not_listed_and_their_devices_are_given_on(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    former = pod("former", {"main": {CAMERA: 1}})
    await kubelet.run(former)
    await kubelet.delete_by_force(former)
    assert await listed(kubelet) == {}
    await kubelet.run(pod("next", {"main": {CAMERA: 1}}))
    assert [ids for _, ids in agent.allocated] == [("a",), ("a",)]


async def test_active_pods_are_listed_with_or_without_devices(kubelet: Driver, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a"))
    await kubelet.shows(CAMERA, capacity=1, allocatable=1)
    idle, user = pod("idle", {"main": {}}), pod("user", {"main": {CAMERA: 1}})
    await kubelet.run(idle)
    await kubelet.run(user)
    with pytest.raises(AdmissionError):
        await kubelet.run(pod("refused", {"main": {CAMERA: 1}}))
    client = PodResourcesClient(kubelet.pod_resources_socket, SystemClock())
    mine = {ObjectKey("default", name) for name in ("idle", "user", "refused")}
    assert (await client.list()).pods & mine == {idle.key, user.key}
    await kubelet.end(user)
    assert (await client.list()).pods & mine == {idle.key}


async def test_lists_have_a_limit_that_all_clients_share(kubelet: Driver) -> None:
    outcomes = await asyncio.gather(*(ask(kubelet) for _ in range(60)))
    assert 10 <= outcomes.count("") <= 45
    assert set(outcomes) == {"", "rpc error: code = ResourceExhausted desc = rejected by rate limit"}
    await asyncio.sleep(0.5)
    assert await ask(kubelet) == ""


async def ask(kubelet: Driver) -> str:
    """Ask for one List on a connection of its own; answer the error's text."""
    channel = connect(kubelet.pod_resources_socket)
    try:
        await call(channel, wire.LIST_POD_RESOURCES, wire.EMPTY, seconds=10)
    except RemoteCallError as error:
        return str(error)
    finally:
        await channel.close()
    return ""

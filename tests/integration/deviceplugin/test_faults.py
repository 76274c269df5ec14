"""What a kubelet can do to its plugins, ordered from our device manager."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, ClaimRefusedError, RemoteCallError
from akri.core.ids import ResourceName
from akri.deviceplugin import wire
from akri.deviceplugin.checkpoint import CHECKPOINT_FILE
from akri.deviceplugin.devices import STOP_GRACE
from akri.deviceplugin.manager import Resource
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.deviceplugin.transport import connect, serve
from akri.deviceplugin.wire import DeviceIds
from akri.rpc import call
from akri.testing.clock import VirtualClock
from akri.testing.kubelet import FakeKubelet, pod
from tests.integration.deviceplugin.agent import Agent, devices, until

CAMERA = "akri.sh/camera"
NAME = ResourceName(CAMERA)


@pytest.fixture
async def agent(fake: FakeKubelet) -> AsyncIterator[Agent]:
    async with Agent(fake.plugins) as running:
        yield running


@pytest.fixture
async def frozen() -> AsyncIterator[FakeKubelet]:
    """A kubelet whose time stands still until a test moves it."""
    async with FakeKubelet(clock=VirtualClock()) as kubelet:
        yield kubelet


def sockets(kubelet: FakeKubelet) -> set[str]:
    return {path.name for path in kubelet.plugins.glob("akri-*.sock")}


async def offered(kubelet: FakeKubelet, agent: Agent) -> None:
    agent.offer(CAMERA, devices("a", "b"))
    await kubelet.shows(CAMERA, capacity=2, allocatable=2)


async def lists(kubelet: FakeKubelet) -> dict[str, str]:
    listing = await PodResourcesClient(kubelet.pod_resources_socket, SystemClock()).list()
    return {device: key.name for device, key in listing.users.get(NAME, {}).items()}


async def test_a_refused_registration_is_tried_again(fake: FakeKubelet, agent: Agent) -> None:
    fake.faults.refused_registrations = 2
    await offered(fake, agent)
    assert fake.faults.refused_registrations == 0
    assert len(sockets(fake)) == 1


async def test_a_slow_registration_holds_up_nobody_else(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    fake.faults.registrations.clear()
    agent.offer("akri.sh/late", devices("l"))
    await fake.run(pod("broker", {"main": {CAMERA: 1}}))
    agent.offer(CAMERA, devices("a"))
    await fake.shows(CAMERA, capacity=1, allocatable=1)
    assert set(fake.manager.resources) == {CAMERA}
    fake.faults.registrations.set()
    await fake.shows("akri.sh/late", capacity=1, allocatable=1)


async def test_used_resources_register_first(fake: FakeKubelet) -> None:
    fake.faults.registrations.clear()
    agent = Agent(fake.plugins)
    for number in range(40):
        agent.offer(f"akri.sh/idle-{number}", devices(f"i{number}"))
    agent.offer("akri.sh/used", devices("u"), in_use=True)
    async with agent:
        await until(lambda: len(sockets(fake)) == 32)
        fake.faults.registrations.set()
        await fake.manager.until(lambda: len(fake.manager.resources) == 41)
    assert ResourceName("akri.sh/used") in list(fake.manager.resources)[:32]


async def test_a_dropped_stream_is_replaced_on_a_fresh_socket(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    former = sockets(fake)
    await fake.manager.drop_stream(NAME)
    await fake.shows(CAMERA, capacity=2, allocatable=0)
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    assert len(sockets(fake)) == 1
    assert sockets(fake).isdisjoint(former)
    await fake.run(pod("broker", {"main": {CAMERA: 1}}))


async def test_wiped_sockets_do_no_harm_while_the_stream_lasts(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    (fake.plugins / "a-file").touch()
    fake.manager.wipe_sockets()
    assert sockets(fake) == set()
    assert (fake.plugins / "a-file").exists()
    await fake.run(pod("broker", {"main": {CAMERA: 1}}))


async def test_sockets_of_a_killed_agent_are_removed_and_those_in_use_are_not(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    alive = sockets(fake)
    dead = fake.plugins / "akri-00000000-00000000.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(dead))
    async with Agent(fake.plugins):
        assert sockets(fake) == {*alive, dead.name}
        await until(lambda: not dead.exists())
        assert sockets(fake) == alive


async def test_an_agent_may_start_before_the_kubelet() -> None:
    kubelet = FakeKubelet()
    async with Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a", "b"))
        await asyncio.sleep(0.05)
        assert not kubelet.plugins.exists()
        async with kubelet:
            await offered(kubelet, agent)
            assert len(agent.kubelet_starts) == 1


async def test_a_claim_that_fails_after_its_caller_is_gone_is_reported(
    fake: FakeKubelet, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_resource: ResourceName, _ids: DeviceIds) -> ContainerEdits:
        raise ClaimRefusedError("held by node-b")

    await offered(fake, agent)
    agent.gate.clear()
    agent.answer = refuse
    fake.faults.cut_allocate = 0.05
    with pytest.raises(AdmissionError):
        await fake.run(pod("unlucky", {"main": {CAMERA: 1}}))
    await fake.shows(CAMERA, capacity=2, allocatable=0)
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    agent.gate.set()
    await until(lambda: len(agent.failed) == 1)
    assert "allocation failed after its caller was gone resource=akri.sh/camera error=held by node-b" in caplog.text


async def test_a_socket_that_cannot_be_made_is_an_os_error(fake: FakeKubelet) -> None:
    with pytest.raises(OSError, match=r"cannot serve on .*/absent/a\.sock"):
        await serve(fake.plugins / "absent" / "a.sock", {})


async def test_a_kubelet_that_is_away_for_long_finds_everything_when_it_is_back(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    await fake.manager.stop()
    await until(lambda: agent.host.streaming == frozenset())
    agent.offer(CAMERA, devices("a", "b", "c"))
    await fake.manager.start()
    await fake.shows(CAMERA, capacity=3, allocatable=3)
    assert agent.host.streaming == {CAMERA}


async def test_a_connection_that_is_cut_during_allocate_fails_the_pod_but_not_the_claim(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    agent.gate.clear()
    fake.faults.cut_allocate = 0.1
    with pytest.raises(AdmissionError, match="the connection was cut"):
        await fake.run(pod("unlucky", {"main": {CAMERA: 1}}))
    await fake.shows(CAMERA, capacity=2, allocatable=0)
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    assert agent.claimed == []
    agent.gate.set()
    await until(lambda: len(agent.failed) == 1)
    assert agent.failed == agent.allocated
    assert agent.claimed == [ids for _, ids in agent.allocated]
    assert agent.answered == []
    await fake.run(pod("lucky", {"main": {CAMERA: 1}}))


async def test_a_device_is_not_listed_before_its_answer_is_stored(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    fake.faults.answers.clear()
    async with asyncio.TaskGroup() as group:
        admission = group.create_task(fake.run(pod("slow", {"main": {CAMERA: 2}})))
        await until(lambda: len(agent.answered) == 1)
        assert await lists(fake) == {}
        assert not admission.done()
        fake.faults.answers.set()
    assert await lists(fake) == {"a": "slow", "b": "slow"}


async def test_a_list_over_the_rate_limit_is_asked_again(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    await fake.run(pod("broker", {"main": {CAMERA: 2}}))
    fake.faults.exhausted_lists = 2
    assert await lists(fake) == {"a": "broker", "b": "broker"}
    fake.faults.exhausted_lists = 100
    with pytest.raises(RemoteCallError, match="rejected by rate limit") as failed:
        await lists(fake)
    assert failed.value.code == "RESOURCE_EXHAUSTED"


async def test_ten_lists_pass_at_once_and_the_eleventh_fails(frozen: FakeKubelet) -> None:
    channel = connect(frozen.pod_resources_socket)
    try:
        for _ in range(10):
            await call(channel, wire.LIST_POD_RESOURCES, wire.EMPTY)
        with pytest.raises(RemoteCallError, match="code = ResourceExhausted desc = rejected by rate limit"):
            await call(channel, wire.LIST_POD_RESOURCES, wire.EMPTY)
    finally:
        await channel.close()


async def test_no_kubelet_is_an_error_with_the_sockets_path(fake: FakeKubelet) -> None:
    with pytest.raises(RemoteCallError, match=r"cannot list pod resources at .*/absent\.sock: rpc error: code = Unavailable") as failed:
        await PodResourcesClient(fake.plugins / "absent.sock", SystemClock()).list()
    assert failed.value.code == "UNAVAILABLE"


async def test_an_unsynced_kubelet_lists_nothing(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    await fake.run(pod("broker", {"main": {CAMERA: 2}}))
    fake.faults.unsynced = True
    await fake.manager.restart()
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    assert await lists(fake) == {}
    fake.faults.unsynced = False
    assert await lists(fake) == {"a": "broker", "b": "broker"}


@pytest.mark.parametrize("disconnects_newer", [True, False])
async def test_an_agent_survives_the_end_of_its_predecessor(fake: FakeKubelet, *, disconnects_newer: bool) -> None:
    fake.faults.disconnects_newer = disconnects_newer
    async with Agent(fake.plugins) as newer:
        async with Agent(fake.plugins) as older:
            await offered(fake, older)
            newer.offer(CAMERA, devices("a", "b", "c"))
            await fake.shows(CAMERA, capacity=3, allocatable=3)
            # The lists of an older plugin count no more.
            older.offer(CAMERA, devices("a"))
        if disconnects_newer:
            await fake.shows(CAMERA, capacity=3, allocatable=0)
        await fake.shows(CAMERA, capacity=3, allocatable=3)
        await fake.run(pod("broker", {"main": {CAMERA: 1}}))
        assert older.allocated == []


async def test_a_finished_init_containers_device_must_come_back_in_time() -> None:
    clock = VirtualClock()
    kubelet = FakeKubelet(clock=clock)
    async with kubelet:
        async with Agent(kubelet.plugins) as agent:
            await offered(kubelet, agent)
            await kubelet.run(pod("only-main", {"main": {CAMERA: 1}}))
            await kubelet.run(pod("with-init", {"main": {}}, init={"prepare": {CAMERA: 1}}))
        await kubelet.manager.restart()
        await clock.advance(1.5)
        assert [request.key.name for request, _ in kubelet.rejected] == ["with-init"]
        assert "no healthy devices present" in str(kubelet.rejected[0][1])
        assert kubelet.manager.edits("only-main", "main").environment != {}
        assert kubelet.manager.edits("with-init", "prepare").environment == {}


async def test_a_plugin_that_comes_back_in_time_saves_its_pods() -> None:
    clock = VirtualClock()
    kubelet = FakeKubelet(clock=clock)
    async with kubelet, Agent(kubelet.plugins) as agent:
        await offered(kubelet, agent)
        await kubelet.run(pod("with-init", {"main": {}}, init={"prepare": {CAMERA: 1}}))
        await kubelet.manager.restart()
        await kubelet.shows(CAMERA, capacity=2, allocatable=2)
        await clock.advance(1.5)
        assert kubelet.rejected == []


async def test_a_plugin_that_stays_away_counts_as_nothing_after_five_minutes(frozen: FakeKubelet) -> None:
    async with Agent(frozen.plugins) as agent:
        await offered(frozen, agent)
    await frozen.shows(CAMERA, capacity=2, allocatable=0)
    clock = frozen.clock
    assert isinstance(clock, VirtualClock)
    await clock.advance(STOP_GRACE)
    assert frozen.manager.resources == {NAME: Resource(2, 0)}
    await clock.advance(1)
    assert frozen.manager.resources == {NAME: Resource(0, 0)}


async def test_a_damaged_checkpoint_is_set_aside(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    await fake.run(pod("broker", {"main": {CAMERA: 2}}))
    await fake.manager.stop()
    file = fake.plugins / CHECKPOINT_FILE
    file.write_text(file.read_text(encoding="utf-8").replace("broker", "other!"), encoding="utf-8")
    await fake.manager.start()
    assert "other!" in file.with_name(f"{CHECKPOINT_FILE}.damaged").read_text(encoding="utf-8")
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    await fake.run(pod("next", {"main": {CAMERA: 2}}))


async def test_devices_of_pods_that_are_gone_at_the_start_are_free(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    kept = pod("kept", {"main": {CAMERA: 1}})
    await fake.run(kept)
    await fake.run(pod("gone", {"main": {CAMERA: 1}}))
    await fake.manager.stop()
    await fake.manager.start([kept])
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    await fake.run(pod("next", {"main": {CAMERA: 1}}))
    assert sorted((await lists(fake)).values()) == ["kept", "next"]


async def test_an_admission_that_is_given_up_leaves_nothing(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    agent.gate.clear()
    admission = asyncio.create_task(fake.run(pod("impatient", {"main": {CAMERA: 2}})))
    await until(lambda: len(agent.allocated) == 1)
    admission.cancel()
    await asyncio.gather(admission, return_exceptions=True)
    agent.gate.set()
    # The plugin may have sent its answer before it heard that nobody waits for it.
    await until(lambda: len(agent.failed) + len(agent.answered) == 1)
    await fake.run(pod("patient", {"main": {CAMERA: 2}}))
    assert await lists(fake) == {"a": "patient", "b": "patient"}


async def test_a_start_that_fails_keeps_the_memory(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    kept = pod("kept", {"main": {CAMERA: 2}})
    await fake.run(kept)
    await fake.manager.stop()
    await fake.manager.stop()
    fake.pod_resources_socket.unlink()
    fake.pod_resources_socket.mkdir()
    with pytest.raises(OSError, match="directory"):
        await fake.manager.start([kept])
    fake.pod_resources_socket.rmdir()
    await fake.manager.start([kept])
    await fake.shows(CAMERA, capacity=2, allocatable=2)
    assert await lists(fake) == {"a": "kept", "b": "kept"}


async def test_a_checkpoint_that_cannot_be_written_fails_the_pod(fake: FakeKubelet, agent: Agent) -> None:
    await offered(fake, agent)
    obstacle = fake.plugins / f".{CHECKPOINT_FILE}.new"
    await until((fake.plugins / CHECKPOINT_FILE).exists)
    obstacle.mkdir()
    with pytest.raises(AdmissionError, match="Is a directory"):
        await fake.run(pod("unlucky", {"main": {CAMERA: 2}}))
    obstacle.rmdir()
    await fake.run(pod("lucky", {"main": {CAMERA: 2}}))
    assert await lists(fake) == {"a": "lucky", "b": "lucky"}

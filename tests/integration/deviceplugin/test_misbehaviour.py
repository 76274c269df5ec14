"""Plugins that do not keep to the protocol, written straight against the wire: the device manager refuses, says why, and goes on."""

from __future__ import annotations

import asyncio

import pytest

from akri.core.device import DeviceNode
from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, KubeletError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.testing.kubelet import FakeKubelet, pod
from tests.integration.deviceplugin.agent import RawPlugin, devices, register, until

RAW = "example.com/raw"
ALL_OPTIONS = wire.write_options(wire.Options(pre_start_required=True, preferred_allocation=True))


def answer(**environment: str) -> bytes:
    return wire.write_allocate_response([ContainerEdits(environment)])


async def streaming(fake: FakeKubelet, plugin: RawPlugin) -> None:
    plugin.lists = [wire.write_device_list(devices("a", "b"))]
    await plugin.register()
    await fake.shows(RAW, capacity=2, allocatable=2)


async def test_another_version_is_refused(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        with pytest.raises(KubeletError, match="version: 'v1alpha' is not valid: expected 'v1beta1'"):
            await plugin.register(version="v1alpha")


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "camera",
        "/camera",
        "akri.sh/",
        "akri.sh/a/b",
        "akri.sh/-a",
        "akri.sh/" + "a" * 64,
        "a" * 250 + ".sh/a",
        "Akri.sh/a",
        "kubernetes.io/a",
        "x.kubernetes.io/a",
        "requests.akri.sh/a",
    ],
)
async def test_a_name_that_is_no_extended_resource_is_refused(fake: FakeKubelet, resource: str) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        with pytest.raises(KubeletError, match=r"resource_name: .* is not valid: expected an extended resource"):
            await plugin.register(resource)
    assert fake.manager.resources == {}


@pytest.mark.parametrize("endpoint", ["", "../raw.sock", "folder/raw.sock", "."])
async def test_an_endpoint_elsewhere_is_refused(fake: FakeKubelet, endpoint: str) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        with pytest.raises(KubeletError, match=r"endpoint: .* is not valid"):
            await plugin.register(endpoint=endpoint)


async def test_rubbish_for_a_registration_is_refused(fake: FakeKubelet) -> None:
    with pytest.raises(KubeletError, match=r"RegisterRequest: .* is not valid"):
        await register(fake.plugins, b"\xff\xff\xff")


async def test_a_plugin_may_begin_to_serve_after_it_asked_to_register(fake: FakeKubelet) -> None:
    plugin = RawPlugin(fake.plugins)
    plugin.lists = [wire.write_device_list(devices("a"))]
    async with asyncio.TaskGroup() as group:
        registration = group.create_task(plugin.register())
        await asyncio.sleep(0.05)
        assert not registration.done()
        await plugin.__aenter__()
    await fake.shows(RAW, capacity=1, allocatable=1)
    await plugin.__aexit__()


async def test_options_in_the_registration_are_ignored(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a"))]
        plugin.allocate = answer(A="a")
        plugin.pre_start = KubeletError("nobody asked")
        registration = wire.write_registration(wire.Registration(wire.VERSION, plugin.name, ResourceName(RAW)))
        options = b"\x22" + bytes([len(ALL_OPTIONS)]) + ALL_OPTIONS
        await register(fake.plugins, registration + options)
        await fake.shows(RAW, capacity=1, allocatable=1)
        await fake.run(pod("broker", {"main": {RAW: 1}}))
        await fake.manager.pre_start("broker", "main")
        assert plugin.pre_started == []


async def test_rubbish_for_options_is_refused(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.options = b"\xff"
        with pytest.raises(KubeletError, match=r"DevicePluginOptions: .* is not valid"):
            await plugin.register()


async def test_rubbish_for_a_device_list_ends_the_stream(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a")), b"\xff"]
        await plugin.register()
        await fake.shows(RAW, capacity=1, allocatable=0)


async def test_a_device_list_over_four_mebibytes_ends_the_stream(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a")), wire.write_device_list(devices(*(f"{n:050}" for n in range(80_000))))]
        await plugin.register()
        await fake.shows(RAW, capacity=1, allocatable=0)


async def test_a_plugin_that_ended_its_stream_is_not_dialled_again(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.end_stream = True
        plugin.lists = [wire.write_device_list(devices("a"))]
        await plugin.register()
        await fake.shows(RAW, capacity=1, allocatable=0)
        with pytest.raises(AdmissionError, match="no healthy devices present"):
            await fake.run(pod("broker", {"main": {RAW: 1}}))
        assert plugin.streams == 1
        plugin.end_stream = False
        await plugin.register()
        await fake.shows(RAW, capacity=1, allocatable=1)
        assert plugin.streams == 2


async def test_of_equal_ids_the_last_counts_and_unknown_health_is_unhealthy(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        sick = wire.write_device_list(devices("b")).replace(b"Healthy", b"Shaking")
        plugin.lists = [wire.write_device_list(devices(unhealthy=["a"])) + wire.write_device_list(devices("a")) + sick]
        await plugin.register()
        await fake.shows(RAW, capacity=2, allocatable=1)
        assert fake.manager.devices[ResourceName(RAW)] == {PluginDeviceId("a"): True, PluginDeviceId("b"): False}


async def test_an_answer_without_containers_fails_the_pod(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        await streaming(fake, plugin)
        with pytest.raises(AdmissionError, match="Allocate failed due to no containers in response of allocate, which is unexpected"):
            await fake.run(pod("broker", {"main": {RAW: 1}}))


async def test_only_the_first_container_of_an_answer_counts(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        await streaming(fake, plugin)
        plugin.allocate = answer(A="first") + answer(A="second")
        edits = await fake.run(pod("broker", {"main": {RAW: 1}}))
        assert edits["main"].environment == {"A": "first"}


async def test_permissions_that_cannot_be_fail_the_pod(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        await streaming(fake, plugin)
        node = wire.write_allocate_response([ContainerEdits({}, (), (DeviceNode("/dev/a", "/dev/b", "rwm"),))])
        plugin.allocate = node.replace(b"rwm", b"xyz")
        with pytest.raises(AdmissionError, match="permissions: 'xyz' is not valid"):
            await fake.run(pod("broker", {"main": {RAW: 1}}))
        plugin.allocate = node
        await fake.run(pod("next", {"main": {RAW: 1}}))


async def test_a_plugin_that_is_asked_too_much_says_so(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        await streaming(fake, plugin)
        plugin.preferred = KubeletError("no idea", "UNAVAILABLE")
        with pytest.raises(AdmissionError, match="rpc error: code = Unavailable desc = no idea"):
            await fake.run(pod("broker", {"main": {RAW: 1}}))


async def test_a_container_start_is_announced_to_a_plugin_that_wants_it(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        plugin.allocate = answer(A="a")
        await streaming(fake, plugin)
        await fake.run(pod("broker", {"main": {RAW: 2}, "idle": {}}))
        await fake.manager.pre_start("broker", "main")
        await fake.manager.pre_start("broker", "idle")
        assert [set(ids) for ids in plugin.pre_started] == [{"a", "b"}]
        plugin.pre_start = KubeletError("not yet")
        with pytest.raises(KubeletError, match="not yet"):
            await fake.manager.pre_start("broker", "main")


async def test_a_plugin_that_dies_leaves_its_pods_alone(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.options = ALL_OPTIONS
        plugin.allocate = answer(A="a")
        await streaming(fake, plugin)
        await fake.run(pod("broker", {"main": {RAW: 1}}))
    await fake.shows(RAW, capacity=2, allocatable=0)
    await fake.manager.pre_start("broker", "main")
    assert fake.manager.edits("broker", "main").environment == {"A": "a"}
    await until(lambda: ResourceName(RAW) in fake.manager.resources)

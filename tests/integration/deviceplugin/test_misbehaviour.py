"""Plugins that do not keep to the protocol: what our device manager says of them, and that it goes on. More: test_lists.py."""

from __future__ import annotations

import pytest

from akri.core.errors import RemoteCallError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin import wire
from akri.testing.kubelet import FakeKubelet, pod
from tests.integration.deviceplugin.agent import ALL_OPTIONS, RawPlugin, answer, devices, register, until

RAW = "example.com/raw"


async def streaming(fake: FakeKubelet, plugin: RawPlugin) -> None:
    plugin.lists = [wire.write_device_list(devices("a", "b"))]
    plugin.options = ALL_OPTIONS
    plugin.allocate = answer(A="a")
    await plugin.register()
    await fake.shows(RAW, capacity=2, allocatable=2)


async def test_a_refused_name_leaves_nothing(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        with pytest.raises(RemoteCallError, match=r"resource_name: 'camera' is not valid: expected an extended resource"):
            await plugin.register("camera")
    assert fake.manager.resources == {}


@pytest.mark.parametrize("endpoint", ["", "../raw.sock", "folder/raw.sock", "."])
async def test_an_endpoint_elsewhere_is_refused_at_once(fake: FakeKubelet, endpoint: str) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        with pytest.raises(RemoteCallError, match=r"endpoint: .* is not valid"):
            await plugin.register(endpoint=endpoint)


async def test_rubbish_is_named(fake: FakeKubelet) -> None:
    with pytest.raises(RemoteCallError, match=r"RegisterRequest: .* is not valid"):
        await register(fake.plugins, b"\xff\xff\xff")
    async with RawPlugin(fake.plugins) as plugin:
        plugin.options = b"\xff"
        with pytest.raises(RemoteCallError, match=r"DevicePluginOptions: .* is not valid"):
            await plugin.register()


async def test_unknown_health_is_unhealthy(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a")) + wire.write_device_list(devices("b")).replace(b"Healthy", b"Shaking")]
        await plugin.register()
        await fake.shows(RAW, capacity=2, allocatable=1)
        assert fake.manager.devices[ResourceName(RAW)] == {PluginDeviceId("a"): True, PluginDeviceId("b"): False}


async def test_a_start_that_the_plugin_refuses_is_an_error(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        await streaming(fake, plugin)
        await fake.run(pod("broker", {"main": {RAW: 2}, "idle": {}}))
        await fake.manager.pre_start("broker", "idle")
        assert plugin.pre_started == []
        plugin.pre_start = RemoteCallError("not yet")
        with pytest.raises(RemoteCallError, match="not yet"):
            await fake.manager.pre_start("broker", "main")


async def test_a_plugin_that_is_away_is_not_asked_before_a_start(fake: FakeKubelet) -> None:
    async with RawPlugin(fake.plugins) as plugin:
        await streaming(fake, plugin)
        await fake.run(pod("broker", {"main": {RAW: 1}}))
    await fake.shows(RAW, capacity=2, allocatable=0)
    await fake.manager.pre_start("broker", "main")
    assert fake.manager.edits("broker", "main").environment == {"A": "a"}
    await until(lambda: ResourceName(RAW) in fake.manager.resources)

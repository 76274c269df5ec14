"""How any kubelet takes registrations: what it refuses, what it asks before it answers, and who is heard when two say the same."""

from __future__ import annotations

import asyncio
import re

import pytest

from akri.core.errors import AdmissionError, RemoteCallError
from akri.core.ids import ResourceName
from akri.deviceplugin import wire
from akri.testing.kubelet import pod
from tests.integration.deviceplugin.agent import ALL_OPTIONS, Agent, RawPlugin, answer, devices, register, until
from tests.integration.deviceplugin.driver import Driver

RAW = "example.com/raw"
REFUSED_NAMES = [
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
    "notkubernetes.io/a",
    "requests.akri.sh/a",
]


async def test_another_version_is_refused(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        with pytest.raises(RemoteCallError, match=r"v1alpha.*v1beta1"):
            await plugin.register(version="v1alpha")


async def test_a_name_that_is_no_extended_resource_is_refused(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        for name in REFUSED_NAMES:
            with pytest.raises(RemoteCallError, match=f"['\"]{re.escape(name[:60])}"):
                await plugin.register(name)


async def test_names_at_the_limit_are_taken(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list({})]
        for name in ("akri.sh/" + "a" * 63, "a" * 63 + "." + "b" * 61 + ".sh/A_.-9", "x.requests.sh/requests."):
            await plugin.register(name.rstrip("."))
        await until(lambda: plugin.streams == 3)
        assert plugin.streams == 3


async def test_an_endpoint_that_nobody_serves_is_refused(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin, asyncio.TaskGroup() as group:

        async def refused(endpoint: str) -> None:
            with pytest.raises(RemoteCallError):
                await plugin.register(endpoint=endpoint)

        for endpoint in ("", ".", "../absent.sock", "folder/raw.sock"):
            group.create_task(refused(endpoint))


async def test_an_endpoint_elsewhere(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.outside, "elsewhere.sock") as plugin:
        plugin.lists = [wire.write_device_list(devices("a"))]
        request = wire.write_registration(wire.Registration(wire.VERSION, "../elsewhere.sock", ResourceName(RAW)))
        if kubelet.habits.endpoint_elsewhere:
            await register(kubelet.plugins, request)
            await kubelet.shows(RAW, capacity=1, allocatable=1)
        else:
            with pytest.raises(RemoteCallError, match=r"endpoint: '../elsewhere.sock' is not valid"):
                await register(kubelet.plugins, request)


async def test_rubbish_for_a_registration_is_refused(kubelet: Driver) -> None:
    with pytest.raises(RemoteCallError, match="rpc error"):
        await register(kubelet.plugins, b"\xff\xff\xff")


async def test_a_plugin_may_begin_to_serve_after_it_asked_to_register(kubelet: Driver) -> None:
    plugin = RawPlugin(kubelet.plugins)
    plugin.lists = [wire.write_device_list(devices("a"))]
    async with asyncio.TaskGroup() as group:
        registration = group.create_task(plugin.register(RAW))
        await asyncio.sleep(0.05)
        assert not registration.done()
        await plugin.__aenter__()
    assert plugin.asked_options == 1
    await kubelet.shows(RAW, capacity=1, allocatable=1)
    await plugin.__aexit__()


async def test_options_are_asked_for_before_the_answer(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.gate.clear()
        async with asyncio.TaskGroup() as group:
            registration = group.create_task(plugin.register(RAW))
            await until(lambda: plugin.asked_options == 1)
            await asyncio.sleep(0.05)
            assert not registration.done()
            assert plugin.streams == 0
            plugin.gate.set()
        await until(lambda: plugin.streams == 1)


async def test_options_in_the_registration_are_ignored(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a"))]
        plugin.allocate = answer(A="a")
        plugin.pre_start = RemoteCallError("nobody asked")
        registration = wire.write_registration(wire.Registration(wire.VERSION, plugin.name, ResourceName(RAW)))
        options = b"\x22" + bytes([len(ALL_OPTIONS)]) + ALL_OPTIONS
        await register(kubelet.plugins, registration + options)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"A": "a"}}
        assert plugin.pre_started == []


@pytest.mark.parametrize("options", [b"\xff", RemoteCallError("not yet", "UNAVAILABLE")], ids=["rubbish", "error"])
async def test_a_plugin_without_options_is_refused(kubelet: Driver, options: bytes | Exception) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.options = options
        with pytest.raises(RemoteCallError, match="rpc error"):
            await plugin.register(RAW)
        assert plugin.streams == 0


async def test_the_newer_of_two_plugins_is_asked(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins, "older.sock") as older, RawPlugin(kubelet.plugins, "newer.sock") as newer:
        older.lists = [wire.write_device_list(devices("a"))]
        newer.lists = [wire.write_device_list(devices("a", "b"))]
        older.allocate, newer.allocate = answer(FROM="older"), answer(FROM="newer")
        await older.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        await newer.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"FROM": "newer"}}


async def test_a_list_of_the_older_of_two_plugins(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins, "older.sock") as older, RawPlugin(kubelet.plugins, "newer.sock") as newer:
        older.lists = [wire.write_device_list(devices("a"))]
        newer.lists = [wire.write_device_list(devices("a", "b"))]
        await older.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        await newer.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        await older.send(wire.write_device_list(devices("a", "b", "c")))
        if kubelet.habits.older_list_counts:
            await kubelet.shows(RAW, capacity=3, allocatable=3)
        await newer.send(wire.write_device_list(devices(unhealthy=["a", "b"])))
        await kubelet.shows(RAW, capacity=2, allocatable=0)
        await older.send(wire.write_device_list(devices("a", "b", "c")))
        if kubelet.habits.older_list_counts:
            await kubelet.shows(RAW, capacity=3, allocatable=3)
        else:
            await newer.send(wire.write_device_list(devices("a", unhealthy=["b"])))
            await kubelet.shows(RAW, capacity=2, allocatable=1)


async def test_the_end_of_the_older_of_two_plugins(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins, "newer.sock") as newer:
        async with RawPlugin(kubelet.plugins, "older.sock") as older:
            older.lists = [wire.write_device_list(devices("a"))]
            newer.lists = [wire.write_device_list(devices("a", "b"))]
            newer.allocate = answer(FROM="newer")
            await older.register(RAW)
            await kubelet.shows(RAW, capacity=1, allocatable=1)
            await newer.register(RAW)
            await kubelet.shows(RAW, capacity=2, allocatable=2)
        if kubelet.habits.older_end_cuts_newer:
            await kubelet.shows(RAW, capacity=2, allocatable=0)
            await newer.register(RAW)
        await kubelet.shows(RAW, capacity=2, allocatable=2)
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"FROM": "newer"}}


async def test_an_agent_survives_the_end_of_its_predecessor(kubelet: Driver) -> None:
    async with Agent(kubelet.plugins) as newer:
        async with Agent(kubelet.plugins) as older:
            older.offer(RAW, devices("a", "b"))
            await kubelet.shows(RAW, capacity=2, allocatable=2)
            newer.offer(RAW, devices("a", "b", "c"))
            await kubelet.shows(RAW, capacity=3, allocatable=3)
        if kubelet.habits.older_end_cuts_newer:
            await until(lambda: ResourceName(RAW) not in newer.host.streaming)
        await until(lambda: ResourceName(RAW) in newer.host.streaming)
        await kubelet.shows(RAW, capacity=3, allocatable=3)
        await kubelet.run(pod("broker", {"main": {RAW: 1}}))
        assert (len(newer.allocated), older.allocated) == (1, [])


async def test_a_plugin_that_registers_twice_is_streamed_from_twice(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.lists = [wire.write_device_list(devices("a"))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        await plugin.register(RAW)
        await until(lambda: plugin.streams == 2)
        await kubelet.shows(RAW, capacity=1, allocatable=1)
        plugin.allocate = answer(A="a")
        assert await kubelet.run(pod("broker", {"main": {RAW: 1}})) == {"main": {"A": "a"}}


async def test_a_plugin_that_ended_its_stream_is_not_dialled_again(kubelet: Driver) -> None:
    async with RawPlugin(kubelet.plugins) as plugin:
        plugin.end_stream = True
        plugin.lists = [wire.write_device_list(devices("a", "b", "c"))]
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=3, allocatable=0)
        with pytest.raises(AdmissionError, match="no healthy devices present"):
            await kubelet.run(pod("broker", {"main": {RAW: 1}}))
        assert plugin.streams == 1
        plugin.end_stream = False
        await plugin.register(RAW)
        await kubelet.shows(RAW, capacity=3, allocatable=3)
        assert plugin.streams == 2

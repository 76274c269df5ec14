"""Plugins in the process of their device manager: offered, asked, withdrawn, and never half-way through a claim."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from akri.core.edits import ContainerEdits
from akri.core.errors import AdmissionError, DeviceUnavailableError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.embedded import EmbeddedPlugins
from akri.deviceplugin.manager import DeviceManager, Resource
from akri.testing.clock import VirtualClock
from akri.testing.kubelet import pod
from tests.integration.deviceplugin.agent import RawPlugin, answer, devices

CAMERA = ResourceName("akri.sh/camera-8120fe")


@define(eq=False)
class Claimer:
    """An agent's half. slow: claims wait for it."""

    claimed: list[str] = field(factory=list[str])
    answered: list[str] = field(factory=list[str])
    slow: asyncio.Event | None = None
    fails: bool = False

    async def claim(self, _resource: ResourceName, ids: Sequence[PluginDeviceId]) -> ContainerEdits:
        """Claim devices."""
        if self.slow is not None:
            await self.slow.wait()
        if self.fails:
            raise DeviceUnavailableError("slot camera-8120fe-0 is held by node-b")
        self.claimed.extend(ids)
        return ContainerEdits({"CAMERA": ",".join(ids)})

    def tell(self, _resource: ResourceName, ids: Sequence[PluginDeviceId]) -> None:
        """Note that an answer went out."""
        self.answered.extend(ids)


@asynccontextmanager
async def embedded(claimer: Claimer) -> AsyncGenerator[tuple[DeviceManager, EmbeddedPlugins, Path]]:
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        async with DeviceManager(Path(folder), Path(folder) / "r.sock", clock=VirtualClock()) as manager:
            plugins = EmbeddedPlugins(manager, claimer.claim, claimer.tell)
            running = asyncio.create_task(plugins.run())
            try:
                yield manager, plugins, Path(folder)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def test_a_pod_gets_devices_of_an_embedded_plugin() -> None:
    claimer = Claimer()
    async with embedded(claimer) as (manager, plugins, _):
        plugins.offer(CAMERA, devices("a", "b"), in_use=False)
        plugins.offer(CAMERA, {**devices("a"), PluginDeviceId("b"): False}, in_use=True)
        assert (set(plugins.streaming), dict(manager.allocatable)) == ({CAMERA}, {CAMERA: 1})
        edits = await manager.admit(pod("broker", {"main": {CAMERA: 1}}))
        assert edits["main"].environment == {"CAMERA": "a"}
        assert (claimer.claimed, claimer.answered) == (["a"], ["a"])
        assert (await manager.listing()).users == {CAMERA: {"a": pod("broker", {}).key}}


async def test_a_refused_claim_refuses_the_pod_with_its_sentence() -> None:
    async with embedded(Claimer(fails=True)) as (manager, plugins, _):
        plugins.offer(CAMERA, devices("a"))
        with pytest.raises(AdmissionError, match="Allocate failed due to slot camera-8120fe-0 is held by node-b, which is unexpected"):
            await manager.admit(pod("broker", {"main": {CAMERA: 1}}))
        assert (await manager.listing()).users == {}


async def test_what_is_withdrawn_counts_as_nothing_at_once_and_may_come_again() -> None:
    async with embedded(Claimer()) as (manager, plugins, _):
        plugins.offer(CAMERA, devices("a"))
        for _ in range(2):
            plugins.withdraw(CAMERA)
            assert (plugins.streaming, manager.resources) == (frozenset(), {CAMERA: Resource(0, 0)})
        with pytest.raises(AdmissionError):
            await manager.admit(pod("broker", {"main": {CAMERA: 1}}))
        plugins.offer(CAMERA, devices("a"))
        await manager.admit(pod("broker", {"main": {CAMERA: 1}}))


async def test_a_claim_that_nobody_waits_for_any_more_comes_to_its_end_and_counts_as_answered() -> None:
    claimer = Claimer(slow=asyncio.Event())
    async with embedded(claimer) as (manager, plugins, _):
        plugins.offer(CAMERA, devices("a"))
        admission = asyncio.create_task(manager.admit(pod("broker", {"main": {CAMERA: 1}})))
        await asyncio.sleep(0.01)
        admission.cancel()
        await asyncio.gather(admission, return_exceptions=True)
        assert claimer.answered == []
        assert claimer.slow is not None
        claimer.slow.set()
        async with asyncio.timeout(30):
            while not claimer.answered:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        assert (claimer.claimed, claimer.answered) == (["a"], ["a"])


async def test_nobody_registers_under_the_name_of_an_embedded_plugin() -> None:
    async with embedded(Claimer()) as (manager, plugins, folder):
        plugins.offer(CAMERA, devices("a"))
        async with RawPlugin(folder) as plugin:
            plugin.allocate = answer(A="stolen")
            with pytest.raises(Exception, match="a resource that no plugin of the agent offers"):
                await plugin.register(CAMERA)
        edits = await manager.admit(pod("broker", {"main": {CAMERA: 1}}))
        assert edits["main"].environment == {"CAMERA": "a"}

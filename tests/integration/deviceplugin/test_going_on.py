"""A device manager for programs that outlive it: what runs keeps its devices, whatever plugins say after a start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from attrs import evolve

from akri.core.errors import AdmissionError
from akri.deviceplugin.devices import PodRequest
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.pod_resources import PodResourcesClient
from akri.testing.clock import VirtualClock
from akri.testing.kubelet import FakeKubelet, pod
from tests.integration.deviceplugin.agent import Agent, devices

CAMERA = "akri.sh/camera-8120fe"


@pytest.mark.parametrize("readmits", [True, False])
async def test_a_finished_init_container_keeps_its_device_unless_pods_are_admitted_again(*, readmits: bool) -> None:
    clock = VirtualClock()
    running = pod("with-init", {"main": {}}, init={"prepare": {CAMERA: 1}})
    refused: list[PodRequest] = []

    def refuse(request: PodRequest, error: AdmissionError) -> None:
        assert "no healthy devices present" in str(error)
        refused.append(request)

    async with FakeKubelet(clock=clock) as kubelet, Agent(kubelet.plugins) as agent:
        agent.offer(CAMERA, devices("a", "b"))
        await kubelet.shows(CAMERA, capacity=2, allocatable=2)
        await kubelet.run(running)
        checkpoint = (kubelet.plugins / "kubelet_internal_checkpoint").read_bytes()
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        (Path(folder) / "kubelet_internal_checkpoint").write_bytes(checkpoint)
        manager = DeviceManager(Path(folder), Path(folder) / "r.sock", clock=clock, rejected=refuse, readmits=readmits)
        await manager.start([running])
        try:
            await clock.advance(5)
            assert bool(manager.edits(running.uid, "prepare").environment) is not readmits
            assert refused == ([running] if readmits else [])
            listed = await manager.listing()
            assert listed == evolve(await PodResourcesClient(Path(folder) / "r.sock", clock).list(), sent_at=listed.sent_at)
            assert listed.pods == (frozenset() if readmits else {running.key})
        finally:
            await manager.stop()

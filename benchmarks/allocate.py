"""How long the kubelet waits for an Allocate: device manager, gRPC on a unix socket, agent, one write to the in-memory platform.

Wall time of the call as the device manager sees it, for it is admission on the node that waits. Both ends are in one process, with
sockets between them; every pod gets a free slot, so each Allocate is one claim. There are 100 devices with 5 slots each, and about
100 pods at a time, which is what a kubelet allows by default; those that end are released on evidence meanwhile.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Final

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.ids import DeviceId, HandlerName, ObjectKey, ResourceName
from akri.core.metadata import ObjectMeta
from akri.core.naming import resource_name
from akri.deviceplugin.devices import ContainerRequest, PodRequest
from akri.discovery.handler import Handler
from akri.platforms.local.folder import StateFolder
from akri.ports import Clock
from akri.testing.source import ScriptedSource
from akri_standalone.settings import Settings
from akri_standalone.temporary import temporary_machine
from akri_standalone.wiring import Machine
from benchmarks._harness import Case, main

__all__ = ["run"]

DEVICES: Final = 100
CAPACITY: Final = 5
PODS: Final = 100
CONFIGURATION: Final = "camera"
_PATIENCE: Final = 60.0


def _settings(folder: Path) -> Settings:
    source = ScriptedSource("scripted", shared=True)
    source.show(*(Device(DeviceId(f"camera {number}"), {"KEY": "value"}) for number in range(DEVICES)))

    def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - what a handler's factory is given
        return source

    return Settings(StateFolder.at(folder), handlers={source.name: make}, sockets=True)


async def _ready(machine: Machine) -> list[ResourceName]:
    metadata = ObjectMeta(ObjectKey("default", CONFIGURATION))
    await machine.store.apply(Configuration(metadata, DiscoveryRequest(HandlerName("scripted")), capacity=CAPACITY))
    async with asyncio.timeout(_PATIENCE):
        await machine.manager.until(
            lambda: sum(found.allocatable for found in machine.manager.resources.values()) == DEVICES * (CAPACITY + 1)
        )
    return [resource_name(instance.name) for instance in machine.store.instances]


async def _measure() -> list[float]:
    figures: list[float] = []
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        async with temporary_machine(_settings(Path(folder))) as machine:
            machine.manager.timed = lambda _, seconds: figures.append(seconds)
            resources = await _ready(machine)
            for number in range(DEVICES * CAPACITY):
                container = ContainerRequest("main", {resources[number % DEVICES]: 1})
                pod = PodRequest(ObjectKey("default", f"pod-{number}"), f"uid-{number}", (container,))
                await machine.manager.admit(pod)
                if number >= PODS:
                    machine.manager.pod_ended(f"uid-{number - PODS}")
    return figures


def run(percentile: int) -> None:
    """Print a percentile of the Allocates of 500 pods, in seconds."""
    print(statistics.quantiles(asyncio.run(_measure()), n=100)[percentile - 1])


def _case(percentile: int, aim: float) -> Case:
    program = f"from benchmarks.allocate import run\nrun({percentile})"
    return Case(f"Allocate, sequential, p{percentile}", program, "ms", aim, scale=1000.0)


if __name__ == "__main__":
    main("allocate", [_case(50, 5.0), _case(99, 5.0)])

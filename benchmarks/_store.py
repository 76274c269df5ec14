"""What `benchmarks/store.py` measures, each in a process of its own: a claim, a claim among writers, news, opening, memory."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import evolve

from akri.clock import SystemClock
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.ids import ConfigurationName, HandlerName, InstanceName, NodeName, ObjectKey, SlotId
from akri.core.instance import ANNOTATION_DEVICE_ID, Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.reports import Event, Reason
from akri.core.usage import HeldByNode
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Done
from benchmarks._harness import ROOT

__all__ = ["claims", "fill", "news", "opening", "percentile", "resident", "tell", "write_for_ever", "writers"]

CAPACITY: Final = 8
NODES: Final = tuple(NodeName(f"node-{index}") for index in range(8))


def percentile(figures: Sequence[float], hundredth: int) -> float:
    """Return the value that so many of a hundred figures do not exceed."""
    return statistics.quantiles(figures, n=100, method="inclusive")[hundredth - 1]


async def fill(folder: Path, count: int) -> None:
    """Make a store with so many Instances."""
    async with SqliteStore(folder, SystemClock()) as store:
        details = Configuration(ObjectMeta(ObjectKey("default", "cam")), DiscoveryRequest(HandlerName("udev")), CAPACITY)
        stored = await store.apply(details)
        owner = OwnerReference("akri.sh/v0", "Configuration", "cam", stored.metadata.uid, controller=True)
        for index in range(count):
            name = f"cam-{index:06x}"
            metadata = ObjectMeta(ObjectKey("default", name), annotations={ANNOTATION_DEVICE_ID: f"device {index}"}, owners=(owner,))
            slots = {f"{name}-{slot}": "" for slot in range(CAPACITY)}
            properties = {"UDEV_DEVPATH": f"/devices/pci0000:00/0000:00:14.0/usb1/1-{index}", "UDEV_DEVNODE": f"/dev/video{index}"}
            made = Instance(metadata, ConfigurationName("cam"), f"akri.sh/cam={index:06x}", CAPACITY, shared=True, nodes=NODES)
            await store.put_instance(evolve(made, device_usage=slots, broker_properties=properties))


async def _claim(store: SqliteStore, node: NodeName, times: int, figures: list[float]) -> None:
    """Claim and give back, of all slots one after the other those that are free; note how long each claim took, in milliseconds."""
    port, usage, asked = store.node(node), HeldByNode(node), NODES.index(node) * 5
    while times == 0 or len(figures) < times:
        asked += 1
        instance = store.instances[asked % len(store.instances)]
        slot = SlotId(InstanceName(instance.name), asked // len(store.instances) % CAPACITY)
        began = time.perf_counter()
        outcome = await port.claim(instance.key, slot, usage)
        figures.append((time.perf_counter() - began) * 1000)
        present = outcome.instance if isinstance(outcome, Done) else None
        while present is not None and not isinstance(await port.release(present, slot, usage), Done):
            present = await port.read_instance(instance.key)


async def write_for_ever(folder: Path, node: NodeName) -> None:
    """Claim and release until killed: what `writers` starts."""
    async with SqliteStore(folder, SystemClock()) as store:
        await _claim(store, node, 0, [])


async def _measured(folder: Path, times: int) -> list[float]:
    figures: list[float] = []
    async with SqliteStore(folder, SystemClock()) as store:
        await _claim(store, NODES[0], times, figures)
    return figures


def claims(times: int, count: int = 20) -> list[float]:
    """Return how long claims take that nobody disturbs, milliseconds."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        asyncio.run(fill(Path(folder), count))
        return asyncio.run(_measured(Path(folder), times))


def writers(times: int, others: int = 7, count: int = 20) -> list[float]:
    """Return how long claims take while other processes claim and release without a pause, milliseconds."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        asyncio.run(fill(Path(folder), count))
        program = "import asyncio, sys; from pathlib import Path; from benchmarks import _store; "
        program += "asyncio.run(_store.write_for_ever(Path(sys.argv[1]), sys.argv[2]))"
        started = [subprocess.Popen([sys.executable, "-c", program, folder, node], cwd=ROOT) for node in NODES[1 : others + 1]]
        try:
            time.sleep(2)
            return asyncio.run(_measured(Path(folder), times))
        finally:
            for process in started:
                process.kill()
                process.wait()


async def _listen(folder: Path, times: int) -> list[float]:
    program = "import asyncio, sys; from pathlib import Path; from benchmarks import _store; "
    program += "asyncio.run(_store.tell(Path(sys.argv[1]), int(sys.argv[2])))"
    figures: list[float] = []
    async with SqliteStore(folder, SystemClock()) as store:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(folder), str(times), cwd=ROOT)
        async for event in store.follow_events():
            figures.append((time.monotonic() - float(event.message)) * 1000)
            if len(figures) == times:
                break
        await process.wait()
    return figures


async def tell(folder: Path, times: int) -> None:
    """Emit events that say when: what `news` starts."""
    async with SqliteStore(folder, SystemClock()) as store:
        for _ in range(times):
            await asyncio.sleep(0.02)
            store.emit(Event("Instance", ObjectKey("default", "cam"), Reason.DEVICE_FOUND, repr(time.monotonic())))


def news(times: int) -> list[float]:
    """Return how long it takes until another process has heard of a change, from the call that makes it, milliseconds."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        asyncio.run(fill(Path(folder), 20))
        return asyncio.run(_listen(Path(folder), times))


def resident() -> float:
    """Return the memory that this process holds, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def opening(count: int) -> tuple[float, float]:
    """Return the seconds until a store of so many Instances is open, and the MiB that this process grew by."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        program = "import asyncio, sys; from pathlib import Path; from benchmarks import _store; "
        program += "asyncio.run(_store.fill(Path(sys.argv[1]), int(sys.argv[2])))"
        subprocess.run([sys.executable, "-c", program, folder, str(count)], cwd=ROOT, check=True)
        return asyncio.run(_open(Path(folder)))


async def _open(folder: Path) -> tuple[float, float]:
    before, began = resident(), time.perf_counter()
    async with SqliteStore(folder, SystemClock()):
        return time.perf_counter() - began, resident() - before

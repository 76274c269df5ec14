"""Agents to measure: on the in-memory platform, with many Instances of another Configuration, and real devices that come and go.

No kubelet is there: what is measured is the way from the kernel, or from a handler's answer, to the Instance in the store.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import define

from akri.agent.agent import Agent
from akri.clock import SystemClock
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.evidence import Listing
from akri.core.ids import DeviceId, HandlerName, NodeName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.discovery.embedded import HandlerFactory, embedded_handlers
from akri.discovery.handler import Handler
from akri.discovery.registration import RegistrationServer
from akri.discovery.snapshot import Snapshot
from akri.platforms.local.memory import MemoryStore
from akri.ports import Clock, Gone, Put, Reset
from akri.testing.loop import loop_device
from akri.testing.source import ScriptedSource

__all__ = ["ManyDevices", "change", "plugs", "snapshot"]

OTHERS: Final = 1000
MANY: Final = 10_000
_CHANGES: Final = 20
_SCRIPTED: Final = HandlerName("scripted")
_UDEV: Final = HandlerName("udev")
_PATIENCE: Final = 120.0
_NODE: Final = NodeName("node-a")
_ROOT: Final = Path(__file__).parents[1]


class _NoPlugins:
    """Nobody to offer anything to."""

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool) -> None:
        del resource, devices, in_use

    def withdraw(self, resource: ResourceName) -> None:
        del resource


@define(eq=False)
class _World:
    """An agent and its store."""

    store: MemoryStore
    agent: Agent
    source: ScriptedSource
    folder: Path

    async def ask(self, name: str, handler: HandlerName, details: str = "") -> None:
        await self.store.apply(Configuration(ObjectMeta(ObjectKey("default", name)), DiscoveryRequest(handler, details)))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not condition():  # noqa: ASYNC110 - of things that many parts do
                await asyncio.sleep(0.01)

    def count(self, name: str) -> int:
        return len(self.agent.state.instances.get(ObjectKey("default", name), ()))


@asynccontextmanager
async def _world(handlers: Mapping[HandlerName, HandlerFactory] | None = None) -> AsyncGenerator[_World]:
    clock = SystemClock()
    store = MemoryStore(clock)
    await store.register_node(_NODE)
    source = ScriptedSource(_SCRIPTED, shared=True)

    def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - what a handler's factory is given
        return source

    async def list_pods() -> Listing:
        await asyncio.sleep(0)
        return Listing(clock.now(), {})

    agent = Agent(_NODE, store.node(_NODE), clock, {_SCRIPTED: make, **(handlers or {})}, _NoPlugins(), list_pods)
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        async with AsyncExitStack() as stack:
            running = asyncio.ensure_future(agent.run())
            stack.push_async_callback(asyncio.wait, {running})
            stack.callback(running.cancel)
            await stack.enter_async_context(RegistrationServer(Path(name), agent.register, clock))
            yield _World(store, agent, source, Path(name))


def _devices(count: int) -> list[Device]:
    return [Device(DeviceId(f"device {number}"), {"NUMBER": str(number), "URL": f"rtsp://10.1.2.3/{number}"}) for number in range(count)]


class _Seen:
    """When an Instance of a device came and went, as a watch of the store tells it."""

    def __init__(self, store: MemoryStore, device_id: str) -> None:
        self._watch = store.cluster().watch_instances()
        self._device_id = device_id
        self._key: ObjectKey | None = None

    async def comes(self) -> float:
        async for event in self._watch:
            match event:
                case Reset(objects):
                    found: tuple[Instance, ...] = objects
                case Put(instance):
                    found = (instance,)
                case _:
                    continue
            for instance in found:
                if instance.device_id == self._device_id:
                    self._key = instance.key
                    return time.monotonic()
        raise RuntimeError

    async def goes(self) -> float:
        async for event in self._watch:
            if isinstance(event, Gone) and event.key == self._key:
                return time.monotonic()
        raise RuntimeError


async def _plugs(count: int, *, remote: bool) -> tuple[list[float], list[float]]:
    """Attach a file to a loop device and detach it; return how long it took each time until the Instance was there, and gone."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(_world({} if remote else embedded_handlers(["udev"])))
        if remote:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", _HANDLER, str(world.folder), cwd=_ROOT)
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
        world.source.show(*_devices(OTHERS))
        await world.ask("others", _SCRIPTED)
        await world.until(lambda: world.count("others") == OTHERS)
        disk = world.folder / "disk.img"
        disk.write_bytes(bytes(1 << 16))
        with loop_device() as device:
            await world.ask("disk", _UDEV, f"""udevRules: ['KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{disk}"']""")
            await world.until(lambda: any(report.answered_at for report in world.agent.discovery.reports(ObjectKey("default", "disk"))))
            seen, came, went = _Seen(world.store, device.devpath), list[float](), list[float]()
            for _ in range(count):
                began = time.monotonic()
                device.attach(disk)
                came.append(await seen.comes() - began)
                await asyncio.sleep(0.1)
                began = time.monotonic()
                device.detach()
                went.append(await seen.goes() - began)
                await asyncio.sleep(0.1)
        return came, went


_HANDLER: Final = """
import asyncio, sys
from pathlib import Path
from akri.clock import SystemClock
from akri.discovery.serving import Place, serve
from akri.discovery.udev.source import UdevHandler
asyncio.run(serve("udev", UdevHandler(SystemClock()).discover, shared=False, place=Place(Path(sys.argv[1]))))
"""


def plugs(percentile: int, *, remote: bool, unplug: bool, count: int = 100) -> None:
    """Print a percentile of the seconds from a plug, or an unplug, to the Instance."""
    figures = sorted(asyncio.run(_plugs(count, remote=remote))[unplug])
    print(figures[min(len(figures) - 1, len(figures) * percentile // 100)])


class ManyDevices:
    """A handler of many devices, for a process of its own or this one. `first` is another device after each call of `change`."""

    def __init__(self) -> None:
        self.devices = _devices(MANY)
        self._changed = asyncio.Event()

    def change(self, number: int) -> None:
        self.devices = [Device(self.devices[0].id, {"NUMBER": f"changed {number}"}), *self.devices[1:]]
        self._changed.set()

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        del details, properties
        while True:
            self._changed.clear()
            yield Snapshot(tuple(self.devices))
            await self._changed.wait()


async def _snapshot() -> tuple[float, float]:
    async with _world() as world:
        process = subprocess.Popen([sys.executable, "-c", _MANY, str(world.folder)], cwd=_ROOT)  # noqa: ASYNC220 - returns at once
        try:
            await world.until(lambda: bool(world.agent.handlers.of(HandlerName("many"))))
            began = time.monotonic()
            await world.ask("many", HandlerName("many"))
            await world.until(lambda: world.count("many") == MANY)
            took = time.monotonic() - began
            await asyncio.sleep(1)
            if len({instance.device_id for instance in world.store.instances}) != MANY:
                raise RuntimeError
        finally:
            process.kill()
            process.wait()
        return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_MANY: Final = """
import asyncio, sys
from pathlib import Path
from akri.discovery.serving import Place, serve
from benchmarks._discovering import ManyDevices
asyncio.run(serve("many", ManyDevices().discover, shared=True, place=Place(Path(sys.argv[1]))))
"""


def snapshot(*, memory: bool) -> None:
    """Print the seconds from a Configuration to 10,000 Instances of one snapshot, or the most memory of it in MiB."""
    print(asyncio.run(_snapshot())[memory])


async def _change(*, remote: bool) -> float:
    """Return the processor time of this process, which a remote handler is no part of, from a device's change to the decision."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(_world())
        tell = await _told_from_outside(world, stack) if remote else _told_inside(world)
        await world.ask("many", HandlerName("many") if remote else _SCRIPTED)
        await world.until(lambda: world.count("many") == MANY)
        await asyncio.sleep(2)
        decided, figures = asyncio.Event(), list[float]()
        _on_decision(world.agent, decided)
        for number in range(_CHANGES):
            decided.clear()
            began = time.process_time()
            tell(number)
            async with asyncio.timeout(_PATIENCE):
                await decided.wait()
            figures.append(time.process_time() - began)
            await asyncio.sleep(1)
        return statistics.median(figures)


def _on_decision(agent: Agent, decided: asyncio.Event) -> None:
    before, key = agent.inventory.on_round, ObjectKey("default", "many")

    def after(configuration: ObjectKey) -> None:
        if configuration == key and agent.inventory.decided[key].commands:
            decided.set()
        before(configuration)

    agent.inventory.on_round = after


def _told_inside(world: _World) -> Callable[[int], None]:
    devices = _devices(MANY)
    world.source.show(*devices)
    return lambda number: world.source.show(Device(devices[0].id, {"NUMBER": f"changed {number}"}), *devices[1:])


async def _told_from_outside(world: _World, stack: AsyncExitStack) -> Callable[[int], None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _CHANGING, str(world.folder), cwd=_ROOT, stdin=subprocess.PIPE)
    stack.push_async_callback(process.wait)
    stack.callback(process.kill)
    await world.until(lambda: bool(world.agent.handlers.of(HandlerName("many"))))
    pipe = process.stdin
    if pipe is None:
        raise RuntimeError
    return lambda number: pipe.write(f"{number}\n".encode())


_CHANGING: Final = """
import asyncio, sys
from pathlib import Path
from akri.discovery.serving import Place, serve
from benchmarks._discovering import ManyDevices
many = ManyDevices()
async def main():
    serving = asyncio.ensure_future(serve("many", many.discover, shared=True, place=Place(Path(sys.argv[1]))))
    while line := await asyncio.to_thread(sys.stdin.readline):
        many.change(int(line))
    serving.cancel()
asyncio.run(main())
"""


def change(*, remote: bool) -> None:
    """Print the processor seconds of the agent for a change of one device among 10,000."""
    print(asyncio.run(_change(remote=remote)))

"""A machine that starts anew on its state folder serves its devices before any handler has answered."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from akri.clock import SystemClock
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.ids import DeviceId, HandlerName, NodeName, ObjectKey
from akri.core.metadata import JsonObject, ObjectMeta
from akri.discovery.handler import Handler
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.stopping import stop_all
from akri.ports import Clock
from akri.scheduling.model import Phase
from akri.testing.source import ScriptedSource
from akri_standalone.settings import Settings
from akri_standalone.wiring import Machine

SCRIPTED = HandlerName("scripted")


@asynccontextmanager
async def machine(folder: Path, source: ScriptedSource) -> AsyncGenerator[Machine]:
    """Run one machine on a state folder, as long as the block lasts."""

    def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
        return source

    settings = Settings(StateFolder(folder), NodeName("n"), {SCRIPTED: make})
    settings.state.prepare(settings.node)
    async with SqliteStore(folder, SystemClock()) as store:
        with Lock.take(settings.folder.lock):
            made = Machine(settings, store)
            running = asyncio.create_task(made.run())
            try:
                yield made
                assert not running.done()
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(45):
        while not condition():  # noqa: ASYNC110 - several tasks and processes
            await asyncio.sleep(0.05)


async def test_e2_a_pod_gets_a_device_that_no_handler_has_spoken_of_since_the_start() -> None:
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        folder = Path(name) / "s"
        seen, silent = ScriptedSource(SCRIPTED), ScriptedSource(SCRIPTED)
        seen.show(Device(DeviceId("foo0"), {"PLACE": "/dev/foo0"}))
        async with machine(folder, seen) as first:
            await first.store.apply(Configuration(ObjectMeta(ObjectKey("default", "cam")), DiscoveryRequest(SCRIPTED)))
            await until(lambda: 1 in first.manager.allocatable.values() and len(first.store.instances) == 1)
            (instance,) = first.store.instances
        async with machine(folder, silent) as second:
            await second.serving()
            container: JsonObject = {
                "name": "main",
                "command": ["sh", "-c", f"echo $PLACE >{name}/place; exec sleep 1000"],
                "resources": {"limits": {f"akri.sh/{instance.name}": "1"}},
            }
            pod = await second.store.create_pod(ObjectKey("default", "user"), {"nodeName": "n", "containers": [container]})
            await until(lambda: (found := second.store.pod(pod.metadata.key)) is not None and found.phase is Phase.RUNNING)
            await until((Path(name) / "place").exists)
            await until(lambda: (Path(name) / "place").read_text() == "/dev/foo0\n")
            assert silent.streams == 1
        await stop_all(folder, 1.0)

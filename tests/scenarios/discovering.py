"""An agent on the in-memory platform with its registration socket, in real time, and discovery handlers that behave as a test says.

Handlers talk to it as other people's do: over real sockets, from this process by raw bytes, or from processes of their own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import define, field

from akri import rpc
from akri.agent.agent import Agent
from akri.agent.memory import Memory
from akri.clock import SystemClock
from akri.controller.controller import Controller
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.evidence import Listing
from akri.core.ids import HandlerName, NodeName, ObjectKey
from akri.core.metadata import ObjectMeta
from akri.core.properties import DiscoveryProperty
from akri.core.reports import Condition, Event, HandlerReport
from akri.discovery.allowed import USUAL, Allowed
from akri.discovery.embedded import HandlerFactory
from akri.discovery.registration import SOCKET_NAME, RegistrationServer
from akri.discovery.tls import TlsFiles
from akri.discovery.wire import DISCOVER, MOST, REGISTER, Registration, write_registration
from akri.platforms.local.memory import MemoryStore
from akri.ports import NodePlatform
from tests.unit.agent.world import Plugins

__all__ = [
    "NODE",
    "PATIENCE",
    "DiscoveringNode",
    "HandlerProcess",
    "RawHandler",
    "configuration",
    "discovering",
    "handler_process",
    "raw_handler",
    "register",
]

NODE: Final = NodeName("node-a")
PATIENCE: Final = 20.0
"""Seconds for what takes a moment on a machine that is idle."""
_ROOT: Final = Path(__file__).parents[2]


def configuration(
    name: str = "cam", handler: str = "mine", details: str = "", properties: tuple[DiscoveryProperty, ...] = (), **annotations: str
) -> Configuration:
    """Describe a Configuration."""
    metadata = ObjectMeta(ObjectKey("default", name), annotations={f"akri.sh/{key}": value for key, value in annotations.items()})
    return Configuration(metadata, DiscoveryRequest(HandlerName(handler), details, properties))


@define(eq=False)
class DiscoveringNode:
    """The agent, where it listens, and what came of it."""

    folder: Path
    store: MemoryStore
    agent: Agent
    plugins: Plugins
    clock: SystemClock

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
        """Wait until it is so; return how long that took. Raises TimeoutError."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                message = f"it is not so after {seconds} s: {self.reports()} {self.problems()} {len(self.ids())} Instances"
                raise TimeoutError(message)
            await asyncio.sleep(0.005)
        return time.monotonic() - began

    def ids(self) -> list[str]:
        """Device ids of all Instances."""
        return sorted(instance.device_id or "" for instance in self.store.instances)

    def reports(self, name: str = "cam") -> list[HandlerReport]:
        """What this node reports of the handlers of a Configuration."""
        reports = [report for report in self.store.reports if report.configuration == ObjectKey("default", name)]
        return [handler for report in reports for handler in report.handlers]

    def problems(self, name: str = "cam") -> str:
        """What this node reports to be wrong with a Configuration, its handlers' errors too."""
        reports = [report for report in self.store.reports if report.configuration == ObjectKey("default", name)]
        return "\n".join([*(problem for report in reports for problem in report.problems), *(one.error for one in self.reports(name))])

    def condition(self, name: str = "cam", kind: str = "Discovering") -> Condition | None:
        """A condition in a Configuration's status."""
        status = self.store.status(ObjectKey("default", name))
        return next((one for one in status.conditions if one.type == kind), None) if status else None

    def events(self, name: str = "cam") -> list[Event]:
        """Events about a Configuration."""
        return [event for event in self.store.events if event.about == ObjectKey("default", name) and event.kind == "Configuration"]


@asynccontextmanager
async def discovering(
    folder: Path,
    *,
    store: MemoryStore | None = None,
    embedded: Mapping[HandlerName, HandlerFactory] | None = None,
    allowed: Allowed = USUAL,
    tls: TlsFiles | None = None,
    wrap: Callable[[NodePlatform], NodePlatform] = lambda platform: platform,
) -> AsyncGenerator[DiscoveringNode]:
    """Run an agent with its registration socket in `folder`, and a controller. The agent remembers handlers in there as well."""
    clock = SystemClock()
    store = store or MemoryStore(clock)
    await store.register_node(NODE)
    memory, plugins = Memory(folder / "state", clock), Plugins()

    async def list_pods() -> Listing:
        await asyncio.sleep(0)
        return Listing(clock.now(), {})

    remembered = memory.load()
    agent = Agent(
        NODE,
        wrap(store.node(NODE)),
        clock,
        embedded or {},
        plugins,
        list_pods,
        registrations=remembered,
        keep=memory.keep,
        allowed=allowed,
        tls=tls,
    )
    async with AsyncExitStack() as stack:
        controller = Controller(store.cluster(), clock)
        tasks = [asyncio.create_task(work) for work in (agent.run(), memory.run(), controller.run())]
        stack.push_async_callback(_end, tasks)
        await stack.enter_async_context(RegistrationServer(folder, agent.register, clock))
        yield DiscoveringNode(folder, store, agent, plugins, clock)
        assert not any(task.done() for task in tasks), "something ended"


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def register(folder: Path, registration: Registration) -> None:
    """Make a handler known, once. Raises RemoteCallError."""
    channel = rpc.connect(rpc.unix(folder / SOCKET_NAME), most=MOST)
    try:
        await rpc.call(channel, REGISTER, write_registration(registration), seconds=10)
    finally:
        await channel.close()


@define(eq=False)
class RawHandler:
    """A handler that sends any bytes. `asked`: when it was; `open`: streams that are. `behave` may be replaced at any time."""

    registration: Registration
    behave: Callable[[bytes, rpc.Context], Awaitable[None]]
    asked: list[float] = field(factory=list[float])
    open: int = 0

    async def answer(self, request: bytes, context: rpc.Context) -> None:
        """Do what the test says."""
        self.asked.append(time.monotonic())
        self.open += 1
        try:
            await self.behave(request, context)
        finally:
            self.open -= 1


@asynccontextmanager
async def raw_handler(
    folder: Path, behave: Callable[[bytes, rpc.Context], Awaitable[None]], name: str = "mine", *, shared: bool = True, socket: str = ""
) -> AsyncGenerator[RawHandler]:
    """Serve a handler on a unix socket in `folder`; it registers when the test says so."""
    path = folder / (socket or f"{name}.sock")
    handler = RawHandler(Registration(HandlerName(name), str(path), network=False, shared=shared), behave)
    server = await rpc.serve(rpc.unix(path), {DISCOVER: rpc.stream_method(handler.answer)}, most=MOST)
    try:
        yield handler
    finally:
        await server.stop(grace=None)


@define(eq=False)
class HandlerProcess:
    """A handler in a process of its own (tests/scenarios/handler_program.py)."""

    process: subprocess.Popen[str]

    def say(self, line: str) -> None:
        """Tell it what to do: `show A B`, `hang`, `crash`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)


@asynccontextmanager
async def handler_process(folder: Path, *arguments: str) -> AsyncGenerator[HandlerProcess]:
    """Start a handler in a process of its own; it ends with the block."""
    command = [sys.executable, "-m", "tests.scenarios.handler_program", str(folder), *arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stderr=errors, text=True)  # noqa: ASYNC220 - returns at once
        try:
            yield HandlerProcess(process)
        finally:
            process.kill()
            process.wait(10)
            if process.stdin is not None:
                process.stdin.close()

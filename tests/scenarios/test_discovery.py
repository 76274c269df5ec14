"""D3, D6, T3, and the network: hot-plug, ten thousand changes, secrets that show up nowhere, connections that go silent."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from akri import rpc
from akri.core.configuration import DiscoveryRequest
from akri.core.device import Device
from akri.core.errors import DiscoveryError, InvalidDocumentError, InvalidValueError, Problem, RemoteCallError
from akri.core.ids import DeviceId, HandlerName, ObjectKey
from akri.core.properties import FromConfigMap, FromSecret
from akri.discovery.embedded import embedded_handlers
from akri.discovery.handler import Handler
from akri.discovery.remote import RemoteHandler
from akri.discovery.serving import HandlerServer, Place
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.discovery.wire import read_question
from akri.ports import Clock
from akri.testing.loop import loop_device, loop_devices_refused
from tests.scenarios.discovering import DiscoveringNode, configuration, discovering, raw_handler, register
from tests.unit.agent.world import HANDLER, agent_world, device
from tests.unit.agent.world import configuration as scripted

_REFUSED = loop_devices_refused()
_MARKER: Final = b"mArKeR-s3cr3t/with+odd chars"


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path: a unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="akri-") as path:
        yield Path(path)


@pytest.mark.skipif(bool(_REFUSED), reason=_REFUSED)
@pytest.mark.parametrize("remote", [False, True])
async def test_d3_a_plugged_device_becomes_an_instance_in_a_moment_and_unplugged_it_goes(folder: Path, *, remote: bool) -> None:
    disk = folder / "disk.img"
    disk.write_bytes(bytes(1 << 16))
    factories = embedded_handlers(["udev"])
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(discovering(folder, embedded={} if remote else factories))
        if remote:
            udev = factories[HandlerName("udev")](node.clock)
            server = HandlerServer(HandlerName("udev"), udev.discover, node.clock, Place(folder), shared=False)
            await stack.enter_async_context(server)
            await register(folder, server.registration)
        plugged = stack.enter_context(loop_device())
        rule = f"""udevRules: ['KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{disk}"']"""
        await node.store.apply(configuration(handler="udev", details=rule))
        await node.until(lambda: any(report.answered_at for report in node.reports()))
        came, went = list[float](), list[float]()
        for _ in range(5):
            plugged.attach(disk)
            came.append(await node.until(lambda: node.ids() == [plugged.devpath]))
            plugged.detach()
            went.append(await node.until(lambda: not node.ids()))
        # A look every 10 s would show in each of them; a machine that is busy, in some.
        assert min(came) < 0.3
        assert min(went) < 0.3


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_d6_ten_thousand_changes_leave_no_stream_and_no_task_behind() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(ObjectKey("default", "login"), {"password": b"x"})
        secret = FromSecret("password", ObjectKey("default", "login"), "password")
        await it.store.apply(scripted("steady"))
        await it.clock.advance(1)
        steady = it.agent.discovery.presence[ObjectKey("default", "steady")]
        tasks, files = len(asyncio.all_tasks()), _open_files()
        for number in range(10_000):
            name = f"cam{number % 7}"
            if number % 5 == 4:
                await it.store.delete(ObjectKey("default", name))
            else:
                request = DiscoveryRequest(HANDLER, str(number), (secret,) if number % 2 else ())
                await it.store.apply(evolve(scripted(name), discovery=request))
            if number % 3:
                await it.clock.settle()
        for number in range(7):
            await it.store.delete(ObjectKey("default", f"cam{number}"))
        await it.clock.advance(10)
        assert it.source.streams == 1
        assert it.agent.discovery.presence == {ObjectKey("default", "steady"): steady}
        assert len(asyncio.all_tasks()) == tasks
        assert _open_files() <= files
        assert len(it.source.asked) > 5000


async def test_d6_streams_over_sockets_are_closed_at_the_handler_and_other_configurations_keep_theirs(folder: Path) -> None:
    async def behave(request: bytes, context: rpc.Context) -> None:
        del request
        await context.write(b"")
        await asyncio.Event().wait()

    async with discovering(folder) as node, raw_handler(folder, behave) as handler:
        await register(folder, handler.registration)
        await node.store.apply(configuration("steady"))
        await node.until(lambda: handler.open == 1 and bool(node.reports("steady")))
        await asyncio.sleep(0.5)
        gc.collect()
        tasks, files = len(asyncio.all_tasks()), _open_files()
        for number in range(200):
            await node.store.apply(configuration(details=str(number)))
            await asyncio.sleep(0.005)
        await node.store.delete(ObjectKey("default", "cam"))
        await node.until(lambda: handler.open == 1)
        gc.collect()
        await node.until(lambda: len(asyncio.all_tasks()) <= tasks + 2)
        await node.until(lambda: _open_files() <= files + 2)
        assert len(handler.asked) > 50
        assert node.reports("steady")[0].error == ""


class _Careless:
    """A handler that quotes its password wherever it can, in a way of its own each time it is asked."""

    def __init__(self, name: str) -> None:
        self.name = HandlerName(name)
        self.shared = True
        self.asked = 0

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot]:
        del details
        password = properties["password"].decode()
        self.asked += 1
        errors: list[Exception] = [
            DiscoveryError(f"rtsp://admin:{password}@10.1.2.3 answers 401"),
            DiscoveryError(f"Basic {base64.b64encode(properties['password']).decode()}"),
            ValueError(properties),
            ExceptionGroup("several", [OSError(password), KeyError(password)]),
            InvalidValueError("password", password, "another one"),
            RemoteCallError(password, "UNAVAILABLE", password),
        ]
        if self.asked <= len(errors):
            raise errors[self.asked - 1]
        report = SourceReport(1, {f"login {password}": 1}, f"logged in with {password}")
        yield Snapshot((Device(DeviceId("foo0"), {"KEY": "value"}),), report, problems=(Problem("device x", f"refuses {password}"),))
        await asyncio.sleep(0.5)
        try:
            raise TypeError(password)
        except TypeError as error:
            raise InvalidDocumentError("details", [Problem("password", f"{password} is refused")]) from error


@pytest.mark.parametrize("way", ["embedded", "remote"])
async def test_t3_a_secret_shows_up_nowhere(folder: Path, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handler = _Careless("mine")

    def make(clock: Clock, poll_interval: float | None = None) -> Handler:  # noqa: ARG001 - as every factory of a handler
        return handler

    async with AsyncExitStack() as stack:
        embedded = {handler.name: make} if way == "embedded" else {}
        node = await stack.enter_async_context(discovering(folder, embedded=embedded))
        key, words = ObjectKey("default", "login"), list[str]()
        await node.store.put_secret(key, {"password": _MARKER})
        await node.store.put_config_map(key, {"url": b"rtsp://10.1.2.3"})
        properties = (FromSecret("password", key, "password"), FromConfigMap("url", key, "url"))
        if way == "remote":
            server = HandlerServer(handler.name, handler.discover, node.clock, Place(folder), shared=True)
            await stack.enter_async_context(server)
            await register(folder, server.registration)
        await node.store.apply(configuration(properties=properties))
        for count in range(1, 8):
            await node.until(lambda count=count: handler.asked >= count)  # type: ignore[misc]
            await asyncio.sleep(0.15)
            words += _everything(node)
            node.agent.discovery.registered("embedded" if way == "embedded" else str(folder / "mine.sock"))
        await node.until(lambda: node.ids() == ["foo0"])
        await asyncio.sleep(0.5)
        words += [*_everything(node), caplog.text]
        assert "<secret>" in "".join(words)
        for form in (_MARKER.decode(), "mArKeR", base64.b64encode(_MARKER).decode(), "mArKeR-s3cr3t%2F"):
            assert form not in "".join(words), next(word for word in words if form in word)[:500]


def _everything(node: DiscoveringNode) -> list[str]:
    """All that people can come to see, and what a debugger's print of the agent's parts shows."""
    store, agent = node.store, node.agent
    shown = [store.instances, store.events, store.reports, store.status(ObjectKey("default", "cam")), store.configurations]
    parts = [agent.discovery, agent.handlers, agent.state, agent.inventory.decided, agent.reporting]
    tasks = [repr(task) for task in asyncio.all_tasks()]
    return [*(repr(one) for one in (*shown, *parts)), *tasks, *(str(path.read_text()) for path in (node.folder / "state").glob("*"))]


@asynccontextmanager
async def _relay(target: str, delay: float) -> AsyncGenerator[tuple[int, Callable[[], None]]]:
    """A network on the way to a unix socket: each piece takes `delay` seconds, and after a call of the second value none comes through."""
    cut = asyncio.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            await asyncio.sleep(delay)
            if cut.is_set():
                await asyncio.Event().wait()
            writer.write(piece)
        writer.close()

    pumps, writers = set[asyncio.Task[None]](), list[asyncio.StreamWriter]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(target)
        writers.extend([writer, there[1]])
        pumps.update([asyncio.create_task(pump(reader, there[1])), asyncio.create_task(pump(there[0], writer))])

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut.set
    finally:
        server.close()
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()


async def _answer(request: bytes, context: rpc.Context) -> None:
    assert read_question(request).details == "details"
    await context.write(b"")
    await asyncio.Event().wait()


async def test_a_slow_network_takes_time_and_works(folder: Path) -> None:
    async with raw_handler(folder, _answer) as handler, _relay(handler.registration.endpoint, 0.4) as (port, _):
        remote = RemoteHandler(evolve(handler.registration, endpoint=f"http://127.0.0.1:{port}", network=True))
        stream: AsyncIterator[Snapshot] = remote.discover("details", {})
        async with asyncio.timeout(20):
            assert await anext(stream) == Snapshot()
        await _close(stream)


async def test_an_endpoint_on_the_network_that_goes_silent_is_noticed(folder: Path) -> None:
    async with raw_handler(folder, _answer) as handler, _relay(handler.registration.endpoint, 0.0) as (port, cut):
        registration = evolve(handler.registration, endpoint=f"http://127.0.0.1:{port}", network=True)
        stream: AsyncIterator[Snapshot] = RemoteHandler(registration, keepalive=1.0).discover("details", {})
        await anext(stream)
        cut()
        began = time.monotonic()
        with pytest.raises(DiscoveryError, match=f"discovery handler mine at http://127.0.0.1:{port}"):
            async with asyncio.timeout(60):
                await anext(stream)
        assert 5 < time.monotonic() - began < 30
        await _close(stream)


async def _close(stream: AsyncIterator[Snapshot]) -> None:
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()

"""What the program does with its settings, what it tells of itself, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import aiohttp
import pytest

from akri.core.errors import InvalidDocumentError
from akri.testing.agent import FakeAgent
from tests.integration.discovery.places import free_port
from tests.integration.handler.program import program

ECHO = "descriptions: [foo0, foo1]"


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        yield Path(name)


async def page(port: int, path: str, seconds: float = 20) -> tuple[int, str]:
    """Get a page, as soon as somebody listens."""
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status, await answer.text()
            except aiohttp.ClientConnectionError:
                assert time.monotonic() < until, "nobody listens"
                await asyncio.sleep(0.05)


async def status_reached(port: int, path: str, status: int) -> None:
    async with asyncio.timeout(20):
        while (await page(port, path))[0] != status:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def sample(text: str, name: str) -> float:
    """Read a metric."""
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name}{{"))


async def test_health_and_metrics_tell_how_it_goes() -> None:
    port = free_port()
    async with FakeAgent() as agent:
        await agent.stop()
        async with program("debug-echo", "--metrics-port", str(port), folder=agent.folder) as running:
            assert await page(port, "/healthz") == (200, "alive\n")
            assert (await page(port, "/readyz"))[0] == 503
            assert str(agent.folder) in (await page(port, "/readyz"))[1]
            await agent.start()
            await status_reached(port, "/readyz", 200)
            async with agent.asking("debugEcho", ECHO) as answers:
                await anext(answers)
                text = (await page(port, "/metrics"))[1]
                names = ("akri_handler_streams", "akri_handler_devices", "akri_handler_answers_total", "akri_handler_registered")
                assert [sample(text, name) for name in names] == [1, 2, 1, 1]
                assert "process_resident_memory_bytes" in text
            async with agent.asking("debugEcho", "colour: red") as answers:
                with pytest.raises(InvalidDocumentError, match="colour: unknown field"):
                    await anext(answers)
            async with asyncio.timeout(30):
                while sample(text := (await page(port, "/metrics"))[1], "akri_handler_streams"):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            assert (sample(text, "akri_handler_devices"), sample(text, "akri_handler_failures_total")) == (0, 1)
            assert (await page(port, "/nothing"))[0] == 404
            assert await running.end() == (0, "")


async def test_pages_are_served_to_those_who_ask_properly() -> None:
    port = free_port()
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder, METRICS_PORT=str(port)):
        await page(port, "/healthz")
        for request, start in (
            (b"HEAD /healthz HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
            (b"GET /healthz?verbose HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
            (b"POST /healthz HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
            (b"\xff\xfe\r\n\r\n", b"HTTP/1.1 404 "),
            (b"x" * 100_000, b""),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            async with asyncio.timeout(30):
                try:
                    assert (await reader.read(64)).startswith(start)
                except ConnectionResetError:
                    assert start == b""
            writer.close()
        assert (await page(port, "/healthz"))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_when_told_to_and_leaves_no_socket(number: signal.Signals) -> None:
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder) as running:
        async with agent.asking("debugEcho", ECHO) as answers:
            await anext(answers)
            running.process.send_signal(number)
            async with asyncio.timeout(20):
                assert await running.process.wait() == 0
        assert not (agent.folder / "debugEcho.sock").exists()


async def test_devices_of_its_own_are_not_shared_if_told_so() -> None:
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder, DEBUG_ECHO_INSTANCES_SHARED="false"):
        assert not (await agent.registered("debugEcho", within=20)).shared


async def test_a_flag_wins_over_the_environment() -> None:
    async with (
        FakeAgent() as agent,
        program("debug-echo", "--shared", "--unix", folder=agent.folder, DEBUG_ECHO_INSTANCES_SHARED="false", POD_IP="10.1.2.3"),
    ):
        registered = await agent.registered("debugEcho", within=20)
        assert (registered.shared, registered.network) == (True, False)


async def test_udev_is_served_on_the_network() -> None:
    port = free_port()
    async with FakeAgent() as agent, program("udev", "--network", f"127.0.0.1:{port}", folder=agent.folder):
        async with agent.asking("udev", "udevRules: ['KERNEL==\"null\"']") as answers:
            (device,) = (await anext(answers)).devices
        assert device.properties["UDEV_DEVNODE"] == "/dev/null"
        registered = await agent.registered("udev")
        assert (registered.endpoint, registered.network, registered.shared) == (f"http://127.0.0.1:{port}", True, False)


async def test_all_settings_that_cannot_be_are_named_at_once() -> None:
    bad = {"POD_IP": "nowhere", "METRICS_PORT": "0", "DEBUG_ECHO_INSTANCES_SHARED": "maybe", "AKRI_TLS_KEY": "/k"}
    async with program("debug-echo", "--folder", "relative", "--poll-interval", "-1", folder=None, **bad) as running:
        code, words = await running.end() if await running.process.wait() else (0, "")
    assert code == 2
    assert [line.split(": ")[1] for line in words.splitlines()] == [
        "POD_IP",
        "--folder",
        "AKRI_TLS_CERTIFICATE",
        "AKRI_TLS_AUTHORITIES",
        "DEBUG_ECHO_INSTANCES_SHARED",
        "--poll-interval",
        "METRICS_PORT",
    ]


async def ended(*arguments: str, folder: Path | None = None) -> tuple[int, str]:
    async with program(*arguments, folder=folder) as running, asyncio.timeout(20):
        _, words = await running.process.communicate()
    return running.process.returncode or 0, words.decode()


async def test_what_it_cannot_serve_on_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = await ended("debug-echo", "--network", f"127.0.0.1:{port}", folder=folder)
        assert (code, f"127.0.0.1:{port}" in words, "Traceback" in words) == (1, True, False)
        code, words = await ended("debug-echo", "--metrics-port", str(port), folder=folder)
        assert (code, str(port) in words, "Traceback" in words) == (1, True, False)
    code, words = await ended("debug-echo", folder=Path("/proc/akri"))
    assert (code, "/proc/akri" in words, "Traceback" in words) == (1, True, False)
    files = [word for flag in ("certificate", "key", "authorities") for word in (f"--tls-{flag}", f"/no/{flag}.pem")]
    code, words = await ended("debug-echo", "--network", "127.0.0.1", *files, folder=folder)
    assert (code, "/no/" in words, "Traceback" in words) == (1, True, False)


async def test_help_has_examples_settings_and_exit_codes() -> None:
    process = await asyncio.create_subprocess_exec(
        *("akri-handler", "--help"), stdout=asyncio.subprocess.PIPE, env={"PATH": str(Path(sys.executable).parent)}
    )
    words = (await process.communicate())[0].decode()
    assert process.returncode == 0
    for part in (
        "Examples:",
        "akri-handler udev --network 10.1.2.3",
        "Exit codes: 0 ended",
        "[DISCOVERY_HANDLERS_DIRECTORY, /var/lib/akri]",
    ):
        assert part in words

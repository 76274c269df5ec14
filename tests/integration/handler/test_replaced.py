"""Handlers that are killed, doubled and replaced under an agent that goes on; agents and certificates that are replaced under a handler."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from akri.core.codec import read_configuration
from akri.core.configuration import Configuration
from akri.core.errors import DiscoveryError
from akri.core.ids import NodeName
from akri.discovery.tls import TlsFiles
from akri.platforms.local.folder import StateFolder
from akri.testing.agent import FakeAgent
from akri_standalone.settings import Settings
from akri_standalone.temporary import temporary_machine
from akri_standalone.wiring import Machine
from tests.integration.discovery.places import authority, certificate, free_port
from tests.integration.handler.program import program

ECHO = "descriptions: [foo0, foo1]"


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        yield Path(name)


def configuration() -> Configuration:
    return read_configuration(
        {
            "apiVersion": "akri.sh/v0",
            "kind": "Configuration",
            "metadata": {"name": "echo"},
            "spec": {"discoveryHandler": {"name": "debugEcho", "discoveryDetails": ECHO}},
        }
    )


@asynccontextmanager
async def machine(folder: Path) -> AsyncGenerator[Machine]:
    """A whole machine whose agent has no handler of its own, and one Configuration that wants one."""
    async with temporary_machine(Settings(StateFolder.at(folder), NodeName("n"))) as made:
        await made.store.apply(configuration())
        yield made


def instances(machine: Machine) -> list[str]:
    return sorted(one.name for one in machine.store.instances)


def uids(machine: Machine) -> list[str]:
    return sorted(one.metadata.uid for one in machine.store.instances)


def errors(machine: Machine) -> str:
    return " ".join(handler.error for report in machine.store.reports for handler in report.handlers if handler.error)


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - several processes
            await asyncio.sleep(0.05)


BOTH = ["echo-8120fe", "echo-a19705"]


async def test_a_handler_that_is_killed_takes_no_instance_with_it_and_is_asked_again(folder: Path) -> None:
    async with machine(folder) as host:
        handlers = host.settings.folder.handlers
        async with program("debug-echo", folder=handlers) as first:
            await until(lambda: instances(host) == BOTH)
            made = uids(host)
            first.kill()
            await first.process.communicate()
        await until(lambda: "debugEcho" in errors(host))
        assert instances(host) == BOTH
        async with program("debug-echo", folder=handlers):
            await until(lambda: not errors(host))
            assert uids(host) == made


async def test_two_handlers_of_one_name_are_merged_and_one_may_go(folder: Path) -> None:
    away = folder / "away"
    async with machine(folder) as host:
        handlers = host.settings.folder.handlers
        network = ("--network", f"127.0.0.1:{free_port()}", "--availability", str(away), "--poll-interval", "0.2")
        async with program("debug-echo", *network, folder=handlers) as first, program("debug-echo", folder=handlers):
            await until(lambda: instances(host) == BOTH and len(reports(host)) == 2 and not errors(host))
            away.write_text("OFFLINE")
            await until(lambda: sorted(devices for devices, _ in reports(host)) == [0, 2])
            assert instances(host) == BOTH
            first.kill()
            await until(lambda: bool(errors(host)))
            assert instances(host) == BOTH


def reports(machine: Machine) -> list[tuple[int, str]]:
    return [(handler.devices, handler.error) for report in machine.store.reports for handler in report.handlers]


async def test_a_handler_that_takes_the_place_of_another_keeps_it_when_that_one_ends() -> None:
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder) as first:
        await agent.registered("debugEcho", within=20)
        async with program("debug-echo", folder=agent.folder):
            await agent.registered("debugEcho", times=2, within=20)
            assert (await first.end())[0] == 0
            async with agent.asking("debugEcho", ECHO) as answers:
                assert len((await anext(answers)).devices) == 2


async def test_it_registers_with_each_new_agent() -> None:
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder):
        await agent.registered("debugEcho", within=20)
        for times in (2, 3):
            await agent.restart()
            await agent.registered("debugEcho", times=times, within=5)
        await agent.stop()
        await asyncio.sleep(1)
        await agent.start()
        await agent.registered("debugEcho", times=4, within=5)
        async with agent.asking("debugEcho", ECHO) as answers:
            assert len((await anext(answers)).devices) == 2


def replace(files: TlsFiles, new: TlsFiles) -> None:
    """Put other files in the place of some, as cert-manager does."""
    for old, source in ((files.certificate, new.certificate), (files.key, new.key), (files.authorities, new.authorities)):
        beside = old.with_suffix(".new")
        shutil.copy(source, beside)
        beside.replace(old)


async def test_certificates_that_are_replaced_count_from_the_next_connection_on(folder: Path) -> None:
    old, new = (authority(folder / name) for name in ("old", "new"))
    mine = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    replace(mine, certificate(folder, old, "handler-old"))
    former, latter = certificate(folder, old, "agent-old"), certificate(folder, new, "agent-new")
    tls = ("--tls-certificate", str(mine.certificate), "--tls-key", str(mine.key), "--tls-authorities", str(mine.authorities))
    async with (
        FakeAgent(tls=former) as agent,
        FakeAgent(tls=latter) as other,
        program("debug-echo", "--network", f"127.0.0.1:{free_port()}", *tls, folder=agent.folder),
    ):
        other.registrations.append(await agent.registered("debugEcho", within=20))
        async with agent.asking("debugEcho", ECHO) as kept:
            assert len((await anext(kept)).devices) == 2
            async with other.asking("debugEcho", ECHO) as answers:
                with pytest.raises(DiscoveryError):
                    await anext(answers)
            replace(mine, certificate(folder, new, "handler-new"))
            async with other.asking("debugEcho", ECHO) as answers:
                assert len((await anext(answers)).devices) == 2
            async with agent.asking("debugEcho", ECHO) as answers:
                with pytest.raises(DiscoveryError):
                    await anext(answers)
            mine.certificate.write_text("no certificate any more")
            waiting = asyncio.ensure_future(anext(kept))
            done, _ = await asyncio.wait({waiting}, timeout=0.5)
            assert not done, "the stream that was open goes on"
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

"""`akri discover` against handlers that run, and devices that come and go."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from akri.testing.agent import FakeAgent
from tests.integration.discovery.places import authority, certificate, free_port
from tests.integration.handler.program import program

AKRI = (sys.executable, "-c", "from akri.cli.main import main; main()", "discover")
ECHO = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata:
  name: echo
spec:
  discoveryHandler:
    name: debugEcho
    discoveryDetails: |
      descriptions: [foo0]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "echo.yaml"
    path.write_text(ECHO)
    return path


async def discover(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *AKRI, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_running_handler_is_asked_at_its_socket(file: Path) -> None:
    async with FakeAgent() as agent, program("debug-echo", folder=agent.folder):
        endpoint = (await agent.registered("debugEcho", within=20)).endpoint
        code, output, errors = await discover(str(file), "--handler", endpoint, "--shared")
        assert (code, errors) == (0, "")
        assert "  echo-8120fe  foo0" in output
        assert (await discover(str(file), "--handler", f"unix:{endpoint}", "--node", "n"))[1] != output, (
            "not shared: the node is in the name"
        )


async def test_a_running_handler_is_asked_with_tls(file: Path, tmp_path: Path) -> None:
    ca = authority(tmp_path)
    theirs, ours = certificate(tmp_path, ca, "handler"), certificate(tmp_path, ca, "me")
    tls = ("--tls-certificate", str(theirs.certificate), "--tls-key", str(theirs.key), "--tls-authorities", str(theirs.authorities))
    async with FakeAgent() as agent, program("debug-echo", "--network", f"127.0.0.1:{free_port()}", *tls, folder=agent.folder):
        endpoint = (await agent.registered("debugEcho", within=20)).endpoint
        files = (str(ours.certificate), str(ours.key), str(ours.authorities))
        assert (await discover(str(file), "--handler", endpoint, "--tls", *files))[0] == 0
        code, _, errors = await discover(str(file), "--handler", endpoint)
        assert (code, "speaks TLS" in errors) == (1, True)


async def test_watching_goes_on_until_told_to_end(file: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    async with FakeAgent() as agent, program("debug-echo", "--availability", str(away), "--poll-interval", "0.1", folder=agent.folder):
        endpoint = (await agent.registered("debugEcho", within=20)).endpoint
        process = await asyncio.create_subprocess_exec(
            *(*AKRI, str(file), "--watch", "--shared", "--handler", endpoint),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"echo  + echo-8120fe  foo0\n"
            away.write_text("OFFLINE")
            assert await process.stdout.readline() == b"echo  - echo-8120fe  foo0\n"
            away.unlink()
            assert await process.stdout.readline() == b"echo  + echo-8120fe  foo0\n"
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0


async def test_watching_ends_when_nobody_reads_any_more(file: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    async with FakeAgent() as agent, program("debug-echo", "--availability", str(away), "--poll-interval", "0.1", folder=agent.folder):
        endpoint = (await agent.registered("debugEcho", within=20)).endpoint
        command = (*AKRI, str(file), "--watch", "--shared", "--handler", endpoint)
        shell = f"{{ {shlex.join(command)}; echo $? >&2; }} | head -n 1"
        process = await asyncio.create_subprocess_shell(
            shell, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"echo  + echo-8120fe  foo0\n"
            away.write_text("OFFLINE")
            assert (await process.communicate())[1] in {b"1\n", b"141\n"}, "an error, or the end by SIGPIPE, and no word of it"

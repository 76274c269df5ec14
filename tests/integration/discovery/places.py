"""One handler, reached in each way that an agent can reach one: inside the process, on a unix socket, on the network, with TLS."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from akri.clock import SystemClock
from akri.core.ids import HandlerName
from akri.discovery.handler import Handler
from akri.discovery.remote import RemoteHandler
from akri.discovery.serving import Discover, HandlerServer, Place
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles

__all__ = ["WAYS", "authority", "certificate", "free_port", "reached", "served"]

WAYS: Final = ("embedded", "unix", "network", "tls")
"""All ways to reach a handler."""


class _Embedded:
    """A handler inside the process."""

    def __init__(self, name: HandlerName, discover: Discover, *, shared: bool) -> None:
        self.name = name
        self.shared = shared
        self._discover = discover

    def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        return self._discover(details, properties)


def free_port() -> int:
    """Give a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def authority(folder: Path) -> Path:
    """Make a certificate authority; give its certificate, the key lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    name: list[str | Path] = ["-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"]
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *name)
    return folder / "ca.pem"


def certificate(folder: Path, ca: Path, name: str) -> TlsFiles:
    """Make a certificate for 127.0.0.1, signed by an authority."""
    files = TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", ca)
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1")
    new: list[str | Path] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    _openssl("req", *new, "-keyout", files.key, "-out", request)
    signed: list[str | Path] = ["-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial", "-days", "2", "-extfile", extensions]
    _openssl("x509", "-req", "-in", request, *signed, "-out", files.certificate)
    return files


@asynccontextmanager
async def served(name: str, discover: Discover, place: Place, *, shared: bool = True) -> AsyncGenerator[HandlerServer]:
    """Serve a handler while the block lasts."""
    async with HandlerServer(HandlerName(name), discover, SystemClock(), place, shared=shared) as server:
        yield server


@asynccontextmanager
async def reached(way: str, discover: Discover, folder: Path, *, shared: bool = True) -> AsyncGenerator[Handler]:
    """A handler as the agent has it, reached in one of WAYS."""
    if way == "embedded":
        yield _Embedded(HandlerName("mine"), discover, shared=shared)
        return
    tls = certificate(folder, authority(folder), "handler") if way == "tls" else None
    place = Place(folder) if way == "unix" else Place(folder, "127.0.0.1", free_port(), tls)
    async with served("mine", discover, place, shared=shared) as server:
        yield RemoteHandler(server.registration, certificate(folder, tls.authorities, "agent") if tls else None)

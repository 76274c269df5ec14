"""A loop that ends leaves no connection behind that was closed, whatever the peer does; and hides none that was not."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.pki import make_keys


@pytest.fixture
def silent_peer(tmp_path: Path) -> Generator[tuple[int, ssl.SSLContext]]:
    """The port of a TLS server that never says goodbye, and the context of its clients."""
    make_keys(tmp_path, ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    over = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with context.wrap_socket(accepted, server_side=True):
                over.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], ssl.create_default_context(cafile=tmp_path / "ca.crt")
        over.set()
        thread.join(30)


def unclosed_after(use: Callable[[asyncio.Transport], None], port: int, context: ssl.SSLContext) -> list[str]:
    """What Python finds unclosed after a loop in which someone connected and did this."""

    async def connect() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port, ssl=context)
        use(transport)

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(connect())
        gc.collect()
    return [str(warning.message) for warning in caught]


def test_a_closed_connection_ends_with_its_loop(silent_peer: tuple[int, ssl.SSLContext]) -> None:
    assert unclosed_after(lambda transport: transport.close(), *silent_peer) == []


def test_one_that_nobody_closed_is_found(silent_peer: tuple[int, ssl.SSLContext]) -> None:
    assert any("unclosed transport" in found for found in unclosed_after(lambda _transport: None, *silent_peer))

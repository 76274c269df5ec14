"""Health and metrics over HTTP/1.1. Three pages that take no input: a web framework would cost more memory than the handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

__all__ = ["Page", "serve_pages"]

Page: TypeAlias = Callable[[], tuple[int, str, bytes]]
"""Makes a page: its status, its content type, its content."""

_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT: Final = "text/plain; charset=utf-8"
_PATIENCE: Final = 10.0
_MOST: Final = 16 * 1024


@asynccontextmanager
async def serve_pages(port: int, pages: Mapping[str, Page]) -> AsyncGenerator[None]:
    """Serve pages by path, on all addresses of this machine. Raises OSError if the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head.split(b"\r\n", 1)[0].decode("latin-1"), pages))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks so badly, or is gone, gets no answer
        finally:
            writer.close()

    async with await asyncio.start_server(answer, None, port, limit=_MOST):
        yield


def _answer(line: str, pages: Mapping[str, Page]) -> bytes:
    method, _, rest = line.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    page = pages.get(path)
    if page is None:
        status, kind, content = 404, _TEXT, f"no such page: expected {', '.join(pages)}\n".encode()
    elif method not in {"GET", "HEAD"}:
        status, kind, content = 405, _TEXT, b"expected GET\n"
    else:
        status, kind, content = page()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else content)

"""gRPC as far as Akri's protocols need it: bytes in, bytes out, so that a `wire` module alone decides what they mean.

grpc.aio swallows errors of its own serialisers; handlers and callers here get raw bytes and answer for themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import grpc
from grpc import aio

from akri.core.errors import AkriError, InvalidValueError, RemoteCallError

if TYPE_CHECKING:
    Context: TypeAlias = aio.ServicerContext[bytes, bytes]
    MethodHandler: TypeAlias = grpc.RpcMethodHandler[bytes, bytes]
    UnaryCallable: TypeAlias = aio.UnaryUnaryMultiCallable[bytes, bytes]
    StreamCallable: TypeAlias = aio.UnaryStreamMultiCallable[bytes, bytes]

__all__ = [
    "MAX_PATH",
    "StatusOf",
    "call",
    "check_socket_path",
    "connect",
    "serve",
    "status_of",
    "stream_method",
    "unary_method",
    "unix",
    "watch",
]

MAX_PATH: Final = 107
"""Longest path of a unix socket on Linux, in bytes."""
_MAX_TEXT: Final = 1500
"""Characters of an error's sentence that are sent: it travels in a header, and peers bound those to 8 KiB."""

_CONNECT: Final = 0.1
"""Seconds for a connection on this machine."""

_LOG: Final = logging.getLogger(__name__)
# A pool of subchannels of its own for each channel: otherwise a new channel inherits the back-off of an old one to the same path.
_CLIENT_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

StatusOf: TypeAlias = Callable[[AkriError], str]
"""Chooses gRPC's status, by its name, for an error that a call ends with."""


class _Methods(grpc.GenericRpcHandler):
    """Finds a handler by the method's path."""

    def __init__(self, methods: Mapping[str, MethodHandler]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        return self._methods.get(handler_call_details.method)


def check_socket_path(path: Path) -> Path:
    """Return the path, or raise InvalidValueError if it is too long for a unix socket."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise InvalidValueError("socket", str(path), f"a path of at most {MAX_PATH} bytes")
    return path


def unix(path: Path) -> str:
    """Give gRPC's address of a unix socket. Raises InvalidValueError if the path is too long for one."""
    return f"unix:{check_socket_path(path)}"


def status_of(error: AkriError) -> str:
    """Choose the usual status: that of the call that failed, else FAILED_PRECONDITION."""
    return error.code if isinstance(error, RemoteCallError) else "FAILED_PRECONDITION"


def unary_method(answer: Callable[[bytes, Context], Awaitable[bytes]], status: StatusOf = status_of) -> MethodHandler:
    """Make a handler of one request and one answer. An AkriError becomes an error status with its sentence.

    Anything else that is raised is logged and becomes INTERNAL: a mistake of ours must not end the program.
    """

    async def behaviour(request: bytes, context: Context) -> bytes:
        try:
            return await answer(request, context)
        except Exception as error:
            await _abort(context, error, status)
            raise

    return cast("MethodHandler", grpc.unary_unary_rpc_method_handler(behaviour))


def stream_method(send: Callable[[bytes, Context], Awaitable[None]], status: StatusOf = status_of) -> MethodHandler:
    """Make a handler of one request and many answers: `send` writes them to the context and returns at the end of the stream.

    Errors become a status as in `unary_method`.
    """

    async def behaviour(request: bytes, context: Context) -> None:
        try:
            await send(request, context)
        except Exception as error:
            await _abort(context, error, status)
            raise

    return cast("MethodHandler", grpc.unary_stream_rpc_method_handler(behaviour))


async def _abort(context: Context, error: Exception, status: StatusOf) -> None:
    if isinstance(error, aio.AbortError):
        return
    if isinstance(error, AkriError):
        await context.abort(grpc.StatusCode[status(error)], str(error)[:_MAX_TEXT])
    _LOG.error("unexpected error while answering a call", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}")


async def serve(
    address: str, methods: Mapping[str, MethodHandler], *, most: int, credentials: grpc.ServerCredentials | None = None
) -> aio.Server:
    """Serve `methods`, by path, at an address: `unix(path)` of a socket that does not exist yet, or `host:port`.

    most: bytes of the largest message that is taken. credentials: TLS, None for none. Raises OSError if it cannot be bound.
    """
    server = aio.server(options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", most), ("grpc.max_send_message_length", -1)))
    server.add_generic_rpc_handlers((_Methods(methods),))
    try:
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot serve on {address}: {error}") from error
    await server.start()
    return server


def connect(
    address: str,
    *,
    most: int,
    credentials: grpc.ChannelCredentials | None = None,
    keepalive: float | None = None,
    seconds: float = _CONNECT,
) -> aio.Channel:
    """Open a channel; it connects with the first call.

    most: bytes of the largest message that is taken. credentials: TLS, None for none. keepalive: seconds of silence after which
    the peer is asked whether it is there; None for peers on this machine, whose end the kernel tells. seconds: how long a
    connection may take to come about, handshakes included (gRPC's name for it is the least back-off between two attempts).
    """
    options = [
        *_CLIENT_OPTIONS,
        ("grpc.min_reconnect_backoff_ms", int(seconds * 1000)),
        ("grpc.max_receive_message_length", most),
        ("grpc.max_send_message_length", -1),
    ]
    if keepalive is not None:
        options += [("grpc.keepalive_time_ms", int(keepalive * 1000)), ("grpc.keepalive_timeout_ms", 10_000)]
        options += [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.ping_timeout_ms", 10_000)]
    if credentials is None:
        return aio.insecure_channel(address, options=options)
    return aio.secure_channel(address, credentials, options=options)


async def call(channel: aio.Channel, method: str, request: bytes, *, seconds: float | None = None, wait: bool = False) -> bytes:
    """Make a call of one request and one answer, within `seconds`. `wait`: for the peer to listen. Raises RemoteCallError."""
    callable_: UnaryCallable = channel.unary_unary(method)
    with _own_errors():
        return await callable_(request, timeout=seconds, wait_for_ready=wait)


async def watch(channel: aio.Channel, method: str, request: bytes) -> AsyncGenerator[bytes]:
    """Make a call of one request and many answers; ends when the peer or `aclose` ends it. Raises RemoteCallError."""
    callable_: StreamCallable = channel.unary_stream(method)
    answers = callable_(request)
    try:
        with _own_errors():
            async for answer in answers:
                yield answer
    finally:
        answers.cancel()


@contextmanager
def _own_errors() -> Generator[None]:
    """Turn gRPC's errors into ours, printed as Go programs do, the kubelet among them: `rpc error: code = Internal desc = ...`."""
    try:
        yield
    except aio.AioRpcError as error:
        raise _failed(error.code(), error.details() or "") from error
    except asyncio.CancelledError:
        # grpc.aio also cancels the calls of a channel that is closed under them; that is no reason to end their task.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _failed(grpc.StatusCode.CANCELLED, "the connection was closed") from None


def _failed(code: grpc.StatusCode, text: str) -> RemoteCallError:
    name = "Canceled" if code is grpc.StatusCode.CANCELLED else "".join(part.capitalize() for part in code.name.split("_"))
    return RemoteCallError(f"rpc error: code = {name} desc = {text}", code.name, text)

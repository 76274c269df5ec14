"""gRPC over unix sockets, as far as both ends need it: bytes in, bytes out, so that `wire` alone decides what they mean.

grpc.aio swallows errors of its own serialisers; handlers and callers here get raw bytes and answer for themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

import grpc
from grpc import aio

from akri.core.errors import AkriError, InvalidValueError, KubeletError

if TYPE_CHECKING:
    Context: TypeAlias = aio.ServicerContext[bytes, bytes]
    MethodHandler: TypeAlias = grpc.RpcMethodHandler[bytes, bytes]
    UnaryCallable: TypeAlias = aio.UnaryUnaryMultiCallable[bytes, bytes]
    StreamCallable: TypeAlias = aio.UnaryStreamMultiCallable[bytes, bytes]

__all__ = [
    "MAX_MESSAGE",
    "MAX_PATH",
    "call",
    "check_socket_path",
    "connect",
    "serve",
    "stream_method",
    "unary_method",
    "watch",
    "when_done",
]

MAX_PATH: Final = 107
"""Longest path of a unix socket on Linux, in bytes."""
MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Largest message that the kubelet takes (gRPC's default); we take no larger one either."""

_LOG: Final = logging.getLogger(__name__)
# A pool of subchannels of its own for each channel: otherwise a new channel inherits the back-off of an old one to the same path.
_CLIENT_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", -1),
)
_SERVER_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", -1),
)


class _TellsWhenDone(Protocol):
    def add_done_callback(self, callback: Callable[[Context], None]) -> None: ...


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


def unary_method(answer: Callable[[bytes, Context], Awaitable[bytes]]) -> MethodHandler:
    """Make a handler of one request and one answer. An AkriError becomes an error status with its sentence.

    Anything else that is raised is logged and becomes INTERNAL: a mistake of ours must not end the program.
    """

    async def behaviour(request: bytes, context: Context) -> bytes:
        try:
            return await answer(request, context)
        except KubeletError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
            raise
        except AkriError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise
        except aio.AbortError:
            raise
        except Exception as error:
            _LOG.exception("unexpected error while answering a call")
            await context.abort(grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}")
            raise

    return cast("MethodHandler", grpc.unary_unary_rpc_method_handler(behaviour))


def stream_method(send: Callable[[bytes, Context], Awaitable[None]]) -> MethodHandler:
    """Make a handler of one request and many answers: `send` writes them to the context and returns at the end of the stream."""

    async def behaviour(request: bytes, context: Context) -> None:
        await send(request, context)

    return cast("MethodHandler", grpc.unary_stream_rpc_method_handler(behaviour))


def when_done(context: Context, tell: Callable[[bool], None]) -> None:
    """Tell, at the end of a call, whether its answer was sent; it was not if the caller was gone by then."""

    def done(ended: Context) -> None:
        tell(ended.done())

    # The cast is for the type stubs: they ask for a class of their own where any callable will do.
    cast("_TellsWhenDone", context).add_done_callback(done)


async def serve(path: Path, methods: Mapping[str, MethodHandler]) -> aio.Server:
    """Serve `methods`, by path, on a unix socket that does not exist yet. Raises OSError if it cannot be bound."""
    server = aio.server(options=_SERVER_OPTIONS)
    server.add_generic_rpc_handlers((_Methods(methods),))
    try:
        server.add_insecure_port(f"unix:{check_socket_path(path)}")
    except RuntimeError as error:
        raise OSError(f"cannot serve on {path}: {error}") from error
    await server.start()
    return server


def connect(path: Path) -> aio.Channel:
    """Open a channel to a unix socket; it connects with the first call."""
    return aio.insecure_channel(f"unix:{check_socket_path(path)}", options=_CLIENT_OPTIONS)


async def call(channel: aio.Channel, method: str, request: bytes, *, seconds: float | None = None, wait: bool = False) -> bytes:
    """Make a call of one request and one answer, within `seconds`. `wait`: for the peer to listen. Raises KubeletError."""
    callable_: UnaryCallable = channel.unary_unary(method)
    with _own_errors():
        return await callable_(request, timeout=seconds, wait_for_ready=wait)


async def watch(channel: aio.Channel, method: str, request: bytes) -> AsyncGenerator[bytes]:
    """Make a call of one request and many answers; ends when the peer or `aclose` ends it. Raises KubeletError."""
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


def _failed(code: grpc.StatusCode, text: str) -> KubeletError:
    name = "Canceled" if code is grpc.StatusCode.CANCELLED else "".join(part.capitalize() for part in code.name.split("_"))
    return KubeletError(f"rpc error: code = {name} desc = {text}", code.name)

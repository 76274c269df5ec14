"""Asks a discovery handler for what a Configuration describes, once or for as long as somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import cast

from akri.clock import SystemClock
from akri.core.configuration import Configuration
from akri.core.errors import DiscoveryError, InvalidDocumentError
from akri.core.ids import HandlerName
from akri.core.properties import resolve
from akri.discovery.embedded import HANDLER_NAMES, embedded_handlers
from akri.discovery.handler import Handler
from akri.discovery.remote import RemoteHandler
from akri.discovery.snapshot import Snapshot
from akri.discovery.tls import TlsFiles
from akri.discovery.wire import Registration

__all__ = ["first", "handler_for", "opened", "properties_of"]


def handler_for(configuration: Configuration, endpoint: str, tls: TlsFiles | None, *, shared: bool) -> Handler:
    """Give who is asked: the handler at `endpoint`, or "" for the one that comes with Akri.

    Raises InvalidValueError for an endpoint that is none, DiscoveryError if no handler of that name comes with Akri.
    """
    name = configuration.discovery.handler
    if endpoint:
        network = endpoint.startswith(("http://", "https://"))
        return RemoteHandler(Registration(name, endpoint.removeprefix("unix:"), network=network, shared=shared), tls)
    if name not in HANDLER_NAMES:
        raise DiscoveryError(f"no discovery handler {name} comes with Akri: ask the one that runs with --handler ENDPOINT")
    return embedded_handlers([name])[HandlerName(name)](SystemClock())


def properties_of(configuration: Configuration, given: Mapping[str, str]) -> Mapping[str, bytes]:
    """Give the discovery properties: those that are written there, overlaid with those that were `given`.

    Raises InvalidDocumentError that names each one which is to come from a Secret or ConfigMap and was not given.
    """
    resolved = resolve([one for one in configuration.discovery.properties if one.name not in given], {}, {})
    if resolved.missing:
        advice = "no cluster to read discovery properties from: give them with --property NAME=VALUE"
        raise InvalidDocumentError(advice, resolved.missing)
    return {**resolved.values, **{name: value.encode() for name, value in given.items()}}


def opened(
    handler: Handler, configuration: Configuration, properties: Mapping[str, bytes]
) -> AbstractAsyncContextManager[AsyncIterator[Snapshot]]:
    """Ask; the stream is closed with the block."""
    stream = handler.discover(configuration.discovery.details, properties)
    return aclosing(cast("AsyncGenerator[Snapshot, None]", stream))


async def first(handler: Handler, configuration: Configuration, properties: Mapping[str, bytes], seconds: float) -> Snapshot:
    """Give the first answer. Raises DiscoveryError if none comes in time, and what the handler raises."""
    try:
        async with asyncio.timeout(seconds), opened(handler, configuration, properties) as stream:
            async for snapshot in stream:
                return snapshot
    except TimeoutError as error:
        raise DiscoveryError(f"discovery handler {handler.name} did not answer within {seconds:g} s") from error
    raise DiscoveryError(f"discovery handler {handler.name} ended its answers before the first one")

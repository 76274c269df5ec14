"""The discovery handlers that come with Akri, by name. A handler's libraries are loaded when it is first used, not before."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from akri.core.errors import DiscoveryError, InvalidValueError
from akri.core.ids import HandlerName
from akri.discovery.handler import Handler
from akri.ports import Clock

__all__ = ["HANDLER_NAMES", "HandlerFactory", "embedded_handlers"]

_DEBUG_ECHO: Final = HandlerName("debugEcho")
_UDEV: Final = HandlerName("udev")
HANDLER_NAMES: Final = (_DEBUG_ECHO, _UDEV)
"""All handlers that come with Akri."""


class HandlerFactory(Protocol):
    """Makes a handler that runs inside the calling process."""

    def __call__(self, clock: Clock, poll_interval: float | None = None) -> Handler:
        """Make a handler. poll_interval: seconds between two looks, where the source needs to look; None leaves it to the source.

        Raises DiscoveryError naming the extra to install where a library is missing.
        """
        ...


def embedded_handlers(
    names: Collection[str], *, debug_echo_shared: bool = True, debug_echo_availability: Path | None = None
) -> Mapping[HandlerName, HandlerFactory]:
    """Give a factory for each name; raise InvalidValueError for a name that is not in HANDLER_NAMES.

    debug_echo_shared: whether debugEcho's devices count as shared between nodes. debug_echo_availability: the file that
    switches them off, None for the usual one.
    """

    def debug_echo(clock: Clock, poll_interval: float | None = None) -> Handler:
        with _extra("agent"):
            from akri.discovery.debug_echo.source import AVAILABILITY_FILE, DebugEchoHandler  # noqa: PLC0415 - loaded when it is used
        file = debug_echo_availability or AVAILABILITY_FILE
        return DebugEchoHandler(clock, shared=debug_echo_shared, availability=file, poll_interval=poll_interval or 1.0)

    def udev(clock: Clock, poll_interval: float | None = None) -> Handler:
        with _extra("agent,udev"):
            from akri.discovery.udev.source import UdevHandler  # noqa: PLC0415 - loaded when it is used
        return UdevHandler(clock, poll_interval=poll_interval or 10.0)

    factories: dict[HandlerName, HandlerFactory] = {_DEBUG_ECHO: debug_echo, _UDEV: udev}
    for name in names:
        if name not in factories:
            raise InvalidValueError("discovery handler", name, f"one of {', '.join(HANDLER_NAMES)}")
    return MappingProxyType({name: factory for name, factory in factories.items() if name in names})


@contextmanager
def _extra(extra: str) -> Generator[None, None, None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise DiscoveryError(f"the module {error.name} is missing: pip install 'akri[{extra}]'") from error

"""What a service manager is told: that the machine serves what it knows, and that it ends (systemd's sd_notify; nothing without it)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

__all__ = ["READY", "STOPPING", "tell_service_manager"]

READY: Final = "READY=1"
"""All that is known is served."""
STOPPING: Final = "STOPPING=1"
"""It ends."""
_VARIABLE: Final = "NOTIFY_SOCKET"


def tell_service_manager(state: str) -> None:
    """Send a state to the socket that the service manager named, if it did. Nobody listening is no error."""
    path = os.environ.get(_VARIABLE, "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection, suppress(OSError):
        connection.connect(address)
        connection.send(state.encode())

"""How the processes that share a store tell each other that there is something new: a datagram to each socket in one folder."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Bell"]

_FOLDERS: Final = Path("/proc/self/fd")
"""Through it a path stays short however deep the folder is: the address of a socket holds 107 bytes."""
_MOST: Final = 64


class Bell:
    """One socket in the folder, and the way to all others. `ring` may be called from one thread, the rest from another."""

    def __init__(self, folder: Path) -> None:
        """Open a socket in the folder, which is made where it is missing. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._name = f"{os.getpid()}-{os.urandom(6).hex()}"
        try:
            self._socket.bind(self._path(self._name))
        except OSError:
            self._socket.close()
            os.close(self._folder)
            raise

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when another process rings."""
        return self._socket.fileno()

    def hear(self) -> None:
        """Take what came."""
        with suppress(BlockingIOError):
            for _ in range(_MOST):
                self._socket.recv(1)

    def ring(self) -> None:
        """Tell all others. One that has not yet looked at earlier rings needs no more; one that is dead is removed."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - by its descriptor
            if name == self._name:
                continue
            try:
                self._socket.sendto(b"!", self._path(name))
            except ConnectionRefusedError:
                with suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
            except OSError:  # full of rings, or gone meanwhile
                continue

    def close(self) -> None:
        """Close the socket and remove it."""
        with suppress(OSError):
            os.unlink(self._name, dir_fd=self._folder)
        self._socket.close()
        os.close(self._folder)

    def _path(self, name: str) -> str:
        return str(_FOLDERS / str(self._folder) / name)

"""The program's entry point: it sees to it that a handler is small before anything else is loaded."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final, Protocol, cast

__all__ = ["main"]

_OPENSSL: Final = ("ssl", "_hashlib")
_WITHOUT: Final = ("asyncio", "hashlib")
"""They load OpenSSL, 4 MiB, if it is there, and do without where it is missing: TLS is gRPC's own."""


class _Main(Protocol):
    def main(self) -> None: ...


def main() -> None:
    """Run the program with the arguments and the environment of this process, and end the process."""
    _load_without_openssl()
    cast("_Main", import_module("akri_handler.main")).main()


def _load_without_openssl() -> None:
    modules = cast("dict[str, object]", sys.modules)
    absent = [name for name in _OPENSSL if name not in modules]
    for name in absent:
        modules[name] = None  # an import of it fails
    for name in _WITHOUT:
        import_module(name)
    for name in absent:
        del modules[name]  # whoever needs it from here on gets it

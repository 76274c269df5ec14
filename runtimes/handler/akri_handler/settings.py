"""What `akri-handler` can be told: flags win over the environment, and all that is wrong is said at once."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from attrs import frozen

from akri.core.errors import InvalidDocumentError, InvalidValueError, Problem
from akri.core.ids import HandlerName
from akri.discovery.serving import DEFAULT_FOLDER, DEFAULT_PORT, Place
from akri.discovery.tls import TlsFiles
from akri_handler.words import parser

__all__ = ["HANDLERS", "Settings", "read_settings"]

HANDLERS: Final[Mapping[str, HandlerName]] = {"debug-echo": HandlerName("debugEcho"), "udev": HandlerName("udev")}
"""What can be served: the word on the command line, and what Configurations call it."""
_MOST_PORT: Final = 65535
_WITH_PORT: Final = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[^:]*))?")
_TRUE: Final = frozenset({"1", "true", "yes"})
_FALSE: Final = frozenset({"0", "false", "no"})
_T = TypeVar("_T")


@frozen
class Settings:
    """Settings of one handler.

    name: what Configurations call it. place: where it serves. shared: whether debugEcho's devices count as shared.
    availability: the file that switches debugEcho off, None for the usual one. poll_interval: seconds between two looks, None
    leaves it to the handler. metrics_port: of health and metrics, None for none. verbose: whether to log what happens.
    """

    name: HandlerName
    place: Place
    shared: bool = True
    availability: Path | None = None
    poll_interval: float | None = None
    metrics_port: int | None = None
    verbose: bool = False


class _Reader:
    """Takes each setting from its flag, else from its variable, and collects what is wrong."""

    def __init__(self, flags: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._flags = flags
        self._environment = environment
        self.problems: list[Problem] = []

    def text(self, flag: str, variable: str) -> tuple[str, str]:
        """Give the value, "" for none, and what to call it in a problem."""
        given: str | None = getattr(self._flags, flag)
        if given is not None:
            return given, f"--{flag.replace('_', '-')}"
        return self._environment.get(variable, ""), variable

    def read(self, flag: str, variable: str, convert: Callable[[str, str], _T], default: _T) -> _T:
        """Convert a value that is not empty; `convert` gets it with its name and may raise InvalidValueError."""
        value, name = self.text(flag, variable)
        try:
            return convert(value, name) if value else default
        except InvalidValueError as error:
            self.problems.append(error.problem)
            return default


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the command line and the environment.

    Raises InvalidDocumentError with everything that is wrong; ends the process after `--help` and for words that are no flags.
    """
    flags = parser(tuple(HANDLERS)).parse_args(arguments)
    reader = _Reader(flags, environment)
    network = "" if flags.unix else reader.text("network", "POD_IP")[0]
    host, port = reader.read("network", "POD_IP", _address, ("", DEFAULT_PORT)) if network else ("", DEFAULT_PORT)
    settings = Settings(
        name=HANDLERS[flags.handler],
        place=Place(reader.read("folder", "DISCOVERY_HANDLERS_DIRECTORY", _folder, DEFAULT_FOLDER), host, port, _tls(reader, network)),
        shared=reader.read("shared", "DEBUG_ECHO_INSTANCES_SHARED", _flag, default=True),
        availability=reader.read("availability", "DEBUG_ECHO_AVAILABILITY_FILE", lambda value, _: Path(value), None),
        poll_interval=reader.read("poll_interval", "AKRI_POLL_INTERVAL", _seconds, None),
        metrics_port=reader.read("metrics_port", "METRICS_PORT", _port, None),
        verbose=flags.verbose,
    )
    if reader.problems:
        raise InvalidDocumentError("settings", reader.problems)
    return settings


def _tls(reader: _Reader, network: str) -> TlsFiles | None:
    names = ("tls_certificate", "tls_key", "tls_authorities")
    texts = [reader.text(name, f"AKRI_{name.upper()}") for name in names]
    if not any(text for text, _ in texts):
        return None
    for text, name in texts:
        if not text:
            reader.problems.append(Problem(name, "is missing: certificate, key and authorities belong together"))
    if not network:
        reader.problems.append(Problem(texts[0][1], "a unix socket has no TLS: expected --network as well"))
    certificate, key, authorities = (Path(text) for text, _ in texts)
    return TlsFiles(certificate, key, authorities)


def _folder(value: str, name: str) -> Path:
    if not value.startswith("/"):
        raise InvalidValueError(name, value, "an absolute path")
    return Path(value)


def _address(value: str, name: str) -> tuple[str, int]:
    """Read `10.1.2.3`, `10.1.2.3:10000`, `fd00::1` or `[fd00::1]:10000`."""
    matched = _WITH_PORT.fullmatch(value)
    host, port = (matched["bracketed"] or matched["host"], matched["port"]) if matched else (value, None)
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidValueError(name, value, "an IP address of this machine, or with a port 10.1.2.3:10000, [fd00::1]:10000") from error
    return str(address), DEFAULT_PORT if port is None else _port(port, name)


def _port(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= _MOST_PORT):
        raise InvalidValueError(name, value, f"a port from 1 to {_MOST_PORT}")
    return int(value)


def _seconds(value: str, name: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400:
        raise InvalidValueError(name, value, "seconds from 0.1 to 86400")
    return seconds


def _flag(value: str, name: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise InvalidValueError(name, value, "true or false")
    return value.lower() in _TRUE

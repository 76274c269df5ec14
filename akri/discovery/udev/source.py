"""udev's I/O: read sysfs through libudev, in a worker thread, and listen for devices that come, change and go.

A message is only the reason to look again: what is there is read from sysfs each time, so a lost message costs time, not truth.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, cast

import pyudev  # type: ignore[import-untyped]

from akri.core.errors import DiscoveryError
from akri.core.ids import HandlerName
from akri.discovery.document import read_document_aside
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.details import TITLE, parse_details
from akri.discovery.udev.kernel import KernelDevice, Scan
from akri.discovery.udev.match import may_concern, may_match, names, snapshot
from akri.discovery.udev.rules import Key, Rule
from akri.discovery.udev.uevent import Uevent, parse_uevent
from akri.ports import Clock

__all__ = ["UdevHandler", "scan_devices"]

_KOBJECT_UEVENT: Final = 15
_GROUPS: Final = 1 | 2  # the kernel's messages and, where it runs in this network namespace, those of udev when its database is written
_MESSAGE: Final = 65536
_SETTLE: Final = 0.02


class UdevHandler:
    """Discovers devices of this machine.

    poll_interval: seconds after which sysfs is read even without any message, for namespaces where none arrive.
    """

    def __init__(self, clock: Clock, *, poll_interval: float = 10.0) -> None:
        """Take the clock to wait with; see the class for the rest."""
        self.name: Final = HandlerName("udev")
        self.shared: Final = False
        self._clock = clock
        self._poll_interval = poll_interval

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot, None]:
        """Stream the devices; see akri.discovery.handler.Handler. The properties are not used."""
        del properties
        wanted = parse_details(await read_document_aside(TITLE, details))
        former: Snapshot | None = None
        with _listen() as news:
            while True:
                news.forget()
                scan = await asyncio.to_thread(scan_devices, wanted.rules)
                present = snapshot(wanted, scan, former or Snapshot(), news.trouble)
                if former is None or present.devices != former.devices or present.report != former.report:
                    yield present
                    former = present
                await self._news(news, partial(may_concern, wanted.rules, scan))

    async def _news(self, news: _News, concerns: Callable[[Uevent], bool]) -> None:
        """Wait for a message that concerns us and a moment more, for they come in bursts; or for the poll interval."""
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(news.wait(concerns))
            timer = group.create_task(self._clock.sleep(self._poll_interval))
            await asyncio.wait((waiting, timer), return_when=asyncio.FIRST_COMPLETED)
            heard = waiting.done()
            waiting.cancel()
            timer.cancel()
        if heard:
            await self._clock.sleep(_SETTLE)


class _News:
    """Devices that messages told of since the last look. `trouble`: why no message can arrive, "" if all is well."""

    def __init__(self, link: socket.socket | None, trouble: str = "") -> None:
        self._link = link
        self.trouble = trouble
        self._devices: set[Uevent | None] = set()  # None: there may have been messages that nobody can tell of
        self._arrived = asyncio.Event()

    def forget(self) -> None:
        """Drop what arrived: whatever it told is read from sysfs right after this."""
        self.receive()
        self._devices.clear()
        self._arrived.clear()

    def receive(self) -> None:
        """Read all messages that wait in the socket."""
        while self._link is not None:
            try:
                message, sender = self._link.recvfrom(_MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                self._note(None)
                if error.errno != errno.ENOBUFS:  # the kernel dropped messages, later ones will come
                    self.close(f"the kernel's device messages cannot be read: {error}")
                continue
            if sender[1]:  # sent to a group, which takes privileges; anybody may send to a single socket
                self._note(parse_uevent(message))

    async def wait(self, concerns: Callable[[Uevent], bool]) -> None:
        """Wait until there is a message that concerns us, or one that we cannot tell of."""
        while True:
            await self._arrived.wait()
            devices, self._devices = self._devices, set()
            self._arrived.clear()
            if any(device is None or concerns(device) for device in devices):
                return

    def close(self, trouble: str = "") -> None:
        """Listen no longer."""
        self.trouble = trouble
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None

    def _note(self, device: Uevent | None) -> None:
        self._devices.add(device)
        self._arrived.set()


def _open() -> _News:
    try:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT)
    except OSError as error:
        return _News(None, f"no socket for the kernel's device messages, devices are looked for now and then: {error}")
    try:
        link.bind((0, _GROUPS))
    except OSError as error:
        link.close()
        return _News(None, f"the kernel's device messages are not permitted, devices are looked for now and then: {error}")
    news = _News(link)
    asyncio.get_running_loop().add_reader(link, news.receive)
    return news


@contextmanager
def _listen() -> Generator[_News, None, None]:
    """Listen to the kernel's messages as long as the context is open; where that is not possible, nothing arrives."""
    news = _open()
    try:
        yield news
    finally:
        news.close()


class _Values(Protocol):
    def get(self, name: str, /) -> bytes | None: ...


class _Texts(Protocol):
    def get(self, name: str, /) -> str | None: ...


class _Device(Protocol):
    """What we use of pyudev's Device, which has no types of its own."""

    device_path: str
    subsystem: str | None
    driver: str | None
    device_node: str | None
    parent: _Device | None
    tags: Iterable[str]
    properties: _Texts
    attributes: _Values


def scan_devices(rules: Iterable[Rule]) -> Scan:
    """Read sysfs once: all names, and of devices that may match (and their ancestors) what the rules look at. Blocks."""
    rules = tuple(rules)
    reader = _Reader(names(rules, (Key.ATTR, Key.ATTRS)), names(rules, (Key.ENV,)))
    present: set[str] = set()
    candidates: list[str] = []
    devices: dict[str, KernelDevice] = {}
    try:
        for device in cast("Iterable[_Device]", pyudev.Enumerator(pyudev.Context())):
            present.add(device.device_path)
            if may_match(rules, device.device_path, device.subsystem or ""):
                candidates.append(device.device_path)
                reader.add_line(device, devices)
    except ImportError as error:
        raise DiscoveryError(f"libudev cannot be loaded (Debian and Ubuntu: apt-get install libudev1): {error}") from error
    except OSError as error:
        raise DiscoveryError(f"sysfs cannot be listed: {error}") from error
    return Scan(frozenset(present), tuple(candidates), devices)


class _Reader:
    """Turns libudev's devices into plain values with the attributes and properties that are asked for."""

    def __init__(self, attributes: frozenset[str], properties: frozenset[str]) -> None:
        self._attributes = attributes
        self._properties = properties

    def add_line(self, device: _Device, devices: dict[str, KernelDevice]) -> None:
        """Add a device and its ancestors, up to the first that is known."""
        current: _Device | None = device
        while current is not None and current.device_path not in devices:
            parent = current.parent
            devices[current.device_path] = self._read(current, parent)
            current = parent

    def _read(self, device: _Device, parent: _Device | None) -> KernelDevice:
        attributes = ((name, device.attributes.get(name)) for name in self._attributes)
        properties = ((name, device.properties.get(name)) for name in self._properties)
        return KernelDevice(
            devpath=device.device_path,
            subsystem=device.subsystem or "",
            driver=device.driver or "",
            node=device.device_node or "",
            parent=parent.device_path if parent is not None else "",
            tags=frozenset(device.tags),
            properties={name: value for name, value in properties if value is not None},
            attributes={name: value.decode(errors="replace") for name, value in attributes if value is not None},
        )

"""udev's I/O: read sysfs and udev's database through libudev, in a worker thread, and listen for devices that come, change and go.

A message is only the reason to look again: what is there is read from sysfs each time, so a lost message costs time, not truth.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol, cast

import attrs
import pyudev  # type: ignore[import-untyped]

from akri.core.errors import DiscoveryError
from akri.core.ids import HandlerName
from akri.discovery.document import read_document_aside
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.describe import IDENTITY_ATTRIBUTES, IDENTITY_PROPERTIES
from akri.discovery.udev.details import TITLE, UdevDetails, parse_details, parse_properties
from akri.discovery.udev.kernel import KernelDevice, Scan, line
from akri.discovery.udev.match import may_concern, may_match, names, narrowed, selected, snapshot
from akri.discovery.udev.rules import Key
from akri.discovery.udev.settling import AGAIN, PAUSE, Database, Pending, Version, ready
from akri.discovery.udev.uevent import Uevent, parse_uevent
from akri.ports import Clock

__all__ = ["UdevHandler", "scan_devices"]

_KOBJECT_UEVENT: Final = 15
_KERNEL_GROUP: Final = 1
_UDEV_GROUP: Final = 2
_MESSAGE: Final = 65536
_MOST_PENDING: Final = 1000
_RUN: Final = Path("/run/udev")
_HOST_NETWORK: Final = 0xEFFFFFF9
"""Inode of the host's network namespace, from Linux 6.18 on."""
_HOST_PROCESSES: Final = 0xEFFFFFFC
"""Inode of the host's process namespace."""
_LOST: Final = Uevent("")
"""Stands for messages that nobody can tell of."""


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
        """Stream the devices; see akri.discovery.handler.Handler.

        properties: devicePluginResourceName and vfioPassthrough are used.
        """
        passthrough = parse_properties(properties)
        document = await read_document_aside(TITLE, details)
        wanted = attrs.evolve(await asyncio.to_thread(parse_details, document), passthrough=passthrough)
        former: Snapshot | None = None
        with _listen() as news:
            while True:
                news.forget()
                # Asked before we look: what udev does meanwhile would be missed otherwise.
                interval = min(self._poll_interval, AGAIN) if _database(()).busy else self._poll_interval
                scan, present = await asyncio.to_thread(_look, wanted, former or Snapshot(), news.trouble)
                if former is None or present.devices != former.devices or present.report != former.report:
                    yield present
                    former = present
                await self._news(news, partial(may_concern, wanted.rules, scan), interval)

    async def _news(self, news: _News, concerns: Callable[[Uevent], bool], interval: float) -> None:
        """Wait for a message that concerns us, and until udev has dealt with it, for they come in bursts; at most for the interval."""
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(news.wait(concerns))
            timer = group.create_task(self._clock.sleep(interval))
            await asyncio.wait((waiting, timer), return_when=asyncio.FIRST_COMPLETED)
            heard = waiting.done()
            waiting.cancel()
            timer.cancel()
        if heard:
            await self._settle(news, concerns)

    async def _settle(self, news: _News, concerns: Callable[[Uevent], bool]) -> None:
        first = last = self._clock.now()
        while True:
            await self._clock.sleep(PAUSE)
            now = self._clock.now()
            last = now if news.sort(concerns) else last
            database = _database(one.event.record for one in news.waiting)
            if ready(news.waiting, news.settled, database, total=now - first, quiet=now - last):
                return


def _look(details: UdevDetails, former: Snapshot, trouble: str) -> tuple[Scan, Snapshot]:
    scan = scan_devices(details)
    return scan, snapshot(details, scan, former, trouble)


class _News:
    """Devices that messages told of since the last look. `trouble`: why no message can arrive, "" if all is well.

    settled: devices of which udev told since that look, and the number of its last message.
    """

    def __init__(self, link: socket.socket | None, trouble: str = "") -> None:
        self._link = link
        self.trouble = trouble
        self.settled: dict[str, int] = {}
        self._heard: dict[str, Pending] = {}
        self._unread: list[Uevent] = []
        self._arrived = asyncio.Event()

    def forget(self) -> None:
        """Drop what arrived: whatever it told is read from sysfs right after this."""
        self.receive()
        self.settled.clear()
        self._heard.clear()
        self._unread.clear()
        self._arrived.clear()

    def receive(self) -> None:
        """Read all messages that wait in the socket."""
        while self._link is not None:
            try:
                message, sender = self._link.recvfrom(_MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                self._note(_LOST)
                if error.errno != errno.ENOBUFS:  # the kernel dropped messages, later ones will come
                    self.close(f"the kernel's device messages cannot be read: {error}")
                continue
            event = parse_uevent(message)
            if sender[1] and event is not None:  # sent to a group, which takes privileges; anybody may send to a single socket
                self._note(event)

    async def wait(self, concerns: Callable[[Uevent], bool]) -> None:
        """Wait until there is a message that concerns us, or one that we cannot tell of."""
        while not self.sort(concerns):
            await self._arrived.wait()
            self._arrived.clear()

    @property
    def waiting(self) -> tuple[Pending, ...]:
        """What the kernel told that concerns us, by the last message of each device."""
        return tuple(self._heard.values())

    def sort(self, concerns: Callable[[Uevent], bool]) -> bool:
        """Sort messages into those of the kernel and those of udev; tell whether there was one that concerns us."""
        events, self._unread = self._unread, []
        concerning = [event for event in events if event is _LOST or concerns(event)]
        for event in concerning:
            if event.settled:
                self.settled[event.devpath] = event.number
            else:
                alone = event.devpath not in self._heard
                self._heard[event.devpath] = Pending(event, _version(event.record), alone)
        return bool(concerning)

    def close(self, trouble: str = "") -> None:
        """Listen no longer."""
        self.trouble = trouble
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None

    def _note(self, event: Uevent) -> None:
        if len(self._unread) < _MOST_PENDING:
            self._unread.append(event)
        elif self._unread[-1] is not _LOST:
            self._unread.append(_LOST)
        self._arrived.set()


def _open() -> _News:
    try:
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT)
    except OSError as error:
        return _News(None, f"no socket for the kernel's device messages, devices are looked for now and then: {error}")
    try:
        link.bind((0, _KERNEL_GROUP | _UDEV_GROUP if _hears_udev() else _KERNEL_GROUP))
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


def _hears_udev() -> bool:
    """Tell whether udev's messages can be the host's: in its network namespace, where udev runs. Elsewhere anybody could send them."""
    return (_RUN / "control").exists() and (
        _inode("self", "net") == _HOST_NETWORK
        or (_inode("self", "pid") == _HOST_PROCESSES and _inode("self", "net") == _inode("1", "net") != 0)
    )


def _inode(process: str, kind: str) -> int:
    try:
        return Path("/proc", process, "ns", kind).stat().st_ino
    except OSError:
        return 0


def _database(records: Iterable[str]) -> Database:
    """Look at udev's files. A few calls that never block, so they are made in place."""
    if not (_RUN / "control").exists():
        return Database()
    versions = ((record, _version(record)) for record in records)
    found = {record: version for record, version in versions if version is not None}
    return Database(active=True, busy=(_RUN / "queue").exists(), records=found)


def _version(record: str) -> Version | None:
    """Identify the version of a device's record in udev's database, which udev replaces as a whole."""
    try:
        found = (_RUN / "data" / record).stat() if record else None
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_ino) if found else None


class _Values(Protocol):
    def get(self, name: str, /) -> bytes | None: ...


class _Texts(Protocol):
    def get(self, name: str, /) -> str | None: ...


class _Enumerator(Protocol):
    """What is used of pyudev's enumerators."""

    def match_subsystem(self, subsystem: str) -> object: ...

    def match_sys_name(self, sys_name: str) -> object: ...

    def __iter__(self) -> Iterator[_Device]: ...


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


def scan_devices(details: UdevDetails, *, everything: bool = False) -> Scan:
    """Read sysfs once: names, and of devices that may match (and their ancestors) what rules and descriptions look at. Blocks.

    Where all rules name subsystems or kernel names, libudev looks at no others: a machine has a thousand devices and more.
    everything: take all devices for candidates, those too that no rule can select, as it takes to explain why.
    Raises DiscoveryError if libudev or sysfs cannot be read.
    """
    try:
        reader = _Reader(details)
        present: set[str] = set()
        candidates: list[str] = []
        enumerator = cast("_Enumerator", pyudev.Enumerator(pyudev.Context()))
        for subsystem in () if everything else sorted(narrowed(details.rules, Key.SUBSYSTEM)):
            enumerator.match_subsystem(subsystem)
        for name in () if everything else sorted(narrowed(details.rules, Key.KERNEL)):
            enumerator.match_sys_name(name)
        for device in enumerator:
            present.add(device.device_path)
            if everything or may_match(details.rules, device.device_path, device.subsystem or ""):
                candidates.append(device.device_path)
                reader.add_line(device)
    except ImportError as error:
        raise DiscoveryError(f"libudev cannot be loaded (Debian and Ubuntu: apt-get install libudev1): {error}") from error
    except OSError as error:
        raise DiscoveryError(f"sysfs cannot be listed: {error}") from error
    return reader.complete(Scan(frozenset(present), tuple(candidates), reader.devices))


class _Reader:
    """Turns libudev's devices into plain values with the attributes and properties that are asked for."""

    def __init__(self, details: UdevDetails) -> None:
        self._details = details
        self._attributes = names(details.rules, (Key.ATTR, Key.ATTRS))
        self._properties = names(details.rules, (Key.ENV,))
        self._sources: dict[str, _Device] = {}
        self.devices: dict[str, KernelDevice] = {}

    def add_line(self, device: _Device) -> None:
        """Add a device and its ancestors, up to the first that is known."""
        current: _Device | None = device
        while current is not None and current.device_path not in self.devices:
            parent = current.parent
            self._sources[current.device_path] = current
            self.devices[current.device_path] = self._read(current, parent)
            current = parent

    def complete(self, scan: Scan) -> Scan:
        """Read of selected devices, and of their ancestors, what tells them apart, too."""
        chosen = selected(self._details.rules, scan)
        wanted = {device.devpath for devpath in chosen for device in line(scan.devices, devpath)}
        return attrs.evolve(scan, devices={**scan.devices, **{devpath: self._identified(scan.devices[devpath]) for devpath in wanted}})

    def _read(self, device: _Device, parent: _Device | None) -> KernelDevice:
        return KernelDevice(
            devpath=device.device_path,
            subsystem=device.subsystem or "",
            driver=device.driver or "",
            node=device.device_node or "",
            parent=parent.device_path if parent is not None else "",
            tags=frozenset(device.tags),
            properties=_texts(device, self._properties),
            attributes=_values(device, self._attributes),
        )

    def _identified(self, device: KernelDevice) -> KernelDevice:
        source = self._sources[device.devpath]
        return attrs.evolve(
            device,
            properties={**device.properties, **_texts(source, IDENTITY_PROPERTIES)},
            attributes={**device.attributes, **_values(source, IDENTITY_ATTRIBUTES)},
            iommu_group=_iommu_group(device.devpath) if self._details.passthrough.vfio else "",
        )


def _texts(device: _Device, keys: Iterable[str]) -> dict[str, str]:
    return {key: value for key in keys if (value := device.properties.get(key)) is not None}


def _values(device: _Device, keys: Iterable[str]) -> dict[str, str]:
    return {key: value.decode("utf-8", "surrogateescape") for key in keys if (value := device.attributes.get(key)) is not None}


def _iommu_group(devpath: str) -> str:
    try:
        return (Path("/sys") / devpath.lstrip("/") / "iommu_group").readlink().name
    except OSError:
        return ""

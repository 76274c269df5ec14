"""The udev handler against real block devices: loop devices that are plugged in and out. Needs Linux and root."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from akri.clock import SystemClock
from akri.core.device import DeviceNode
from akri.core.errors import InvalidDocumentError
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.source import UdevHandler
from akri.testing.clock import VirtualClock
from akri.testing.loop import loop_device, loop_devices_refused

REFUSED = loop_devices_refused()
pytestmark = pytest.mark.skipif(bool(REFUSED), reason=REFUSED)
NEVER = 3600.0
PATIENCE = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "akri-demo.img"
    file.write_bytes(b"first block".ljust(512, b"\0") * 16)
    return file


def rule_for(disk: Path) -> str:
    # The whole path, so that no other test's device matches.
    return f"""udevRules: ['KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{disk}"']"""


def ids(snapshot: Snapshot) -> list[str]:
    return [device.id for device in snapshot.devices]


async def next_with(stream: AsyncGenerator[Snapshot, None], expected: list[str]) -> Snapshot:
    """Skip snapshots that differ in their report alone: other tests plug devices as well."""
    async with asyncio.timeout(PATIENCE):
        async for snapshot in stream:
            if ids(snapshot) == expected:
                return snapshot
    pytest.fail("the stream ended")


async def test_plugging_and_unplugging_are_seen_through_the_kernels_messages(disk: Path) -> None:
    handler = UdevHandler(SystemClock(), poll_interval=NEVER)
    with loop_device() as device:
        async with aclosing(handler.discover(rule_for(disk), {})) as stream:
            empty = await next_with(stream, [])
            assert empty.report is not None
            assert "udevRules[0]: ATTR{loop/backing_file}" in empty.report.dropped

            device.attach(disk)
            present = (await next_with(stream, [device.devpath])).devices[0]
            node = str(device.node)
            assert dict(present.properties) == {"UDEV_DEVPATH": device.devpath, "UDEV_DEVNODE": node}
            assert present.device_nodes == (DeviceNode(node, node, "rwm"),)
            assert device.node.read_bytes().startswith(b"first block")

            device.detach()
            unplugged = await next_with(stream, [])
            assert unplugged.gone_ids == (), "the device is still in sysfs, it only does not match any more"


async def test_a_device_that_the_kernel_removed_is_certainly_gone() -> None:
    handler = UdevHandler(SystemClock(), poll_interval=NEVER)
    with loop_device() as device:
        devpath = device.devpath
        stream = handler.discover(f"""udevRules: ['KERNEL=="loop{device.number}"']\npermissions: r""", {})
        present = await next_with(stream, [devpath])
        assert present.devices[0].device_nodes[0].permissions == "r"
    async with aclosing(stream):
        assert (await next_with(stream, [])).gone_ids == (devpath,)


async def test_two_streams_are_independent(disk: Path) -> None:
    handler = UdevHandler(SystemClock(), poll_interval=NEVER)
    first, second = handler.discover(rule_for(disk), {}), handler.discover(rule_for(disk), {})
    await next_with(first, [])
    await next_with(second, [])
    await first.aclose()
    with loop_device(disk) as device:
        await next_with(second, [device.devpath])
    await second.aclose()


async def test_lost_messages_cost_time_and_not_devices(disk: Path) -> None:
    with loop_device() as device:
        async with aclosing(UdevHandler(SystemClock(), poll_interval=NEVER).discover(rule_for(disk), {})) as stream:
            await next_with(stream, [])
            waiting = asyncio.create_task(next_with(stream, [device.devpath]))
            await asyncio.sleep(0)
            flood_with_messages()
            # The last messages, those of this one, find the socket's buffer full.
            device.attach(disk)
            await waiting


def flood_with_messages() -> None:
    """Fill the buffers of all listening sockets with news that concern nobody: the event loop, which would read them, is kept busy."""
    probe = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 15)
    with probe:
        probe.bind((0, 1))
        trigger = Path("/sys/devices/virtual/mem/null/uevent")
        for _ in range(5000):
            trigger.write_text("change", "ascii")
        with pytest.raises(OSError, match="No buffer space available"):  # or BlockingIOError, had they all found room
            probe.recv(65536)


async def test_looks_again_after_the_poll_interval_where_no_message_comes(disk: Path) -> None:
    clock = VirtualClock(pause=0.05)
    heard: list[Snapshot] = []

    async def follow() -> None:
        async for snapshot in UdevHandler(clock, poll_interval=7.0).discover(rule_for(disk), {}):
            heard.append(snapshot)  # noqa: PERF401 - looked at while the stream goes on

    task = asyncio.create_task(follow())
    await clock.run_until(lambda: len(heard) == 1)
    # The kernel tells nothing of an attached file's new name: only a look finds it.
    moved = disk.with_name("moved.img")
    with loop_device(moved_from(disk, moved)) as device:
        await asyncio.sleep(0.2)
        before = len(heard)
        moved.rename(disk)
        await clock.run_until(lambda: ids(heard[-1]) == [device.devpath])
        assert len(heard) > before
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def moved_from(disk: Path, moved: Path) -> Path:
    disk.rename(moved)
    return moved


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_bad_details_open_nothing() -> None:
    before = open_files()
    with pytest.raises(InvalidDocumentError, match=r"udevRules\[0\]: character 1: 'RUN' is not valid"):
        await anext(UdevHandler(SystemClock()).discover("udevRules: ['RUN+=\"x\"']", {}))
    assert open_files() == before


async def test_streams_leave_no_socket_behind(disk: Path) -> None:
    handler = UdevHandler(SystemClock(), poll_interval=NEVER)
    await anext(stream := handler.discover(rule_for(disk), {}))
    await stream.aclose()
    before = open_files()
    for _ in range(20):
        stream = handler.discover(rule_for(disk), {})
        await anext(stream)
        await stream.aclose()
    assert open_files() == before

"""The udev handler against devices that the kernel has or makes: terminals, disks with partitions, compressed memory, PCI functions."""

from __future__ import annotations

import asyncio
import fcntl
import json
import re
import struct
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, contextmanager, suppress
from ctypes import addressof, create_string_buffer
from pathlib import Path

import pytest

from akri.clock import SystemClock
from akri.core.device import Device
from akri.core.errors import InvalidDocumentError
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.explain import explain
from akri.discovery.udev.rules import parse_rule
from akri.discovery.udev.source import UdevHandler, scan_devices
from akri.testing.loop import LoopDevice, loop_device, loop_devices_refused

REFUSED = loop_devices_refused()
pytestmark = pytest.mark.skipif(bool(REFUSED), reason=REFUSED)
NEVER = 3600.0
PATIENCE = 30.0
ZRAM = Path("/sys/class/zram-control")
# linux/blkpg.h
BLKPG = 0x1269
ADD_PARTITION, REMOVE_PARTITION = 1, 2


async def once(rules: list[str], properties: Mapping[str, bytes] | None = None, **details: object) -> dict[str, Device]:
    """What is found at first sight."""
    text = json.dumps({"udevRules": rules, **details})
    stream: AsyncGenerator[Snapshot, None] = UdevHandler(SystemClock(), poll_interval=NEVER).discover(text, properties or {})
    async with aclosing(stream):
        return {device.id: device for device in (await anext(stream)).devices}


def listed(subsystem: str) -> set[str]:
    """Devices of a class, as its folder in sysfs lists them."""
    return {str(link.resolve()).removeprefix("/sys") for link in Path("/sys/class", subsystem).iterdir()}


def has_device_number(device: Device) -> bool | None:
    """Whether the kernel has a number, and so a node, for it; None if it left meanwhile."""
    folder = Path("/sys") / device.id.lstrip("/")
    return (folder / "dev").exists() if folder.exists() else None


@pytest.mark.parametrize("subsystem", ["tty", "block", "mem", "misc", "net"])
async def test_finds_what_sysfs_lists(subsystem: str) -> None:
    before, found = listed(subsystem), await once([f'SUBSYSTEM=="{subsystem}"'])
    while listed(subsystem) != before:  # other tests plug devices meanwhile
        before, found = listed(subsystem), await once([f'SUBSYSTEM=="{subsystem}"'])
    assert set(found) == before
    for device in found.values():
        has_number = has_device_number(device)
        assert has_number in {bool(device.device_nodes), None}, "network interfaces alone have no node"


async def test_names_the_nodes_of_terminals() -> None:
    found = await once(['KERNEL=="null|tty", SUBSYSTEM=="mem|tty"'], permissions="rw")
    nodes = {device.properties["UDEV_DEVNODE"]: device.device_nodes[0].permissions for device in found.values()}
    assert nodes == {"/dev/null": "rw", "/dev/tty": "rw"}


@contextmanager
def partition(device: LoopDevice) -> Generator[str, None, None]:
    """Give a disk one partition without a table on it; its devpath."""
    where = create_string_buffer(struct.pack("=qqi64s64s4x", 512, 1024, 1, b"", b""))
    node = Path(f"{device.node}p1")
    with device.node.open("rb", buffering=0) as disk:
        fcntl.ioctl(disk, BLKPG, struct.pack("@iiiP", ADD_PARTITION, 0, len(where), addressof(where)))
        try:
            yield f"{device.devpath}/{node.name}"
        finally:
            fcntl.ioctl(disk, BLKPG, struct.pack("@iiiP", REMOVE_PARTITION, 0, len(where), addressof(where)))
            with suppress(OSError):
                node.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "akri-demo.img"
    file.write_bytes(bytes(16 * 512))
    return file


async def test_groups_a_disk_with_its_partition(disk: Path) -> None:
    with loop_device(disk) as device, partition(device) as path:
        rule = f'KERNEL=="loop{device.number}*"'
        apart = await once([rule])
        assert {name: found.properties["UDEV_DEVNODE"] for name, found in apart.items() if not name.endswith("queue")} == {
            device.devpath: f"{device.node}",
            path: f"{device.node}p1",
        }
        grouped = await once([rule], groupRecursive=True, permissions="r")
        assert set(grouped) == {device.devpath}
        assert dict(grouped[device.devpath].properties) == {
            "UDEV_DEVPATH": device.devpath,
            "UDEV_DEVNODE_0": f"{device.node}",
            "UDEV_DEVNODE_1": f"{device.node}p1",
        }
        assert [(node.host_path, node.permissions) for node in grouped[device.devpath].device_nodes] == [
            (f"{device.node}", "r"),
            (f"{device.node}p1", "r"),
        ]


async def test_plural_keys_look_at_the_device_above(disk: Path) -> None:
    with loop_device(disk) as device, partition(device) as path:
        above = f'ATTRS{{loop/backing_file}}=="{disk}"'
        assert set(await once([f'{above}, SUBSYSTEM=="block", KERNEL!="loop{device.number}"'])) == {path}
        assert set(await once([f'{above}, KERNELS=="loop{device.number}p1"'])) == set(), "no device has both"


@contextmanager
def zram() -> Generator[str, None, None]:
    """A disk of compressed memory; its devpath."""
    number = (ZRAM / "hot_add").read_text("ascii").strip()
    try:
        yield f"/devices/virtual/block/zram{number}"
    finally:
        (ZRAM / "hot_remove").write_text(number, "ascii")


async def until(stream: AsyncGenerator[Snapshot, None], path: str, *, there: bool) -> Snapshot:
    """Read on until a device is there, or is not."""
    async with asyncio.timeout(PATIENCE):
        async for snapshot in stream:
            if there == (path in {device.id for device in snapshot.devices}):
                return snapshot
    pytest.fail("the stream ended")


@pytest.mark.skipif(not ZRAM.exists(), reason="this kernel has no disks of compressed memory: modprobe zram")
async def test_a_disk_of_compressed_memory_comes_and_goes() -> None:
    rule = 'KERNEL=="zram*", SUBSYSTEM=="block"'
    async with aclosing(UdevHandler(SystemClock(), poll_interval=NEVER).discover(json.dumps({"udevRules": [rule]}), {})) as stream:
        before = {device.id for device in (await anext(stream)).devices}
        with zram() as path:
            assert path not in before
            plugged = await until(stream, path, there=True)
        (device,) = (device for device in plugged.devices if device.id == path)
        assert device.properties["UDEV_DEVNODE"] == f"/dev/{path.rpartition('/')[2]}"
        assert path in (await until(stream, path, there=False)).gone_ids


def in_iommu_group(address: str) -> bool:
    return Path(f"/sys/bus/pci/devices/{address}/iommu_group").exists()


async def test_addresses_of_pci_functions_are_those_in_the_path() -> None:
    found = await once(['SUBSYSTEM=="block|pci|net"'], {"devicePluginResourceName": b"akri.sh/x.y", "vfioPassthrough": b"true"})
    for device in found.values():
        addresses = re.findall(r"/([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=/|$)", device.id)
        expected = addresses[-1] if addresses and "/usb" not in device.id else None
        assert device.properties.get("PCI_RESOURCE_AKRI_SH_X_Y") == expected
        nodes = {node.host_path for node in device.device_nodes}
        assert ("/dev/vfio/vfio" in nodes) == (expected is not None and in_iommu_group(expected))


async def test_bad_properties_are_refused_before_anything_is_opened() -> None:
    with pytest.raises(InvalidDocumentError, match="vfioPassthrough"):
        await once(['KERNEL=="null"'], {"vfioPassthrough": b"perhaps"})


def test_explains_every_device_of_the_machine() -> None:
    details = UdevDetails((parse_rule('KERNEL=="null", ATTR{dev}=="1:4"'),))
    explained = {one.devpath: one for one in explain(details, scan_devices(details, everything=True))}
    assert len(explained) > len(explain(details, scan_devices(details)))
    assert str(explained["/devices/virtual/mem/null"].rejections[0]) == 'udevRules[0]: ATTR{dev}=="1:4": found "1:3"'

"""What people and brokers learn of a device: nodes, properties that tell equal ones apart, and what KubeVirt asks for."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.describe import describe, pci_function
from akri.discovery.udev.details import Passthrough, UdevDetails
from akri.discovery.udev.kernel import KernelDevice, Scan
from akri.discovery.udev.match import snapshot
from akri.discovery.udev.rules import parse_rule

ROOT = KernelDevice("/devices/pci0000:00")
CONTROLLER = KernelDevice(
    f"{ROOT.devpath}/0000:00:14.0",
    "pci",
    "xhci_hcd",
    parent=ROOT.devpath,
    attributes={"vendor": "0x8086", "device": "0xA12F"},
    iommu_group="7",
)
STICK = KernelDevice(
    f"{CONTROLLER.devpath}/usb1/1-2",
    "usb",
    "usb",
    "/dev/bus/usb/001/010",
    CONTROLLER.devpath,
    attributes={"serial": "0815 ", "manufacturer": "Ac\x07me", "product": "Stick", "idVendor": "0ABC", "idProduct": "0def"},
)
INTERFACE = KernelDevice(f"{STICK.devpath}/1-2:1.0", "usb", "usb-storage", parent=STICK.devpath)
SCSI = KernelDevice(
    f"{INTERFACE.devpath}/host0/0:0:0:0", "scsi", "sd", parent=INTERFACE.devpath, attributes={"vendor": "SCSI", "model": " Disk "}
)
DISK = KernelDevice(f"{SCSI.devpath}/block/sda", "block", node="/dev/sda", parent=SCSI.devpath, properties={"ID_SERIAL_SHORT": "from udev"})
GPU = KernelDevice(
    f"{ROOT.devpath}/0000:00:01.0",
    "pci",
    "vfio-pci",
    parent=ROOT.devpath,
    attributes={"vendor": "0x10de", "device": "0x1fb2"},
    iommu_group="13",
)
SOUND = KernelDevice(f"{ROOT.devpath}/0000:00:01.1", "pci", "vfio-pci", parent=ROOT.devpath, iommu_group="13")
CARD = KernelDevice(f"{GPU.devpath}/drm/card0", "drm", node="/dev/dri/card0", parent=GPU.devpath)
WIRE = KernelDevice("/devices/virtual/net/tap0", "net", attributes={"address": "02:00:00:00:00:01"})
LOOPBACK = KernelDevice("/devices/virtual/net/lo", "net", attributes={"address": "00:00:00:00:00:00"})
VIRTIO = KernelDevice("/devices/virtual/block/vda", "block", node="/dev/vda", properties={"ID_SERIAL_SHORT": "short", "ID_MODEL": ""})
ALL = {one.devpath: one for one in (ROOT, CONTROLLER, STICK, INTERFACE, SCSI, DISK, GPU, SOUND, CARD, WIRE, LOOPBACK, VIRTIO)}
BOTH = Passthrough("akri.sh/udev-gpu", vfio=True)


def properties(device: KernelDevice, passthrough: Passthrough = BOTH) -> dict[str, str]:
    found = describe(UdevDetails((), passthrough=passthrough), ALL, device.devpath, [device.devpath])
    return {name: value for name, value in found.properties.items() if name not in {"UDEV_DEVPATH", "UDEV_DEVNODE"}}


def nodes(*members: KernelDevice) -> list[str]:
    found = describe(UdevDetails((), permissions="rw", passthrough=BOTH), ALL, members[0].devpath, [member.devpath for member in members])
    assert {node.permissions for node in found.device_nodes} <= {"rw"}
    return [node.host_path for node in found.device_nodes]


IDENTITY = {"UDEV_SERIAL": "0815", "UDEV_VENDOR": "Acme", "UDEV_MODEL": "Stick", "UDEV_VENDOR_ID": "0abc", "UDEV_MODEL_ID": "0def"}


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (STICK, IDENTITY),
        (DISK, IDENTITY | {"UDEV_VENDOR": "SCSI", "UDEV_MODEL": "Disk"}),
        (GPU, {"UDEV_VENDOR_ID": "10de", "UDEV_MODEL_ID": "1fb2"}),
        (CARD, {"UDEV_VENDOR_ID": "10de", "UDEV_MODEL_ID": "1fb2"}),
        (WIRE, {"UDEV_MAC_ADDRESS": "02:00:00:00:00:01"}),
        (LOOPBACK, {}),
        (VIRTIO, {"UDEV_SERIAL": "short"}),
        (ROOT, {}),
    ],
    ids=lambda value: value.name if isinstance(value, KernelDevice) else "",
)
def test_the_nearest_device_that_says_something_tells(device: KernelDevice, expected: dict[str, str]) -> None:
    assert properties(device, Passthrough()) == expected


def test_a_long_text_is_cut() -> None:
    device = evolve(WIRE, attributes={"address": "x" * 1000})
    found = describe(UdevDetails(()), {device.devpath: device}, device.devpath, [device.devpath])
    assert found.properties["UDEV_MAC_ADDRESS"] == "x" * 256


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (STICK, {"USB_RESOURCE_AKRI_SH_UDEV-GPU": "1:10"}),
        (INTERFACE, {"USB_RESOURCE_AKRI_SH_UDEV-GPU": "1:10"}),
        (DISK, {}),
        (GPU, {"PCI_RESOURCE_AKRI_SH_UDEV-GPU": "0000:00:01.0"}),
        (CARD, {"PCI_RESOURCE_AKRI_SH_UDEV-GPU": "0000:00:01.0"}),
        (WIRE, {}),
    ],
    ids=lambda value: value.name if isinstance(value, KernelDevice) else "",
)
def test_addresses_for_kubevirt(device: KernelDevice, expected: dict[str, str]) -> None:
    assert {name: value for name, value in properties(device).items() if "RESOURCE" in name} == expected
    assert not any("RESOURCE" in name for name in properties(device, Passthrough(vfio=True)))


def test_a_group_lists_all_addresses_once() -> None:
    details = UdevDetails((), group_recursive=True, passthrough=BOTH)
    found = describe(details, ALL, GPU.devpath, [GPU.devpath, CARD.devpath, SOUND.devpath])
    assert found.properties["PCI_RESOURCE_AKRI_SH_UDEV-GPU"] == "0000:00:01.0,0000:00:01.1"


def test_a_pci_function_brings_the_node_of_its_group() -> None:
    assert nodes(GPU) == ["/dev/vfio/vfio", "/dev/vfio/13"]
    assert nodes(CARD, SOUND) == ["/dev/dri/card0", "/dev/vfio/vfio", "/dev/vfio/13"]
    assert nodes(STICK) == ["/dev/bus/usb/001/010"], "the USB controller is not handed over with a stick"
    assert nodes(evolve(VIRTIO)) == ["/dev/vda"]


def test_finds_the_pci_function() -> None:
    assert pci_function(ALL, CARD.devpath) == GPU
    assert pci_function(ALL, DISK.devpath) is None
    assert pci_function(ALL, "/devices/unknown") is None


def test_the_report_says_for_whom_vfio_can_do_nothing() -> None:
    scan = Scan(frozenset(ALL), tuple(ALL), ALL)
    details = UdevDetails((parse_rule('SUBSYSTEM=="block|pci"'),), passthrough=BOTH)
    report = snapshot(details, scan, Snapshot()).report
    assert report is not None
    assert report.message == f"vfioPassthrough: 2 devices have no IOMMU group, {DISK.devpath} for one"

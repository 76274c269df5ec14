"""Kernel devices as plain values: what one look at sysfs and at udev's database found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import field, frozen

from akri.core.device import frozen_mapping

__all__ = ["KernelDevice", "Scan", "line"]


@frozen
class KernelDevice:
    """A device as sysfs shows it, reduced to what the rules ask for.

    devpath: path without /sys. node: its device node, "" without one. parent: devpath of the nearest ancestor that is a
    device, "" without one. properties, attributes: only those that somebody asks for; a missing key is one the device lacks.
    Bytes that are no UTF-8 are kept as lone surrogates. iommu_group: number of its IOMMU group, "" without one.
    """

    devpath: str
    subsystem: str = ""
    driver: str = ""
    node: str = ""
    parent: str = ""
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    attributes: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    iommu_group: str = ""

    @property
    def name(self) -> str:
        """The kernel's name for it, the last part of its path; '!' stands for '/' there."""
        return self.devpath.rpartition("/")[2].replace("!", "/")


def _by_devpath(value: Mapping[str, KernelDevice]) -> Mapping[str, KernelDevice]:
    return MappingProxyType(dict(value))


@frozen
class Scan:
    """One look at sysfs. present: devpath of everything there. devices: candidates and their ancestors, by devpath."""

    present: frozenset[str] = frozenset()
    candidates: tuple[str, ...] = ()
    devices: Mapping[str, KernelDevice] = field(factory=dict[str, KernelDevice], converter=_by_devpath, hash=False)


def line(devices: Mapping[str, KernelDevice], devpath: str) -> Iterator[KernelDevice]:
    """Give the device, its parent, and so on upwards."""
    device = devices.get(devpath)
    while device is not None:
        yield device
        device = devices.get(device.parent)

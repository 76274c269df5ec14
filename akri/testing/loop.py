"""Real block devices for tests and demonstrations: loop devices that come and go without any hardware. Linux, and root."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["LoopDevice", "loop_device", "loop_devices_refused"]

# linux/loop.h
_SET_FD: Final = 0x4C00
_CLEAR_FD: Final = 0x4C01
_CONTROL_ADD: Final = 0x4C80
_CONTROL_REMOVE: Final = 0x4C81
_CONTROL: Final = Path("/dev/loop-control")
_TRIES: Final = 100
_PAUSE: Final = 0.02


@frozen
class LoopDevice:
    """A loop device of this machine. Without a file attached it is there, and empty."""

    number: int

    @property
    def node(self) -> Path:
        """Its device node."""
        return Path(f"/dev/loop{self.number}")

    @property
    def devpath(self) -> str:
        """Its path in sysfs, without /sys: the id that the udev handler gives it."""
        return f"/devices/virtual/block/loop{self.number}"

    def attach(self, file: Path) -> None:
        """Put a file behind the device: a disk is inserted. The file's size, in whole blocks of 512, becomes the disk's."""
        with file.open("r+b") as content, self.node.open("r+b", buffering=0) as device:
            fcntl.ioctl(device, _SET_FD, content.fileno())

    def detach(self) -> None:
        """Take the file away: the disk is ejected, once nobody has the device open."""
        with self.node.open("rb", buffering=0) as device:
            fcntl.ioctl(device, _CLEAR_FD)


def loop_devices_refused() -> str:
    """Say why loop devices cannot be made here; "" if they can."""
    try:
        with _CONTROL.open("r+b", buffering=0):
            return ""
    except OSError as error:
        return f"loop devices cannot be made here: {error}"


@contextmanager
def loop_device(file: Path | None = None) -> Generator[LoopDevice, None, None]:
    """Make a loop device that nobody else uses, with a file attached if one is given; remove it at the end.

    Raises OSError where this is not permitted (see `loop_devices_refused`).
    """
    with _CONTROL.open("r+b", buffering=0) as control:
        device = LoopDevice(fcntl.ioctl(control, _CONTROL_ADD, -1))
        made_node = False
        try:
            made_node = _ensure_node(device)
            if file is not None:
                device.attach(file)
            yield device
        finally:
            with suppress(OSError):  # it may be detached already
                device.detach()
            _remove(control.fileno(), device.number)
            if made_node:
                device.node.unlink(missing_ok=True)


def _ensure_node(device: LoopDevice) -> bool:
    """Make the device node where /dev is a plain folder, as in many containers; tell whether that was needed."""
    if device.node.exists():
        return False
    major, _, minor = Path(f"/sys{device.devpath}/dev").read_text("ascii").strip().partition(":")
    os.mknod(device.node, 0o600 | stat.S_IFBLK, os.makedev(int(major), int(minor)))
    return True


def _remove(control: int, number: int) -> None:
    """Remove a loop device; for a moment others, such as udev, may have it open."""
    for _ in range(_TRIES - 1):
        with suppress(OSError):
            fcntl.ioctl(control, _CONTROL_REMOVE, number)
            return
        time.sleep(_PAUSE)
    fcntl.ioctl(control, _CONTROL_REMOVE, number)

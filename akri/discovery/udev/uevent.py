"""The messages in which the kernel, and udev after it, tell of devices that come, change and go. Pure."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Uevent", "parse_uevent"]


@frozen
class Uevent:
    """Which device a message is about."""

    devpath: str
    subsystem: str


def parse_uevent(message: bytes) -> Uevent | None:
    """Read a message's fields, which are `KEY=value` with NUL between; None where they do not name a device.

    The kernel puts `action@devpath` before them, udev a binary header; both are no fields.
    """
    fields = dict(part.split(b"=", 1) for part in message.split(b"\0") if b"=" in part)
    devpath = fields.get(b"DEVPATH")
    if devpath is None:
        return None
    return Uevent(devpath.decode(errors="replace"), fields.get(b"SUBSYSTEM", b"").decode(errors="replace"))

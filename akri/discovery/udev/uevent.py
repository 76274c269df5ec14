"""The messages in which the kernel, and udev after it, tell of devices that come, change and go. Pure."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["Uevent", "parse_uevent"]

_UDEV: Final = b"libudev\0"
_DIGITS: Final = 20


@frozen
class Uevent:
    """Which device a message is about, and what happened to it.

    action: add, remove, change, move, bind, unbind, online or offline. record: the name of the device's file in udev's database.
    settled: whether udev sent the message, which it does when it has written its database. number: the kernel counts its messages,
    and udev repeats the number of the one that it has dealt with.
    """

    devpath: str
    subsystem: str = ""
    action: str = ""
    record: str = ""
    settled: bool = False
    number: int = 0


def parse_uevent(message: bytes) -> Uevent | None:
    """Read a message's fields, which are `KEY=value` with NUL between; None where they do not name a device.

    The kernel puts `action@devpath` before them, udev a binary header that begins with `libudev`; both are no fields.
    """
    parts = (part.decode(errors="replace") for part in message.split(b"\0") if b"=" in part)
    fields = dict(part.split("=", 1) for part in parts)
    devpath = fields.get("DEVPATH")
    if devpath is None:
        return None
    subsystem = fields.get("SUBSYSTEM", "")
    number = fields.get("SEQNUM", "")
    return Uevent(
        devpath,
        subsystem,
        fields.get("ACTION", ""),
        _record(fields, devpath, subsystem),
        settled=message.startswith(_UDEV),
        number=int(number) if number.isdecimal() and len(number) <= _DIGITS else 0,
    )


def _record(fields: dict[str, str], devpath: str, subsystem: str) -> str:
    """Give the name of a device's record in udev's database, as sd-device makes it: `b8:0`, `c1:3`, `n2`, `+usb:1-1`."""
    major, minor, index = fields.get("MAJOR", ""), fields.get("MINOR", ""), fields.get("IFINDEX", "")
    if major.isdecimal() and minor.isdecimal():
        name = f"{'b' if subsystem == 'block' else 'c'}{major}:{minor}"
    elif index.isdecimal():
        name = f"n{index}"
    else:
        name = f"+{subsystem}:{devpath.rpartition('/')[2]}"
    return "" if "/" in name else name

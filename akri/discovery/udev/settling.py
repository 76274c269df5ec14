"""When to look after a message of the kernel: udev writes its database a moment later, and may not run at all. Pure.

udev's own messages say exactly when, but reach only the network namespace in which it runs. Elsewhere its files tell: a
device's record changes, or its queue has been empty for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.discovery.udev.uevent import Uevent

__all__ = ["AGAIN", "LONGEST", "PAUSE", "Database", "Pending", "Version", "ready"]

LONGEST: Final = 3.0
"""Seconds after which we look whatever udev has not done yet."""
AGAIN: Final = 2.0
"""Seconds after which we look again if udev was still busy: no message tells when it has done."""
PAUSE: Final = 0.02
"""Seconds between two looks at udev's files, and for messages that come in bursts."""
_IDLE: Final = 0.1
"""Seconds after a message from which on an empty queue means that udev has dealt with it, not that it has not heard of it."""

Version: TypeAlias = tuple[int, int]
"""Tells two versions of a file apart."""


@frozen
class Database:
    """One look at udev's files. active: udev runs here. busy: its queue is not empty. records: versions of those that exist."""

    active: bool = False
    busy: bool = False
    records: Mapping[str, Version] = field(factory=dict[str, Version], hash=False)


@frozen
class Pending:
    """A device that the kernel told of. event: the last message. before: what its record was then, None without one.

    alone: whether it was the only message of the device: of several, a changed record does not say which one udev has dealt with.
    """

    event: Uevent
    before: Version | None = None
    alone: bool = True


def ready(waiting: Iterable[Pending], settled: Mapping[str, int], database: Database, *, total: float, quiet: float) -> bool:
    """Tell whether to look now: udev does not run, has dealt with everything, or has had its time.

    waiting: what the kernel told. settled: devices of which udev has told since, and the number of its last message. total, quiet:
    seconds since the first and since the last message that concerns us. A loss of messages is waited for like a device without
    a record: until the queue is empty.
    """
    if not database.active or total >= LONGEST:
        return True
    if quiet >= _IDLE and not database.busy:
        return True
    return all(_done(one, settled, database) for one in waiting)


def _done(one: Pending, settled: Mapping[str, int], database: Database) -> bool:
    if one.event.action == "remove" or settled.get(one.event.devpath, -1) >= one.event.number:
        return True
    now = database.records.get(one.event.record)
    return one.alone and now is not None and now != one.before

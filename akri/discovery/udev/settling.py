"""When to look after a message of the kernel: udev writes its database a moment later, and may not run at all. Pure.

udev's own messages say exactly when, but reach only the network namespace in which it runs. Elsewhere its files tell: a
device's record changes, or its queue has been empty for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from akri.discovery.udev.uevent import Uevent

__all__ = ["LONGEST", "PAUSE", "Database", "Pending", "ready"]

LONGEST: Final = 3.0
"""Seconds after which we look whatever udev has not done yet."""
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
    """A device that the kernel told of. before: what its record was at that time, None without one."""

    event: Uevent
    before: Version | None = None


def ready(waiting: Iterable[Pending], settled: frozenset[str], database: Database, *, total: float, quiet: float) -> bool:
    """Tell whether to look now: udev does not run, has dealt with everything, or has had its time.

    waiting: what the kernel told. settled: devices of which udev has told since. total, quiet: seconds since the first and since
    the last message that concerns us. A loss of messages is waited for like a device without a record: until the queue is empty.
    """
    if not database.active or total >= LONGEST:
        return True
    if quiet >= _IDLE and not database.busy:
        return True
    return all(_done(one, settled, database) for one in waiting)


def _done(one: Pending, settled: frozenset[str], database: Database) -> bool:
    if one.event.settled or one.event.action == "remove" or one.event.devpath in settled:
        return True
    now = database.records.get(one.event.record)
    return now is not None and now != one.before

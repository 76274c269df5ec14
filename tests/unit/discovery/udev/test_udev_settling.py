"""When it is time to look: as soon as udev has dealt with everything, and never later than after three seconds."""

from __future__ import annotations

import pytest

from akri.discovery.udev.settling import LONGEST, Database, Pending, ready
from akri.discovery.udev.uevent import Uevent

PLUGGED = Pending(Uevent("/devices/a", "block", "add", "b7:8", number=5))
CHANGED = Pending(Uevent("/devices/b", "block", "change", "b7:9"), before=(1, 1))
REMOVED = Pending(Uevent("/devices/c", "block", "remove", "b7:10"), before=(1, 1))
TWICE = Pending(Uevent("/devices/d", "block", "change", "b7:11", number=9), before=(1, 1), alone=False)
LOST = Pending(Uevent(""))
BUSY = Database(active=True, busy=True)


def at_once(waiting: list[Pending], settled: dict[str, int], database: Database) -> bool:
    return ready(waiting, settled, database, total=0.02, quiet=0.02)


@pytest.mark.parametrize("waiting", [PLUGGED, CHANGED, LOST])
def test_waits_while_udev_is_at_work(waiting: Pending) -> None:
    records = {"b7:9": (1, 1)}
    assert not at_once([waiting], {}, Database(active=True, busy=True, records=records))
    assert not at_once([waiting], {}, Database(active=True, busy=False, records=records)), "udev may not have heard of it yet"


@pytest.mark.parametrize("waiting", [PLUGGED, CHANGED, LOST])
def test_does_not_wait_where_no_udev_runs(waiting: Pending) -> None:
    assert at_once([waiting], {}, Database())


def test_a_written_record_ends_the_wait() -> None:
    both = {"b7:8": (5, 2), "b7:9": (6, 1)}
    assert at_once([PLUGGED, CHANGED, REMOVED], {}, Database(active=True, busy=True, records=both))
    assert not at_once([PLUGGED, CHANGED], {}, Database(active=True, busy=True, records=both | {"b7:9": (1, 1)}))


def test_a_message_of_udev_ends_the_wait() -> None:
    assert at_once([PLUGGED], {"/devices/a": 5}, BUSY)
    assert not at_once([PLUGGED], {"/devices/a": 4}, BUSY), "udev has dealt with an earlier message"
    assert not at_once([PLUGGED, CHANGED], {"/devices/a": 5}, BUSY)


def test_of_several_messages_the_last_one_counts() -> None:
    written = Database(active=True, busy=True, records={"b7:11": (2, 2)})
    assert not at_once([TWICE], {}, written), "which of them has been dealt with, a record does not say"
    assert at_once([TWICE], {"/devices/d": 9}, written)


def test_an_empty_queue_ends_the_wait_after_a_moment_without_messages() -> None:
    idle = Database(active=True)
    assert ready([PLUGGED, LOST], {}, idle, total=0.5, quiet=0.1)
    assert not ready([PLUGGED, LOST], {}, idle, total=0.5, quiet=0.05)
    assert not ready([PLUGGED, LOST], {}, BUSY, total=0.5, quiet=0.4)


def test_the_wait_has_an_end() -> None:
    assert ready([LOST], {}, BUSY, total=LONGEST, quiet=0.0)

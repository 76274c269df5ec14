"""When it is time to look: as soon as udev has dealt with everything, and never later than after three seconds."""

from __future__ import annotations

import pytest

from akri.discovery.udev.settling import LONGEST, Database, Pending, ready
from akri.discovery.udev.uevent import Uevent

PLUGGED = Pending(Uevent("/devices/a", "block", "add", "b7:8"))
CHANGED = Pending(Uevent("/devices/b", "block", "change", "b7:9"), before=(1, 1))
REMOVED = Pending(Uevent("/devices/c", "block", "remove", "b7:10"), before=(1, 1))
TOLD = Pending(Uevent("/devices/d", "block", "add", "b7:11", settled=True))
LOST = Pending(Uevent(""))
BUSY = Database(active=True, busy=True)


def at_once(waiting: list[Pending], settled: set[str], database: Database) -> bool:
    return ready(waiting, frozenset(settled), database, total=0.02, quiet=0.02)


@pytest.mark.parametrize("waiting", [PLUGGED, CHANGED, LOST])
def test_waits_while_udev_is_at_work(waiting: Pending) -> None:
    records = {"b7:9": (1, 1)}
    assert not at_once([waiting], set(), Database(active=True, busy=True, records=records))
    assert not at_once([waiting], set(), Database(active=True, busy=False, records=records)), "udev may not have heard of it yet"


@pytest.mark.parametrize("waiting", [PLUGGED, CHANGED, LOST])
def test_does_not_wait_where_no_udev_runs(waiting: Pending) -> None:
    assert at_once([waiting], set(), Database())


def test_a_written_record_ends_the_wait() -> None:
    both = {"b7:8": (5, 2), "b7:9": (6, 1)}
    assert at_once([PLUGGED, CHANGED, REMOVED, TOLD], set(), Database(active=True, busy=True, records=both))
    assert not at_once([PLUGGED, CHANGED], set(), Database(active=True, busy=True, records=both | {"b7:9": (1, 1)}))


def test_a_message_of_udev_ends_the_wait() -> None:
    assert at_once([PLUGGED], {"/devices/a"}, BUSY)
    assert not at_once([PLUGGED, CHANGED], {"/devices/a"}, BUSY)


def test_an_empty_queue_ends_the_wait_after_a_moment_without_messages() -> None:
    idle = Database(active=True)
    assert ready([PLUGGED, LOST], frozenset(), idle, total=0.5, quiet=0.1)
    assert not ready([PLUGGED, LOST], frozenset(), idle, total=0.5, quiet=0.05)
    assert not ready([PLUGGED, LOST], frozenset(), BUSY, total=0.5, quiet=0.4)


def test_the_wait_has_an_end() -> None:
    assert ready([LOST], frozenset(), BUSY, total=LONGEST, quiet=0.0)

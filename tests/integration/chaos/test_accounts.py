"""The brokers of a run report what they find: the script runs here beside another one of itself, and nothing keeps them apart."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.chaos.history import parse_lives, parse_violations
from tests.integration.chaos.victims import leftovers

SCRIPT = Path(__file__).with_name("broker.sh")
# Pods whose uids end in an even digit leave something behind that has the locks as well.
PLAIN, LEAVING = "p1", "p2"


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    for name in ("slots", "pods"):
        (tmp_path / name).mkdir()
    (tmp_path / "violations").touch()
    (tmp_path / "lives").touch()
    return tmp_path


@contextmanager
def broker(accounts: Path, pod: str, **slots: str) -> Generator[subprocess.Popen[bytes]]:
    """Run a broker of this pod until the end of the block; what it left behind goes as well."""
    before = len((accounts / "lives").read_text().splitlines())
    environment = {"PATH": os.environ["PATH"], "POD": pod, "NAME": f"{pod}-pod", "NODE": "a", **slots}
    process = subprocess.Popen(["sh", str(SCRIPT), str(accounts), "87654321"], env=environment, start_new_session=True)
    try:
        until(lambda: len((accounts / "lives").read_text().splitlines()) > before)
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_as_many_brokers_as_slots_are_no_violation(accounts: Path) -> None:
    with broker(accounts, "p1", SLOTS_8120FE="2"), broker(accounts, "p3", SLOTS_8120FE="2", SLOTS_AAAAAA="1"):
        pass
    lives = parse_lives((accounts / "lives").read_text())
    assert [life.slots for life in lives] == [("8120FE-0",), ("8120FE-1", "AAAAAA-0")]
    assert (accounts / "violations").read_text() == ""


def test_one_broker_more_than_slots_is_a_violation(accounts: Path) -> None:
    with broker(accounts, "p1", SLOTS_8120FE="2"), broker(accounts, "p3", SLOTS_8120FE="2"), broker(accounts, "p5", SLOTS_8120FE="2"):
        pass
    (found,) = parse_violations((accounts / "violations").read_text())
    assert (found.kind, found.pod, found.digest, set(found.holders)) == ("slot", "p5", "8120FE", {"p1", "p3"})


def test_two_lives_of_one_pod_at_one_time_are_a_violation(accounts: Path) -> None:
    with broker(accounts, PLAIN) as first, broker(accounts, PLAIN):
        number = str(first.pid)
    (found,) = parse_violations((accounts / "violations").read_text())
    assert (found.kind, found.pod, found.holders) == ("twice", PLAIN, (number,))


def test_one_life_after_the_other_is_no_violation(accounts: Path) -> None:
    for _ in range(2):
        with broker(accounts, PLAIN, SLOTS_8120FE="1"):
            pass
    assert (accounts / "violations").read_text() == ""


def test_what_an_earlier_life_left_behind_is_a_violation_and_is_found(accounts: Path) -> None:
    with broker(accounts, LEAVING, SLOTS_8120FE="1"):
        until(lambda: len(leftovers(accounts, "no such mark")) >= 2)
    until(lambda: _stays(leftovers(accounts, "no such mark")))  # what ends with the broker is still ending
    with broker(accounts, LEAVING, SLOTS_8120FE="1"):
        pass
    assert {found.kind for found in parse_violations((accounts / "violations").read_text())} == {"twice", "slot"}
    for one in leftovers(accounts, "no such mark"):
        os.kill(int(one.split()[1]), signal.SIGKILL)


def _stays(left: Sequence[str]) -> bool:
    return bool(left) and all("sleep 87654321.5" in one and "by its open file" in one for one in left)

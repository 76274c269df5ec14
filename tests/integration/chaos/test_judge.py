"""The judge of a run can fail: each history here is a forged one, and what is wrong with it must be said."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.integration.chaos.history import Device, History, Life, Turn, Violation, excused, judge, parse_lives, parse_violations

CAMERA = Device("shared", "camera-0")
STICK = Device("local", "stick-a-4", "a", kept=False)
ECHO = Device("echo", "foo-0", kept=False)
GOOD = History(
    devices=(CAMERA, STICK, ECHO),
    turns=(
        Turn(CAMERA, "AAAAAA", "1", created=10, at=11),
        Turn(STICK, "BBBBBB", "2", created=10, at=11),
        Turn(STICK, "BBBBBB", "3", created=20, at=21),
        Turn(ECHO, "CCCCCC", "4", created=10, at=11),
        Turn(ECHO, "CCCCCC", "5", created=20, at=21),
    ),
    lives=(Life(12, 100, "p", "camera-pod", "a", ("AAAAAA-0",)), Life(12, 101, "q", "foo-pod", "b", ("CCCCCC-0",))),
    kills={"up": 1, "node": 2},
)


def lost_with(digest: str, *, began: float, at: float) -> History:
    """Two brokers at a device with one slot."""
    former = Life(began, 200, "old", "old-pod", "a", (f"{digest}-0",))
    return evolve(GOOD, lives=(*GOOD.lives, former), violations=(Violation(at, "slot", "new", "new-pod", "b", digest, ("old",)),))


FORGED = {
    "two brokers at one slot": (lost_with("AAAAAA", began=12, at=13), "too many at device AAAAAA: new-pod (new) on b"),
    "two brokers at a slot of one node's device": (lost_with("BBBBBB", began=12, at=22), "too many at device BBBBBB"),
    "two brokers at one slot of one Instance": (lost_with("CCCCCC", began=21, at=22), "too many at device CCCCCC"),
    "two brokers before the Instance is another one": (lost_with("CCCCCC", began=12, at=19), "too many at device CCCCCC"),
    "a holder that nobody knows": (
        evolve(GOOD, violations=(Violation(22, "slot", "new", "new-pod", "b", "CCCCCC", ()),)),
        "too many at device CCCCCC",
    ),
    "a broker that was started twice": (
        evolve(GOOD, violations=(Violation(22, "twice", "p", "camera-pod", "a", "", ("100",)),)),
        "started twice: camera-pod (p) on a at 22.000, beside process 100",
    ),
    "an Instance made anew though its device was never away": (
        evolve(GOOD, turns=(*GOOD.turns, Turn(CAMERA, "AAAAAA", "6", created=30, at=31))),
        "deleted and made anew: the Instance AAAAAA of camera-0 (shared), which was never away: ['1', '6']",
    ),
    "two Instances of one device": (
        evolve(GOOD, turns=(*GOOD.turns, Turn(CAMERA, "DDDDDDDD", "6", created=30, at=31))),
        "two Instances of one device: camera-0 of shared: ['AAAAAA', 'DDDDDDDD']",
    ),
    "a device that was never found": (evolve(GOOD, turns=GOOD.turns[1:]), "never found: device camera-0 of shared"),
    "something that did not come to rest": (evolve(GOOD, unfinished=("node a is not ready",)), "did not come to rest: node a is not ready"),
    "a program that ended by itself": (evolve(GOOD, ended=("up with exit code 1: oh",)), "ended by itself: up with exit code 1: oh"),
    "a process that was left": (evolve(GOOD, left=("process 7 (sleep) by its child",)), "left behind: process 7 (sleep) by its child"),
    "a damaged store": (evolve(GOOD, damage=("row 1 missing from index",)), "the store is damaged: row 1 missing from index"),
    "a run in which nothing ran": (evolve(GOOD, lives=()), "nothing was tried: no broker ever ran"),
    "a run in which nobody of a kind was killed": (evolve(GOOD, kills={"up": 1}), "nothing was tried: no node was killed"),
}


def test_a_good_history_passes() -> None:
    assert judge(GOOD, kinds=("up", "node")) == ()


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_history_is_found(forgery: str) -> None:
    history, expected = FORGED[forgery]
    said = judge(history, kinds=("up", "node"))
    assert len(said) == 1
    assert said[0].startswith(expected)


def test_a_slot_may_be_lost_with_the_instance_of_a_shared_device_that_was_away() -> None:
    history = lost_with("CCCCCC", began=12, at=22)
    assert (judge(history), excused(history)) == ((), history.violations)


def test_what_brokers_write_is_read() -> None:
    lives = "1.5 100 p pod a AAAAAA-0 BBBBBB-1\n2.5 101 q other b\n"
    assert parse_lives(lives) == (Life(1.5, 100, "p", "pod", "a", ("AAAAAA-0", "BBBBBB-1")), Life(2.5, 101, "q", "other", "b"))
    reports = "1.5 slot p pod a AAAAAA x y \n2.5 twice p pod a 100\n"
    assert parse_violations(reports) == (
        Violation(1.5, "slot", "p", "pod", "a", "AAAAAA", ("x", "y")),
        Violation(2.5, "twice", "p", "pod", "a", "", ("100",)),
    )


@pytest.mark.parametrize("text", ["1.5 100 p", "x 100 p pod a", "1.5 slot"])
def test_half_a_line_is_no_good_history(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse_lives(text) if "slot" not in text else parse_violations(text)

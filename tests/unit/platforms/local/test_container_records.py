"""What a supervisor wrote is read back, and what is cut off counts as not written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from akri.platforms.local.container_records import (
    Alive,
    Ended,
    Lost,
    NeverStarted,
    ProcessIdentity,
    Started,
    container_state,
    parse_ended,
    parse_pipe,
    parse_started,
    parse_stat,
    parse_supervisor,
)

BOOT = "735bc752-809a-435f-9ed7-754dd44baa0b"
STAT = "27043 (a) name) R) S 1 27043 27043 0 -1 4194368 24 0 0 0 0 0 0 0 20 0 1 0 1271076 2654208 136\n"
START = f"3 17 {BOOT} 12710.76\n{STAT}"
STARTED = Started(3, 17, 12710.76, ProcessIdentity(27043, 1271076, BOOT))
WATCHER = ProcessIdentity(27043, 1271076, BOOT)


def test_a_process_is_known_by_its_id_its_start_and_the_boot_whatever_it_is_called() -> None:
    assert parse_stat(STAT, BOOT) == ProcessIdentity(27043, 1271076, BOOT)
    assert parse_supervisor(f"{BOOT}\n{STAT}") == WATCHER


def test_the_pipe_is_known_in_the_same_boot_alone() -> None:
    text = f"{BOOT}\n{STAT}4711\n"
    assert parse_supervisor(text) == WATCHER
    assert [parse_pipe(text, BOOT), parse_pipe(text, "other"), parse_pipe(f"{BOOT}\n{STAT}", BOOT), parse_pipe("", "")] == [4711, 0, 0, 0]


def test_starts_and_ends_are_read() -> None:
    assert parse_started(START) == STARTED
    assert parse_ended("143 12711.26 swept      \n", STARTED) == Ended(143, clean=True, started=STARTED, ran=0.5)
    assert parse_ended("0 12700.0\n", STARTED) == Ended(0, clean=False, started=STARTED, ran=0.0)
    assert parse_ended("0 12700.0\n", None) == Ended(0, clean=False)
    assert parse_ended("-       \n", STARTED) is None


def test_a_text_that_is_cut_off_counts_as_not_written() -> None:
    assert [parse_started(START[:length]) for length in range(len(START))] == [None] * len(START)
    end = "143 12711.26 swept\n"
    assert [parse_ended(end[:length], STARTED) for length in range(len(end))] == [None] * len(end)


@given(st.text(), st.text())
def test_no_text_raises(one: str, other: str) -> None:
    parse_started(one + "\n" + other + "\n")
    parse_ended(one + "\n", None)
    parse_stat(one, BOOT)
    container_state(locked=False, supervisor=one, started=other, ended=one)


def test_the_lock_says_whether_it_lives_and_the_files_how_it_ended() -> None:
    watcher = f"{BOOT}\n{STAT}"
    assert container_state(locked=False, supervisor="", started="", ended="") == NeverStarted()
    assert container_state(locked=True, supervisor="", started="", ended="") == Alive(None, None)
    assert container_state(locked=True, supervisor=watcher, started=START, ended="7 1.0\n") == Alive(WATCHER, STARTED)
    assert container_state(locked=False, supervisor=watcher, started=START, ended="-\n") == Lost(WATCHER, STARTED)
    assert container_state(locked=False, supervisor=watcher, started="", ended="-\n") == NeverStarted()
    assert container_state(locked=False, supervisor="", started="", ended="125 1.0 swept\n") == Ended(125, clean=True)

"""What each answer proves, line by line; and what follows from it."""

from __future__ import annotations

import pytest

from akri.platforms.kubernetes.meanings import GiveUp, Meaning, TryAgain, meaning_of_answer, retry_after, step

OWN, STRANGE = True, False


@pytest.mark.parametrize(
    ("status", "own", "asks_to_wait", "meaning"),
    [
        (200, OWN, False, Meaning.DONE),
        (201, OWN, False, Meaning.DONE),
        (400, OWN, False, Meaning.REFUSED),
        (401, OWN, False, Meaning.STRANGER),
        (401, STRANGE, False, Meaning.STRANGER),
        (403, OWN, False, Meaning.REFUSED),
        (404, OWN, False, Meaning.REFUSED),
        (405, OWN, False, Meaning.REFUSED),
        (409, OWN, False, Meaning.REFUSED),
        (410, OWN, False, Meaning.REFUSED),
        (413, OWN, False, Meaning.REFUSED),
        (415, OWN, False, Meaning.REFUSED),
        (422, OWN, False, Meaning.REFUSED),
        (429, OWN, True, Meaning.NOT_NOW),
        (429, STRANGE, True, Meaning.NOT_NOW),
        (429, STRANGE, False, Meaning.NOT_NOW),
        (503, OWN, True, Meaning.NOT_NOW),
        (503, OWN, False, Meaning.UNKNOWN),
        (503, STRANGE, True, Meaning.UNKNOWN),
        (500, OWN, False, Meaning.UNKNOWN),
        (500, OWN, True, Meaning.UNKNOWN),
        (502, STRANGE, False, Meaning.UNKNOWN),
        (504, OWN, False, Meaning.UNKNOWN),
        (504, OWN, True, Meaning.UNKNOWN),
        (408, OWN, False, Meaning.UNKNOWN),
        (200, STRANGE, False, Meaning.UNKNOWN),
        (404, STRANGE, False, Meaning.UNKNOWN),
        (403, STRANGE, False, Meaning.UNKNOWN),
        (302, STRANGE, False, Meaning.UNKNOWN),
        (302, OWN, False, Meaning.UNKNOWN),
        (101, OWN, False, Meaning.UNKNOWN),
    ],
)
def test_an_answer_proves_what_the_table_says(status: int, *, own: bool, asks_to_wait: bool, meaning: Meaning) -> None:
    assert meaning_of_answer(status, own=own, asks_to_wait=asks_to_wait) is meaning


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1", 1.0),
        ("30", 30.0),
        ("86400", 60.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0),
        ("-1", 1.0),
        ("²", 1.0),
        ("", 1.0),
    ],
)
def test_retry_after_is_seconds(text: str | None, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def decided(
    meaning: Meaning, *, reading: bool = False, failures: int = 1, left: float = 4.0, wait: float | None = None, renewed: bool = False
) -> object:
    return step(meaning, reading=reading, failures=failures, left=left, wait=wait, renewed=renewed, random=0.0)


@pytest.mark.parametrize("meaning", [Meaning.NOT_NOW, Meaning.NOT_SENT])
def test_a_write_that_provably_did_nothing_is_sent_again(meaning: Meaning) -> None:
    assert decided(meaning) == TryAgain(0.05)


@pytest.mark.parametrize("meaning", [Meaning.UNKNOWN, Meaning.REFUSED])
def test_no_other_write_is_sent_again(meaning: Meaning) -> None:
    assert decided(meaning) == GiveUp()


def test_a_read_whose_answer_was_lost_is_sent_again() -> None:
    assert decided(Meaning.UNKNOWN, reading=True) == TryAgain(0.05)
    assert decided(Meaning.REFUSED, reading=True) == GiveUp()


def test_pauses_grow_up_to_a_second() -> None:
    assert [decided(Meaning.NOT_SENT, failures=failures) for failures in (1, 2, 3, 6, 50)] == [
        TryAgain(seconds) for seconds in (0.05, 0.1, 0.2, 1.0, 1.0)
    ]


def test_the_server_s_wish_to_wait_is_honoured() -> None:
    assert decided(Meaning.NOT_NOW, wait=3.0) == TryAgain(3.0)
    assert decided(Meaning.NOT_NOW, wait=0.0) == TryAgain(0.05)


def test_nothing_is_sent_again_after_the_caller_s_time() -> None:
    assert decided(Meaning.NOT_NOW, wait=5.0) == GiveUp()
    assert decided(Meaning.NOT_SENT, left=0.01) == GiveUp()


def test_a_token_is_fetched_anew_once() -> None:
    assert decided(Meaning.STRANGER) == TryAgain(0.0, renew=True)
    assert decided(Meaning.STRANGER, renewed=True) == GiveUp()

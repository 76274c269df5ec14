"""What an answer of an API server proves about the request, and what the absence of one does, as tables. Pure.

A write may be sent again only where it is proven that the server did not carry it out. What proves that, read in the
source of Kubernetes 1.36:

- A refusal with a Status object (400 to 499) is the server's own and final. Without one it comes from something in between, or from a
  server that does not serve this kind (yet): then even a 404 does not say that the object is not there.
- 429 comes from the filters before any handler (as plain text), or from a cache that is not ready; never after a write.
- 503 comes with a Status and Retry-After while the server starts or stops, from filters before any handler. Without the two it
  may come from anything in between, which may have handed the request on.
- 500 may follow a commit: a time-out of etcd is told like this. 504 certainly may: the handler goes on after its time-out.
- Without a connection nothing was sent. Once sent, a request whose connection is lost may have been carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from akri.core.retry import BackOff

__all__ = ["BACK_OFF", "GiveUp", "Meaning", "Step", "TryAgain", "meaning_of_answer", "retry_after", "step"]

BACK_OFF: Final = BackOff(first=0.05, most=1.0, jitter=0.5)
"""Between two tries of one request."""
_LONGEST_RETRY_AFTER: Final = 60.0
_UNAVAILABLE: Final = 503


class Meaning(Enum):
    """What is known of a request that was not simply done."""

    DONE = "it was carried out"
    REFUSED = "it was not carried out, and trying again does not help"
    STRANGER = "it was not carried out, for its token is not accepted"
    NOT_NOW = "it was not carried out; later it may be"
    NOT_SENT = "it was not sent"
    UNKNOWN = "it may have been carried out"


_FIXED: Final[Mapping[int, Meaning]] = {
    401: Meaning.STRANGER,
    408: Meaning.UNKNOWN,
    429: Meaning.NOT_NOW,
}


def meaning_of_answer(status: int, *, own: bool, asks_to_wait: bool) -> Meaning:
    """Say what an answer proves. own: it is an object of the Kubernetes API. asks_to_wait: it has a Retry-After."""
    fixed = _FIXED.get(status)
    if fixed is not None:
        return fixed
    if not own:
        return Meaning.UNKNOWN
    if status == _UNAVAILABLE and asks_to_wait:
        return Meaning.NOT_NOW
    if 200 <= status < 300:
        return Meaning.DONE
    return Meaning.REFUSED if 400 <= status < 500 else Meaning.UNKNOWN


def retry_after(text: str | None) -> float | None:
    """Read a Retry-After header: seconds, 60 at most. Kubernetes sends no dates; one is taken as 1 s. None where there is none."""
    if text is None:
        return None
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isascii() and text.isdecimal() else 1.0


@frozen
class TryAgain:
    """Send the request again after so many seconds; with a token fetched anew if `renew`."""

    seconds: float
    renew: bool = False


@frozen
class GiveUp:
    """Tell the caller."""


Step: TypeAlias = TryAgain | GiveUp


def step(meaning: Meaning, *, reading: bool, failures: int, left: float, wait: float | None, renewed: bool, random: float) -> Step:
    """Decide what follows on an answer that is not DONE.

    reading: the request changes nothing, so that it may be sent twice. failures: in a row, this one included. left: seconds until the
    caller's time is over. wait: the server's Retry-After. renewed: the token was fetched anew already. random: 0 up to 1.
    """
    if meaning is Meaning.STRANGER:
        return GiveUp() if renewed else TryAgain(0.0, renew=True)
    again = meaning in {Meaning.NOT_NOW, Meaning.NOT_SENT} or (reading and meaning is Meaning.UNKNOWN)
    pause = max(BACK_OFF.seconds(failures, random), wait or 0.0)
    return TryAgain(pause) if again and pause < left else GiveUp()

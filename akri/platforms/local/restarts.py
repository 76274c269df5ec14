"""When a container that ended is started again: what the kubelet does (CrashLoopBackOff), as values. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

__all__ = ["LONGEST_DELAY", "Again", "RestartPolicy", "after_end"]

_FIRST_DELAY: Final = 10.0
LONGEST_DELAY: Final = 300.0
"""Seconds between an end and the next start, at most."""
_RESET: Final = 600.0


class RestartPolicy(Enum):
    """When a container is started again."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@frozen
class Again:
    """Start it again after so many seconds, as this attempt."""

    delay: float
    attempt: int


def after_end(policy: RestartPolicy, *, code: int, attempt: int, ran: float | None) -> Again | None:
    """Say whether and when a container is started again that ended with this exit code; None: never.

    attempt: 0 for its first start. The first end is followed by a start at once, later ones after 10 s, doubling up to 300 s. One
    that ran for more than 10 min counts as the first again. ran: None where nobody knows how long it was.
    """
    if policy is RestartPolicy.NEVER or (policy is RestartPolicy.ON_FAILURE and code == 0):
        return None
    if attempt == 0 or (ran is not None and ran > _RESET):
        return Again(0.0, 1)
    return Again(min(_FIRST_DELAY * 2.0 ** min(attempt - 1, 10), LONGEST_DELAY), attempt + 1)

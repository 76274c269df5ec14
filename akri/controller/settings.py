"""What an operator may set for the controller, all in one value, checked once."""

from __future__ import annotations

from attrs import field, frozen

from akri.core.errors import InvalidValueError
from akri.scheduling.timing import Timing

__all__ = ["ControllerSettings"]


def _one_or_more(_instance: object, attribute: object, value: int) -> None:
    if value < 1:
        raise InvalidValueError(str(getattr(attribute, "name", "value")), value, "1 or more")


@frozen
class ControllerSettings:
    """Seconds, but for `parallel`.

    parallel: how many requests may be under way, so that a slow one holds up none of the others. patience: how long a part of a plan
    may take before the rest is planned anew. effect: how long the watches may take
    to show what a request did before it is sent again. status: how often statuses are written at most. audit: how often everything is
    looked at if nothing happens. report_silence: how long a lost node's report must be silent before it is removed.
    """

    timing: Timing = field(factory=Timing)
    parallel: int = field(default=16, validator=_one_or_more)
    patience: float = 1.0
    effect: float = 30.0
    status: float = 1.0
    audit: float = 60.0
    report_silence: float = 120.0

"""Capped exponential back-off from an attempt number: pure, so that a restart can carry on where it was (C1, E4)."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from akri.core.errors import InvalidValueError

__all__ = ["BROKER_BACK_OFF", "NETWORK_BACK_OFF", "BackOff"]

_MAXIMUM_DOUBLINGS: Final = 64


def _positive(_instance: object, attribute: object, value: float) -> None:
    if value <= 0:
        raise InvalidValueError(str(getattr(attribute, "name", "seconds")), value, "more than 0 seconds")


@frozen
class BackOff:
    """Wait `first` seconds after the first failure, twice as long after each further one, `most` seconds at most.

    jitter: the part of each wait that is left to chance, 0 to 1, so that many who failed together do not return together.
    """

    first: float = field(validator=_positive)
    most: float = field(validator=_positive)
    jitter: float = 0.0

    def seconds(self, attempt: int, random: float = 0.0) -> float:
        """Return how long to wait before trying again after `attempt` failures in a row; 0 after none.

        random: a number from 0 up to 1; it shortens the wait by up to `jitter`, so that `most` stays the longest.
        """
        if attempt <= 0:
            return 0.0
        doublings = min(attempt - 1, _MAXIMUM_DOUBLINGS)
        return min(self.most, self.first * 2.0**doublings) * (1.0 - self.jitter * random)


NETWORK_BACK_OFF: Final = BackOff(first=0.25, most=30.0, jitter=0.5)
"""For connections to handlers, kubelets and API servers."""
BROKER_BACK_OFF: Final = BackOff(first=10.0, most=300.0)
"""For brokers that fail; the kubelet's figures for containers."""

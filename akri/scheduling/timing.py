"""The times that scheduling goes by, all in one value, checked once."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from akri.core.errors import InvalidValueError
from akri.core.retry import BROKER_BACK_OFF, BackOff

__all__ = ["MINIMUM_NODE_GRACE", "Timing"]

MINIMUM_NODE_GRACE: Final = 300.0
"""Seconds that a node may be not ready at least before it counts as lost: freeing slots of a living node is the one great harm."""


def _node_grace(_instance: object, _attribute: object, value: float) -> None:
    if not value >= MINIMUM_NODE_GRACE:
        raise InvalidValueError("node_grace", value, f"{MINIMUM_NODE_GRACE:g} seconds or more")


@frozen
class Timing:
    """All in seconds.

    node_grace: how long a node may be not ready before it is lost. stranger_grace: how long a node that stands in an Instance
    may be missing in the list of nodes, for that list can be behind. reporter_grace: how long an Instance may be behind its
    Configuration before the controller writes it. healthy: a broker that ran this long starts over with the first delay.
    back_off: between a broker's failure and its successor.
    """

    node_grace: float = field(default=MINIMUM_NODE_GRACE, validator=_node_grace)
    stranger_grace: float = 10.0
    reporter_grace: float = 60.0
    healthy: float = 600.0
    back_off: BackOff = BROKER_BACK_OFF

"""On which nodes a device's brokers run: the one question that users answer differently, so it is a plug-in of one method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from attrs import field, frozen

from akri.core.ids import NodeName
from akri.core.instance import Instance

__all__ = ["FIRST_NODES", "PACK", "SPREAD", "FirstNodes", "Opening", "Pack", "Placement", "Spread"]


@frozen
class Opening:
    """Brokers that a device may still have.

    candidates: ready nodes that see the device and have no broker for it, in the order in which they joined; at least one.
    load: brokers on each node, those included that this plan has decided on so far; a node without any is not in it.
    count: how many more brokers the device may have, at least 1. Running brokers are never moved and not asked about.
    """

    instance: Instance
    candidates: tuple[NodeName, ...]
    load: Mapping[NodeName, int] = field(hash=False)
    count: int


class Placement(Protocol):
    """A placement policy. It must be a pure function of its argument: `plan` asks again at every change."""

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Choose candidates, best first; the first `count` of them get a broker. Fewer leave places empty: a policy may refuse nodes."""
        ...


@frozen
class FirstNodes:
    """The nodes that have seen the device for longest: upstream's policy."""

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Choose in the order of joining."""
        return opening.candidates


@frozen
class Spread:
    """The nodes with the fewest brokers, so that all nodes work alike."""

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Choose the least loaded; among equals in the order of joining."""
        return sorted(opening.candidates, key=lambda node: opening.load.get(node, 0))


@frozen
class Pack:
    """The nodes with the most brokers, so that other nodes stay empty."""

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Choose the most loaded; among equals in the order of joining."""
        return sorted(opening.candidates, key=lambda node: -opening.load.get(node, 0))


FIRST_NODES: Final = FirstNodes()
SPREAD: Final = Spread()
PACK: Final = Pack()

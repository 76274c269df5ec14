"""Orders for faults: what can go wrong with a kubelet, to be switched on by tests of whatever talks to it.

Everything is off unless ordered, and each order says how it ends.
"""

from __future__ import annotations

import asyncio

from attrs import define, field

__all__ = ["Faults"]


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@define(eq=False)
class Faults:
    """The faults of one device manager. Change the fields while it runs.

    registrations: while cleared, Register is not answered. refused_registrations: so many Registers fail.
    answers: while cleared, answers to Allocate have come in but are not stored, so that List does not show their devices.
    cut_allocate: seconds after which the next Allocate's connection is cut, whatever was answered by then; used once.
    unsynced: until set to false, List answers as right after a start: without pods. exhausted_lists: so many Lists are over the rate limit.
    disconnects_newer: the end of an older stream of a resource cuts the newer one too (kubernetes/kubernetes 121994, up to 1.36).
    """

    registrations: asyncio.Event = field(factory=_open_gate)
    refused_registrations: int = 0
    answers: asyncio.Event = field(factory=_open_gate)
    cut_allocate: float | None = None
    unsynced: bool = False
    exhausted_lists: int = 0
    disconnects_newer: bool = False

    def refuse_registration(self) -> bool:
        """Say whether this Register is to fail, and count it."""
        refused = self.refused_registrations > 0
        self.refused_registrations -= refused
        return refused

    def exhaust_list(self) -> bool:
        """Say whether this List is to be over the limit, and count it."""
        exhausted = self.exhausted_lists > 0
        self.exhausted_lists -= exhausted
        return exhausted

    def take_cut(self) -> float | None:
        """Answer after how many seconds this Allocate is to be cut, if at all, and forget the order."""
        after, self.cut_allocate = self.cut_allocate, None
        return after

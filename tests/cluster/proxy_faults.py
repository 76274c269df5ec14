"""What can go wrong between a client and its API server, and who says when: by order, or at random from a seed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, Literal, Protocol, TypeAlias

from attrs import define, field, frozen

__all__ = [
    "Answer",
    "AtRandom",
    "Call",
    "Chance",
    "CutWatch",
    "Delay",
    "DropAnswer",
    "DropRequest",
    "ExpireWatch",
    "Fault",
    "HoldWatch",
    "Late",
    "Orders",
    "RequestFault",
    "Schedule",
    "Verb",
    "WatchFault",
]

Verb: TypeAlias = Literal["get", "list", "watch", "create", "replace", "patch", "delete"]
"""What a request wants, as the API server calls it; a deletion of many is `delete` without a name."""
_VERBS: Final[Mapping[str, Verb]] = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}


@frozen
class Call:
    """What a request asks for. resource: plural, "" for what is no resource (`/version`); name: "" for all of them."""

    verb: Verb
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @classmethod
    def of(cls, method: str, path: str, query: Mapping[str, str]) -> Call:
        """Read a request as the API server does."""
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["api", _, *rest] | ["apis", _, _, *rest] if rest:
                pass
            case _:
                return cls(_VERBS.get(method, "get"))
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
            namespace, rest = rest[1], rest[2:]
        resource, name, subresource = [*rest, "", ""][:3]
        several: Verb = "watch" if query.get("watch", "0") not in {"0", "false"} else "list"
        return cls(_VERBS.get(method, "get" if name and several == "list" else several), resource, namespace, name, subresource)


@frozen
class Delay:
    """The request takes `before` seconds on its way there, the answer `after` seconds on its way back."""

    before: float = 0.0
    after: float = 0.0


@frozen
class DropRequest:
    """The request never arrives; after `silence` seconds the connection is cut."""

    silence: float = 0.0


@frozen
class DropAnswer:
    """The request takes effect, its answer never comes, or only the first half of it; after `silence` seconds the connection is cut."""

    silence: float = 0.0
    half: bool = False


@frozen
class Late:
    """The connection is cut after `silence` seconds, and the request arrives `seconds` after it was sent, when nobody waits any more."""

    seconds: float
    silence: float = 0.0


@frozen
class Answer:
    """Another answer than the server's: a Status of this code; retry_after: seconds; took_effect: the request is executed nevertheless."""

    status: int
    retry_after: int | None = None
    took_effect: bool = False


@frozen
class CutWatch:
    """A running watch loses its connection after so many more lines; in_line: in the middle of the line that would come next."""

    after: int = 0
    in_line: bool = False


@frozen
class HoldWatch:
    """A running watch falls silent after so many more lines, without an end: what is half-open. Its connection is cut `seconds` later."""

    after: int = 0
    seconds: float = inf


@frozen
class ExpireWatch:
    """A running watch delivers, after so many more lines, an ERROR event of code 410, and ends."""

    after: int = 0


RequestFault: TypeAlias = Delay | DropRequest | DropAnswer | Late | Answer
"""What can befall any request; of a watch, its opening."""
WatchFault: TypeAlias = CutWatch | HoldWatch | ExpireWatch
"""What can befall a running watch."""
Fault: TypeAlias = RequestFault | WatchFault
"""Something that goes wrong once."""


class Schedule(Protocol):
    """Says what goes wrong. Asked once for each request, in the order of their arrival."""

    def next(self, call: Call) -> Fault | None:
        """Return the fault that befalls this request, None to let it pass."""
        ...


@frozen
class _Wanted:
    """Which requests: those that have all of these, where they are given. A fault of watches befalls watches alone."""

    verb: Verb | None = None
    resource: str | None = None
    name: str | None = None

    def fits(self, call: Call, fault: Fault | None = None) -> bool:
        if isinstance(fault, WatchFault) and call.verb != "watch":
            return False
        wanted = ((self.verb, call.verb), (self.resource, call.resource), (self.name, call.name))
        return all(expected is None or expected == found for expected, found in wanted)


@define(eq=False)
class Orders:
    """Faults by order, each for the next request that it is meant for."""

    _orders: deque[tuple[_Wanted, Fault]] = field(factory=deque[tuple[_Wanted, Fault]])

    def add(self, fault: Fault, *, times: int = 1, verb: Verb | None = None, resource: str | None = None, name: str | None = None) -> None:
        """Order a fault for the next `times` requests of this verb, resource and name, each of them any if it is None."""
        self._orders.extend([(_Wanted(verb, resource, name), fault)] * times)

    def next(self, call: Call) -> Fault | None:
        """Take the oldest order that is meant for this request."""
        for order in self._orders:
            wanted, fault = order
            if wanted.fits(call, fault):
                self._orders.remove(order)
                return fault
        return None

    def clear(self) -> None:
        """Forget what was not met."""
        self._orders.clear()

    @property
    def open(self) -> int:
        """How many orders no request has met yet."""
        return len(self._orders)


@frozen
class Chance:
    """How probable a fault is for each request of a verb and a resource; `fault` may be made of random numbers each time."""

    probability: float
    fault: Fault | Callable[[random.Random], Fault]
    verb: Verb | None = None
    resource: str | None = None


@define(eq=False)
class AtRandom:
    """Faults at random. The same seed and the same order of requests give the same faults. `active` switches it off and on."""

    seed: int
    chances: Sequence[Chance]
    active: bool = True
    _random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def next(self, call: Call) -> Fault | None:
        """Draw once for each request; the probabilities of the chances that fit are added up."""
        drawn = self._random.random()
        if not self.active:
            return None
        for chance in self.chances:
            if not _Wanted(chance.verb, chance.resource).fits(call):
                continue
            drawn -= chance.probability
            if drawn < 0:
                fault = chance.fault(self._random) if callable(chance.fault) else chance.fault
                return fault if call.verb == "watch" or not isinstance(fault, WatchFault) else None
        return None

"""What one node knows of the devices of one Configuration, and for how much longer it keeps those that it does not see.

No answer is not absence (sharing.md, "Losing a device"): a handler that was never asked, or whose stream broke, says nothing
about its devices. So a Presence keeps, for each handler endpoint, what it last said and whether that still holds.
It changes by what the agent learns; times are the Clock's `now()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from akri.core.device import Device, Shared, Sighting, device_problems
from akri.core.errors import Problem, short
from akri.core.ids import DeviceId

__all__ = [
    "ABSENT",
    "EXPIRED",
    "GONE",
    "SILENT",
    "UNSEEN",
    "Answering",
    "Away",
    "Endpoint",
    "EndpointState",
    "Missing",
    "NotAsked",
    "Presence",
    "View",
]

ABSENT: Final = "missing from the last answer of its handler"
"""Reason: the handler answers, and the device is not among its devices."""
EXPIRED: Final = "not seen for longer than the grace"
"""Reason: a device that nobody vouched for until its grace was over."""
GONE: Final = "its handler says that it is gone"
"""Reason: the handler is certain that the device is gone."""
SILENT: Final = "its handler does not answer"
"""Reason: the stream of the handler that saw the device is lost."""
UNSEEN: Final = "not seen since the agent began to look for it"
"""Reason: an earlier run of the agent saw the device, this one not yet."""


@frozen
class NotAsked:
    """The endpoint is registered and has not answered yet."""


@frozen
class Answering:
    """The endpoint answered and its stream is open: its last answer holds up to now."""


@frozen
class Away:
    """The stream of the endpoint was lost at `since`; until then its last answer held."""

    since: float


EndpointState: TypeAlias = NotAsked | Answering | Away
"""Whether what an endpoint last said still holds."""


@frozen
class Missing:
    """A device that is not seen now; it is kept until `since` and the grace are over.

    since: when anybody last vouched for it. misses: how many answers in a row were without it. reason: one of the reasons above.
    """

    device: Device
    shared: bool
    since: float
    misses: int
    reason: str


_Devices: TypeAlias = Mapping[DeviceId, Device]
_Missings: TypeAlias = Mapping[DeviceId, Missing]
_EMPTY: Final[Mapping[DeviceId, Device]] = MappingProxyType({})
_NONE: Final[Mapping[DeviceId, Missing]] = MappingProxyType({})
_NEVER: Final[Mapping[DeviceId, str]] = MappingProxyType({})


@frozen
class Endpoint:
    """One registered handler: what it last answered (usable devices only), and what it showed before and keeps its grace."""

    address: str
    shared: bool
    state: EndpointState = NotAsked()
    devices: _Devices = field(default=_EMPTY, hash=False)
    missing: _Missings = field(default=_NONE, hash=False)
    problems: tuple[Problem, ...] = ()


@frozen
class View:
    """A Presence at one moment.

    shared: whether present devices are shared between nodes. present: what is seen. missing: what is not seen and kept.
    dropped: why devices that are not known any more were given up. complete: every endpoint's last answer holds.
    kept_until: until when a device is kept of which nothing but its Instance is known.
    """

    shared: bool
    present: _Devices
    missing: _Missings
    dropped: Mapping[DeviceId, str]
    complete: bool
    kept_until: float
    problems: tuple[Problem, ...]

    def verdict(self, device_id: DeviceId | None, *, shared: bool, now: float) -> str | None:
        """Say why an Instance is to be given up whose device is neither present nor missing; None: not yet."""
        if device_id is not None and device_id in self.dropped:
            return self.dropped[device_id]
        if self.complete and not shared:
            return ABSENT
        return EXPIRED if now >= self.kept_until else None


@frozen
class Presence:
    """What one node knows of the devices of one Configuration.

    started: when it began to look. endpoints: in the order of registration. remembered: devices that an earlier run of the
    agent saw, or an endpoint that is forgotten. dropped: devices given up before their grace was over, and why.
    """

    started: float
    endpoints: tuple[Endpoint, ...] = ()
    remembered: _Missings = field(default=_NONE, hash=False)
    dropped: Mapping[DeviceId, str] = field(default=_NEVER, hash=False)

    @classmethod
    def begin(cls, now: float, sightings: Iterable[Sighting] = ()) -> Presence:
        """Begin at `now`, with the devices that an earlier run of the agent saw; unusable ones are passed over."""
        usable = [sighting for sighting in sightings if not device_problems(sighting.device)]
        remembered = {one.device.id: Missing(one.device, isinstance(one.scope, Shared), now, 0, UNSEEN) for one in usable}
        return cls(now, remembered=remembered)

    @property
    def shared(self) -> bool:
        """Whether devices are shared between nodes: the first registered endpoint decides."""
        return self.endpoints[0].shared if self.endpoints else False

    @property
    def complete(self) -> bool:
        """Whether there is an endpoint and the last answer of every one holds."""
        return bool(self.endpoints) and all(isinstance(endpoint.state, Answering) for endpoint in self.endpoints)

    def endpoint(self, address: str) -> Endpoint | None:
        """Look an endpoint up."""
        return next((endpoint for endpoint in self.endpoints if endpoint.address == address), None)

    def registered(self, address: str, *, shared: bool) -> Presence:
        """Take in that a handler registered; one that registers again keeps its place and what it said."""
        if self.endpoint(address) is None:
            return evolve(self, endpoints=(*self.endpoints, Endpoint(address, shared)))
        return self._with(address, lambda endpoint: evolve(endpoint, shared=shared))

    def answered(
        self, address: str, devices: Iterable[Device], now: float, gone_ids: Iterable[DeviceId] = (), problems: Iterable[Problem] = ()
    ) -> Presence:
        """Take in an answer: the whole set that the endpoint sees, ids that are certainly gone, and what could not be read of it.

        An answer of an endpoint that is not registered (any more) changes nothing.
        """
        former = self.endpoint(address)
        if former is None:
            return self
        accepted, unusable = _usable(devices, former.devices)
        gone = frozenset(gone_ids) - accepted.keys()
        lost = former.devices.keys() - accepted.keys() - gone
        since = former.state.since if isinstance(former.state, Away) else now
        missing = _missed(former.missing, gone, accepted)
        if self.shared:
            missing.update({id_: Missing(former.devices[id_], shared=True, since=since, misses=1, reason=ABSENT) for id_ in lost})
        latest = Endpoint(address, former.shared, Answering(), accepted, missing, (*problems, *unusable))
        dropped = {**self.dropped, **dict.fromkeys(gone, GONE)}
        if not self.shared:
            dropped.update(dict.fromkeys(lost, ABSENT))
        later = evolve(
            self,
            endpoints=tuple(latest if one.address == address else _without(one, gone) for one in self.endpoints),
            remembered=_missed(self.remembered, gone, accepted),
            dropped={id_: reason for id_, reason in dropped.items() if id_ not in accepted},
        )
        return _resolved(later) if later.complete else later

    def lost(self, address: str, now: float) -> Presence:
        """Take in that the stream of an endpoint ended; an open stream vouched for its last answer up to now."""

        def away(endpoint: Endpoint) -> Endpoint:
            return evolve(endpoint, state=Away(now)) if isinstance(endpoint.state, Answering) else endpoint

        return self._with(address, away)

    def forgotten(self, address: str, now: float) -> Presence:
        """Take in that an endpoint is not asked any more; its devices are kept like those of one that is away."""
        former = self.lost(address, now).endpoint(address)
        if former is None:
            return self
        others = tuple(endpoint for endpoint in self.endpoints if endpoint.address != address)
        seen = {id_ for endpoint in others for id_ in endpoint.devices}
        kept = {id_: one for id_, one in _kept(former, shared=self.shared).items() if id_ not in seen}
        return evolve(self, endpoints=others, remembered=_latest((self.remembered, kept)))

    def pruned(self, now: float, grace: float) -> Presence:
        """Forget what no decision needs any more, so that ids that come once and never again take no memory.

        To be called after the `reconcile` that made use of it.
        """

        def current(missing: _Missings) -> _Missings:
            return {id_: one for id_, one in missing.items() if now < one.since + grace}

        return evolve(
            self,
            endpoints=tuple(evolve(endpoint, missing=current(endpoint.missing)) for endpoint in self.endpoints),
            remembered=current(self.remembered),
            dropped=self.dropped if now < self.started + grace else _NEVER,
        )

    def view(self, now: float, grace: float) -> View:
        """Merge the endpoints: the first registered wins where several of those that answer see one id."""
        present, disagreements = self._present()
        kept = _latest((self.remembered, *(_kept(endpoint, shared=self.shared) for endpoint in self.endpoints)))
        missing = {id_: one for id_, one in kept.items() if id_ not in present and now < one.since + grace}
        problems = (*(problem for endpoint in self.endpoints for problem in endpoint.problems), *disagreements)
        return View(self.shared, present, missing, self.dropped, self.complete, self.started + grace, problems)

    def _present(self) -> tuple[_Devices, list[Problem]]:
        answering = [endpoint for endpoint in self.endpoints if isinstance(endpoint.state, Answering)]
        if len(answering) == 1:
            return answering[0].devices, self._scope_problems()
        present: dict[DeviceId, Device] = {}
        problems = self._scope_problems()
        for endpoint in answering:
            for id_, device in endpoint.devices.items():
                if present.setdefault(id_, device) != device:
                    message = f"{endpoint.address} describes it in another way than a handler that registered before, which is used"
                    problems.append(Problem(f"device {short(id_)}", message))
        return present, problems

    def _scope_problems(self) -> list[Problem]:
        said = {True: "shared", False: "not shared"}
        return [
            Problem(
                f"handler {endpoint.address}",
                f"says that its devices are {said[endpoint.shared]}; "
                f"{self.endpoints[0].address} registered first with {said[self.shared]}, which is used",
            )
            for endpoint in self.endpoints
            if endpoint.shared != self.shared
        ]

    def _with(self, address: str, change: Callable[[Endpoint], Endpoint]) -> Presence:
        return evolve(self, endpoints=tuple(change(one) if one.address == address else one for one in self.endpoints))


def _resolved(presence: Presence) -> Presence:
    # All have answered: a device that is not shared and that nobody showed is gone, and stays gone if one goes away later.
    local = {id_: ABSENT for id_, one in presence.remembered.items() if not one.shared}
    remembered = {id_: one for id_, one in presence.remembered.items() if one.shared}
    return evolve(presence, remembered=remembered, dropped={**presence.dropped, **local})


def _usable(devices: Iterable[Device], known: _Devices) -> tuple[dict[DeviceId, Device], tuple[Problem, ...]]:
    # What was accepted before is recognised, which keeps large answers cheap. Nothing here depends on the order of the answer.
    accepted: dict[DeviceId, Device] = {}
    problems: set[Problem] = set()
    for given in devices:
        former = known.get(given.id)
        device = given if former is given else _checked(given, former, problems)
        if device is None:
            continue
        if device.id in accepted:
            problems.add(Problem(f"device {short(device.id)}", "the answer holds this id more than once; one of them is used"))
            device = min(accepted[device.id], device, key=_content)
        accepted[device.id] = device
    return accepted, tuple(sorted(problems, key=lambda problem: (problem.place, problem.message)))


def _checked(given: Device, former: Device | None, problems: set[Problem]) -> Device | None:
    if former == given:
        return former
    bad = [Problem(f"device {short(given.id)}.{problem.place}", problem.message) for problem in device_problems(given)]
    problems.update(bad)
    return None if bad else _in_order(given, former)


def _in_order(device: Device, known: Device | None) -> Device:
    ordered = evolve(device, mounts=tuple(sorted(device.mounts)), device_nodes=tuple(sorted(device.device_nodes)))
    return known if known is not None and known == ordered else ordered


def _content(device: Device) -> tuple[object, ...]:
    return (tuple(device.properties.items()), device.mounts, device.device_nodes)


def _missed(missing: _Missings, gone: frozenset[DeviceId], seen: _Devices) -> dict[DeviceId, Missing]:
    return {id_: evolve(one, misses=one.misses + 1, reason=ABSENT) for id_, one in missing.items() if id_ not in seen and id_ not in gone}


def _without(endpoint: Endpoint, gone: frozenset[DeviceId]) -> Endpoint:
    # What an endpoint that answers still shows is there; what it showed once, or shows no more, is not.
    if not gone:
        return endpoint
    devices = endpoint.devices
    if isinstance(endpoint.state, Away):
        devices = {id_: device for id_, device in devices.items() if id_ not in gone}
    missing = {id_: one for id_, one in endpoint.missing.items() if id_ not in gone}
    return evolve(endpoint, devices=devices, missing=missing)


def _kept(endpoint: Endpoint, *, shared: bool) -> _Missings:
    if not isinstance(endpoint.state, Away):
        return endpoint.missing
    since = endpoint.state.since
    return {**endpoint.missing, **{id_: Missing(device, shared, since, 0, SILENT) for id_, device in endpoint.devices.items()}}


def _latest(several: Iterable[_Missings]) -> dict[DeviceId, Missing]:
    latest: dict[DeviceId, Missing] = {}
    for missing in several:
        for id_, one in missing.items():
            known = latest.get(id_)
            if known is None or known.since < one.since:
                latest[id_] = one
    return latest

"""The discovery handlers that a node knows: those inside the agent, and those that registered, remembered over restarts (E3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from attrs import define, field, frozen

from akri.core.errors import NotPermittedError
from akri.core.ids import HandlerName
from akri.discovery.allowed import USUAL, Allowed, name_refusal
from akri.discovery.embedded import HandlerFactory
from akri.discovery.handler import Handler
from akri.discovery.remote import RemoteHandler
from akri.discovery.tls import TlsFiles
from akri.discovery.wire import Registration
from akri.ports import Clock

__all__ = ["EMBEDDED", "Handlers", "KeepRegistrations", "Source"]

EMBEDDED: Final = "embedded"
"""Endpoint of a handler that runs inside the agent."""
KeepRegistrations: TypeAlias = Callable[[tuple[Registration, ...]], None]
"""Stores registrations in place of the former ones, soon; must not block."""
_FORGET_AFTER: Final = 300.0
"""Seconds without an answer after which a registered handler is not asked any more; it registers again when it is back."""
_MOST: Final = 256
"""Handlers that can be registered at the same time: what is remembered is bounded, whoever registers."""
_LOG: Final = logging.getLogger(__name__)


@frozen
class Source:
    """A handler that can be asked: its endpoint, and how to make what asks it."""

    address: str
    make: HandlerFactory


def _nothing(*_: object) -> None:
    return


@define(eq=False)
class Handlers:
    """All handlers of a node, by name; of one name the embedded one first, then in the order of registration.

    embedded: those inside this process. registrations: those remembered from an earlier run. allowed: what the operator lets
    handlers do. tls: files to speak with handlers on the network. keep: stores registrations.
    on_change: told that there is something new to ask; with an address, that the handler there made itself known (again).
    """

    embedded: Mapping[HandlerName, HandlerFactory]
    clock: Clock
    registrations: Iterable[Registration] = ()
    allowed: Allowed = USUAL
    tls: TlsFiles | None = None
    keep: KeepRegistrations = field(default=_nothing)
    on_change: Callable[[str], None] = field(default=_nothing)
    _embedded: Mapping[HandlerName, Source] = field(init=False)
    _registered: dict[str, tuple[Registration, Source]] = field(init=False, factory=dict[str, tuple[Registration, Source]])
    _silent_since: dict[str, float] = field(init=False, factory=dict[str, float])
    _absent: dict[HandlerName, str] = field(init=False, factory=dict[HandlerName, str])

    def __attrs_post_init__(self) -> None:
        """Take up what is remembered, as far as it is still allowed."""
        self._embedded = {name: Source(EMBEDDED, factory) for name, factory in self.embedded.items()}
        for one in self.registrations:
            if name_refusal(one.name, self.allowed) is None:
                self._registered[one.endpoint] = one, self._source(one)

    def of(self, name: HandlerName) -> tuple[Source, ...]:
        """Give all handlers of a name."""
        embedded = [self._embedded[name]] if name in self._embedded else []
        return (*embedded, *(source for one, source in self._registered.values() if one.name == name))

    @property
    def names(self) -> tuple[HandlerName, ...]:
        """The names of all handlers, sorted."""
        return tuple(sorted({*self.embedded, *(one.name for one, _ in self._registered.values())}))

    def register(self, registration: Registration) -> None:
        """Take in that a handler made itself known. Raises NotPermittedError if the operator does not allow it."""
        refusal = name_refusal(registration.name, self.allowed)
        if refusal is not None:
            _LOG.warning("a handler was refused handler=%s endpoint=%s", registration.name, registration.endpoint)
            self._refuse(registration, refusal)
            raise NotPermittedError(refusal)
        if registration.endpoint not in self._registered and len(self._registered) >= _MOST:
            message = (
                f"discovery handler {registration.name} is refused: {_MOST} handlers are registered on this node, expected at most as many"
            )
            self._refuse(registration, message)
            raise NotPermittedError(message)
        self._silent_since.pop(registration.endpoint, None)
        known = self._registered.get(registration.endpoint)
        if known is None or known[0] != registration:
            _LOG.info("a handler registered handler=%s endpoint=%s", registration.name, registration.endpoint)
            self._registered[registration.endpoint] = registration, self._source(registration)
            self._absent.pop(registration.name, None)
            self._keep()
        self.on_change(registration.endpoint)

    def answered(self, address: str) -> None:
        """Take in that there is a handler: it answers, be it with an error."""
        self._silent_since.pop(address, None)

    def failed(self, address: str, error: str) -> None:
        """Take in that nobody is there who could answer. A handler that is away for too long is forgotten."""
        since = self._silent_since.setdefault(address, self.clock.now())
        if address not in self._registered or self.clock.now() - since < _FORGET_AFTER:
            return
        registration, _ = self._registered.pop(address)
        self._silent_since.pop(address)
        _LOG.warning("a handler is forgotten handler=%s endpoint=%s error=%s", registration.name, address, error)
        self._absent[registration.name] = (
            f"{address} did not answer for {_FORGET_AFTER:g} s and is asked again when it registers; last error: {error}"
        )
        self._keep()
        self.on_change(address)

    def missing(self, name: HandlerName) -> str:
        """Say why nobody can be asked for this name."""
        known = ", ".join(self.names) or "none"
        why = f"; {self._absent[name]}" if name in self._absent else ""
        return f"no discovery handler {name} is registered on this node; registered: {known}{why}"

    def _refuse(self, registration: Registration, why: str) -> None:
        """Keep why the handler of a name is not there, for the reports of who asks for it."""
        text = f"{registration.endpoint} was refused: {why}"
        if self._absent.get(registration.name) != text and (registration.name in self._absent or len(self._absent) < _MOST):
            self._absent[registration.name] = text
            self.on_change("")

    def _keep(self) -> None:
        self.keep(tuple(registration for registration, _ in self._registered.values()))

    def _source(self, registration: Registration) -> Source:
        def make(clock: Clock, poll_interval: float | None = None) -> Handler:
            del clock, poll_interval  # how often it looks is a remote handler's own business
            return RemoteHandler(registration, self.tls)

        return Source(registration.endpoint, make)

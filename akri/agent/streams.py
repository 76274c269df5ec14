"""One stream: a Configuration asks one handler, and what it answers goes into the Configuration's Presence.

A stream that ends or fails is opened again after a capped back-off, at once when the handler makes itself known again; details
that a handler refuses are asked again only when they change or the handler is a new one. A handler that floods is read more slowly,
which in the end holds it up. What it says in words is shown without secrets, without control characters, and not at any length.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from attrs import define, evolve, field

from akri.agent.handlers import Handlers, Source
from akri.clock import wait_for_either
from akri.core.configuration import Configuration
from akri.core.errors import AkriError, HandlerUnreachableError, InvalidDocumentError, NotPermittedError, Problem
from akri.core.ids import DeviceId, HandlerName, ObjectKey
from akri.core.presence import Presence
from akri.core.reports import HandlerReport, Reason
from akri.core.retry import NETWORK_BACK_OFF
from akri.discovery.allowed import restricted
from akri.discovery.handler import Handler
from akri.discovery.redaction import Redaction
from akri.discovery.snapshot import Snapshot, SourceReport
from akri.ports import Clock

__all__ = ["Stream", "StreamOwner"]

_logger = logging.getLogger(__name__)
_PATIENCE: Final = 10.0
"""Seconds without a first answer after which the report says so. It is no error: some handlers have nothing to say before they find
a device."""
_BURST: Final = 200.0
_RATE: Final = 100.0
"""Answers a second that are read of a handler that floods, after a burst; one of many devices counts for several."""
_COUNTS_ONCE: Final = 200
_LONGEST: Final = 1000


class StreamOwner(Protocol):
    """Who opened the stream, as far as it knows it."""

    clock: Clock
    handlers: Handlers
    presence: dict[ObjectKey, Presence]

    def changed(self, configuration: ObjectKey) -> None:
        """Take in that the Presence or a report of a Configuration changed."""
        ...


@define(eq=False)
class Stream:
    """The stream of one Configuration to one handler. properties: what the handler is sent; hide: takes secrets out of texts.

    certain: devices that a first answer lacks are gone, for the question changed, not the world. closed: another one took its
    place, or nobody asks any more. report: how it goes.
    """

    owner: StreamOwner
    configuration: Configuration
    source: Source
    properties: Mapping[str, bytes] = field(repr=False)
    hide: Redaction
    certain: bool = field(kw_only=True)
    closed: bool = False
    report: HandlerReport = field(init=False)
    _again: asyncio.Event = field(init=False, factory=asyncio.Event)
    _credit: float = field(init=False, default=_BURST)
    _credited_at: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        """Begin with a report that says that nobody was asked yet."""
        self.report = HandlerReport(self.name, self.address)

    @property
    def key(self) -> ObjectKey:
        """The Configuration."""
        return self.configuration.key

    @property
    def name(self) -> HandlerName:
        """The handler's name."""
        return self.configuration.discovery.handler

    @property
    def address(self) -> str:
        """The handler's endpoint."""
        return self.source.address

    def close(self) -> None:
        """Say nothing more from here on, however long it takes to end: what follows it has its place already."""
        self.lost()
        self.closed = True

    def ask_again(self) -> None:
        """Do not wait any longer, for the handler made itself known."""
        self._again.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        self._report(self.report)
        clock, failures = self.owner.clock, 0
        while True:
            opened = clock.now()
            self._again.clear()
            if await self._ask():
                # An answer alone is no sign of health: a stream that breaks after each one would be opened without end.
                failures = 1 if clock.now() - opened > NETWORK_BACK_OFF.most else failures + 1
                await wait_for_either(clock, NETWORK_BACK_OFF.seconds(failures, clock.random()), self._again)
            else:
                await self._again.wait()

    async def _ask(self) -> bool:
        """Follow one stream to its end; tell whether to ask again without being told to."""
        try:
            handler = self.source.make(self.owner.clock, self.configuration.poll_interval)
            self._change(lambda presence: presence.registered(self.address, shared=handler.shared))
            await self._follow(handler)
        except InvalidDocumentError as error:
            self._answered()
            self._failed(str(error), Reason.DETAILS_REFUSED)
            return False
        except HandlerUnreachableError as error:
            self._failed(str(error), Reason.HANDLER_SILENT)
            self._unreachable(str(error))
        except AkriError as error:
            self._answered()
            self._failed(str(error), Reason.NOT_PERMITTED if isinstance(error, NotPermittedError) else Reason.DISCOVERY_FAILED)
        except asyncio.CancelledError:
            if self.closed or _cancelling():
                raise
            self._failed(f"discovery handler {self.name} cancelled itself")
        except Exception as error:  # noqa: BLE001 - logged below
            # A handler is other people's code: whatever it raises is its report.
            _logger.error("discovery failed configuration=%s handler=%s\n%s", self.key, self.name, self.hide.trace(error))  # noqa: TRY400 - without secrets
            reason = Reason.NOT_PERMITTED if isinstance(error, PermissionError) else Reason.DISCOVERY_FAILED
            self._say(f"discovery handler {self.name} failed: {type(error).__name__}: {error}", reason)
        finally:
            self.lost()
        return True

    def _unreachable(self, error: str) -> None:
        if not self.closed:
            self.owner.handlers.failed(self.address, self._shown(error))

    def _answered(self) -> None:
        if not self.closed:
            self.owner.handlers.answered(self.address)

    async def _follow(self, handler: Handler) -> None:
        self._say("", None, asked_at=self.owner.clock.wall())
        snapshots = handler.discover(self.configuration.discovery.details, self.properties)
        reminder = asyncio.create_task(self._remind())
        try:
            async for snapshot in snapshots:
                reminder.cancel()
                self._take(restricted(snapshot, self.owner.handlers.allowed))
                await self._pace(len(snapshot.devices))
        finally:
            reminder.cancel()
            if isinstance(snapshots, AsyncGenerator):
                await snapshots.aclose()
        self._failed(f"discovery handler {self.name} ended its answers")

    async def _remind(self) -> None:
        await self.owner.clock.sleep(_PATIENCE)
        asked = datetime.fromtimestamp(self.report.asked_at, UTC).isoformat(timespec="seconds")
        self._report(evolve(self.report, message=f"no answer since it was asked at {asked}: it has nothing to say yet, or it hangs"))

    async def _pace(self, devices: int) -> None:
        now = self.owner.clock.now()
        self._credit = min(_BURST, self._credit + (now - self._credited_at) * _RATE) - 1.0 - devices / _COUNTS_ONCE
        self._credited_at = now
        if self._credit < 0:
            await self.owner.clock.sleep(-self._credit / _RATE)

    def _take(self, snapshot: Snapshot) -> None:
        if self.closed:
            return
        self._answered()
        gone: set[DeviceId] = set(snapshot.gone_ids)
        endpoint = self.owner.presence[self.key].endpoint(self.address)
        if self.certain and endpoint is not None:
            gone |= {*endpoint.devices, *endpoint.missing}
        now = self.owner.clock.now()
        problems = [Problem(problem.place, self._shown(problem.message)) for problem in snapshot.problems]
        self._change(lambda presence: presence.answered(self.address, snapshot.devices, now, gone, problems))
        self.certain = False
        report = snapshot.report or SourceReport(candidates=len(snapshot.devices))
        self._report(
            HandlerReport(
                name=self.name,
                endpoint=self.address,
                asked_at=self.report.asked_at,
                answered_at=self.owner.clock.wall(),
                devices=len(snapshot.devices),
                candidates=report.candidates,
                dropped={self._shown(reason): count for reason, count in report.dropped.items()},
                message=self._shown(report.message),
            )
        )

    def lost(self) -> None:
        """Take in that the last answer holds no longer than until now."""
        self._change(lambda presence: presence.lost(self.address, self.owner.clock.now()))

    def _change(self, change: Callable[[Presence], Presence]) -> None:
        if not self.closed:
            self.owner.presence[self.key] = change(self.owner.presence[self.key])
            self.owner.changed(self.key)

    def _failed(self, error: str, reason: Reason = Reason.DISCOVERY_FAILED) -> None:
        _logger.warning("no discovery configuration=%s handler=%s error=%s", self.key, self.name, self._shown(error))
        self._say(error, reason)

    def _say(self, error: str, reason: Reason | None, *, asked_at: float | None = None) -> None:
        asked_at = self.report.asked_at if asked_at is None else asked_at
        self._report(evolve(self.report, error=self._shown(error), reason=reason, asked_at=asked_at))

    def _shown(self, text: str) -> str:
        shown = "".join(one if one.isprintable() else " " for one in self.hide(text[: 16 * _LONGEST]))
        return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."

    def _report(self, report: HandlerReport) -> None:
        if not self.closed:
            self.report = report
            self.owner.changed(self.key)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

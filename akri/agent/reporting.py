"""Publishes this node's DiscoveryReports: on change, and without change once a minute as a sign of life.

That a handler answered once more is no change. What goes wrong with a Configuration is an event on it as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from attrs import define, evolve, field

from akri.agent.discovery import Discovery
from akri.agent.inventory import Inventory
from akri.agent.state import NodeState
from akri.agent.telling import tell
from akri.clock import wait_for_either, within
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.inventory_commands import NOTHING, Countdown
from akri.core.presence import UNSEEN
from akri.core.reports import DiscoveryReport, Event, KeptDevice, Reason
from akri.ports import Clock, NodePlatform

__all__ = ["Reporting", "kept_devices"]

_logger = logging.getLogger(__name__)
_SIGN_OF_LIFE: Final = 60.0
_TIMEOUT: Final = 10.0
_GATHER: Final = 0.1
"""Seconds in which changes are gathered into one report."""
_AT_ONCE: Final = 8
_BEGINNING: Final = 30.0
"""Seconds that handlers have to show again what an earlier run of the agent saw, before people are told of what they do not see."""
_TELL_EVERY: Final = 10.0
"""Seconds between two events about what is wrong with one Configuration; a report shows everything at any time."""
_SAME_TIME: Final = 1.0
"""Seconds by which the end of a grace may differ between two looks at the clock without being another one."""
_MOST: Final = 100
_LONGEST: Final = 1000


@define(eq=False)
class Reporting:
    """The agent's loop that tells how discovery goes."""

    state: NodeState
    platform: NodePlatform
    clock: Clock
    discovery: Discovery
    inventory: Inventory
    _changed: set[ObjectKey] = field(factory=set[ObjectKey])
    _published: dict[ObjectKey, DiscoveryReport] = field(factory=dict[ObjectKey, DiscoveryReport])
    _told: dict[ObjectKey, tuple[float, frozenset[str]]] = field(factory=dict[ObjectKey, tuple[float, frozenset[str]]])
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _busy: set[ObjectKey] = field(factory=set[ObjectKey])
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def wake(self, configuration: ObjectKey) -> None:
        """Look whether there is something new to say about a Configuration."""
        self._changed.add(configuration)
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled. A report that takes long holds up no other one."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                keys = (self._changed | self._overdue()) - self._busy
                self._changed -= keys
                for key in sorted(keys):
                    self._busy.add(key)
                    group.create_task(self._publish(key))
                await wait_for_either(self.clock, _SIGN_OF_LIFE / 4, self._wake)
                await self.clock.sleep(_GATHER)

    def _overdue(self) -> set[ObjectKey]:
        limit = self.clock.wall() - _SIGN_OF_LIFE
        known = self._published
        return {key for key in self.state.configurations if key not in known or known[key].written_at <= limit}

    async def _publish(self, key: ObjectKey) -> None:
        try:
            async with self._slots:
                await self._publish_news(key)
        except (AkriError, OSError) as error:
            _logger.warning("not published report=%s error=%s", key, error)
            self._changed.add(key)
        except Exception:
            _logger.exception("not published report=%s", key)
            self._changed.add(key)
        finally:
            self._busy.discard(key)
        if key in self._changed:
            self._wake.set()

    async def _publish_news(self, key: ObjectKey) -> None:
        report = self._report(key)
        if report is None:
            self._published.pop(key, None)
            self._told.pop(key, None)
            return
        before = self._published.get(key)
        fresh = before is not None and before.written_at > report.written_at - _SIGN_OF_LIFE
        if before is not None and fresh and _without_times(report) == _without_times(before):
            return
        await self._tell(key)
        await within(self.clock, _TIMEOUT, self.platform.publish_report(report), f"the report on Configuration {key}")
        self._published[key] = report

    async def _tell(self, key: ObjectKey) -> None:
        """Tell what is wrong now and was not when something was told last."""
        told_at, told = self._told.get(key, (-_TELL_EVERY, frozenset[str]()))
        present = self._troubles(key)
        new = [trouble for trouble in present if trouble not in told]
        now = self.clock.now()
        if new and now - told_at < _TELL_EVERY:
            return
        self._told[key] = (now if new else told_at), frozenset(present)
        if new:
            message = _shortened(f"node {self.state.node}: {'; '.join(new)}")
            await tell(self.platform, Event("Configuration", key, Reason.DISCOVERY_FAILED, message, warning=True))

    def _troubles(self, key: ObjectKey) -> dict[str, None]:
        # In the order in which they are told; a handler that is not there yet is a condition, for at a start it always is.
        failed = [f"handler {report.name}: {report.error}" for report in self.discovery.reports(key) if report.error and report.endpoint]
        return dict.fromkeys([*failed, *(str(problem) for problem in self.inventory.decided.get(key, NOTHING).problems)])

    def _report(self, key: ObjectKey) -> DiscoveryReport | None:
        configuration, handlers = self.state.configurations.get(key), self.discovery.reports(key)
        if configuration is None or not handlers:
            return None
        decision = self.inventory.decided.get(key, NOTHING)
        countdowns = self._missed(key, decision.countdowns)
        said = [str(problem) for problem in decision.problems]
        waiting = [f"Instance {waiting.key}: {waiting.reason}" for waiting in decision.waiting]
        kept = [
            f"device {countdown.device_id}: {countdown.reason} ({countdown.misses} answers without it); kept until its grace is over"
            for countdown in countdowns
        ]
        unreadable = [str(entry.problem) for _, table in sorted(self.state.tables(key).items()) for entry in table.unreadable]
        refused = [self.inventory.refused[key]] if key in self.inventory.refused else []
        metadata = configuration.metadata
        problems = _bounded([*refused, *said, *waiting, *kept, *unreadable])
        wall, now = self.clock.wall(), self.clock.now()
        before = self._published[key].kept if key in self._published else ()
        devices = kept_devices(countdowns, wall - now + self.inventory.decided_at.get(key, now), before)
        return DiscoveryReport(key, metadata.uid, self.state.node, metadata.generation, wall, handlers, problems, devices)

    def _missed(self, key: ObjectKey, countdowns: Sequence[Countdown]) -> Sequence[Countdown]:
        """Leave out what an earlier run saw, while this one has just begun to look."""
        presence = self.discovery.presence.get(key)
        if presence is None or self.clock.now() - presence.started >= _BEGINNING:
            return countdowns
        return [one for one in countdowns if one.reason != UNSEEN]


def kept_devices(countdowns: Iterable[Countdown], wall: float, before: Iterable[KeptDevice]) -> tuple[KeptDevice, ...]:
    """Say of the first devices that are not seen until when they are kept; `wall` is when they were counted, `before` what was said last.

    An end that was said before stays as it was said, so that a report does not change with each look at the clock.
    """
    said = {(device.device_id, device.instance): device.until for device in before}

    def kept(one: Countdown) -> KeptDevice:
        id_, instance = one.device_id or "", one.instance or ""
        due = wall + one.left
        known = said.get((id_, instance), due)
        return KeptDevice(id_, instance, known if abs(known - due) < _SAME_TIME else due, one.misses, one.reason)

    return tuple(kept(one) for one in islice(countdowns, _MOST))


def _without_times(report: DiscoveryReport) -> DiscoveryReport:
    """Keep of the times only whether a handler was asked, and has answered since."""
    handlers = [
        evolve(one, asked_at=float(one.asked_at > 0), answered_at=float(one.answered_at > 0) + float(one.answered_at >= one.asked_at))
        for one in report.handlers
    ]
    return evolve(report, written_at=0.0, handlers=tuple(handlers))


def _bounded(problems: Sequence[str]) -> tuple[str, ...]:
    """A report has to fit into an object, and to be read: the first ones, and how many there are beside them."""
    shown = [_shortened(problem) for problem in problems[:_MOST]]
    return (*shown, f"and {len(problems) - _MOST} more") if len(problems) > _MOST else tuple(shown)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."

"""Publishes this node's DiscoveryReports: on change, and without change once a minute as a sign of life."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from attrs import define, evolve, field

from akri.agent.discovery import Discovery
from akri.agent.inventory import Inventory
from akri.agent.state import NodeState
from akri.clock import wait_for_either, within
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.core.inventory_commands import NOTHING
from akri.core.reports import DiscoveryReport
from akri.ports import Clock, NodePlatform

__all__ = ["Reporting"]

_logger = logging.getLogger(__name__)
_SIGN_OF_LIFE: Final = 60.0
_TIMEOUT: Final = 10.0
_GATHER: Final = 0.1
"""Seconds in which changes are gathered into one report."""
_AT_ONCE: Final = 8


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
            return
        before = self._published.get(key)
        fresh = before is not None and before.written_at > report.written_at - _SIGN_OF_LIFE
        if before is not None and fresh and evolve(report, written_at=before.written_at) == before:
            return
        await within(self.clock, _TIMEOUT, self.platform.publish_report(report), f"the report on Configuration {key}")
        self._published[key] = report

    def _report(self, key: ObjectKey) -> DiscoveryReport | None:
        configuration, handlers = self.state.configurations.get(key), self.discovery.reports(key)
        if configuration is None or not handlers:
            return None
        decision = self.inventory.decided.get(key, NOTHING)
        said = [str(problem) for problem in decision.problems]
        waiting = [f"Instance {waiting.key}: {waiting.reason}" for waiting in decision.waiting]
        kept = [
            f"device {countdown.device_id}: {countdown.reason} ({countdown.misses} answers without it); kept until its grace is over"
            for countdown in decision.countdowns
        ]
        unreadable = [str(entry.problem) for _, table in sorted(self.state.tables(key).items()) for entry in table.unreadable]
        refused = [self.inventory.refused[key]] if key in self.inventory.refused else []
        metadata = configuration.metadata
        problems = (*refused, *said, *waiting, *kept, *unreadable)
        return DiscoveryReport(key, metadata.uid, self.state.node, metadata.generation, self.clock.wall(), handlers, problems)

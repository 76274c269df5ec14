"""Writes what the controller has to say: statuses of Configurations, at most one a second each; and removes reports of lost nodes."""

from __future__ import annotations

import asyncio
import logging

from akri.controller.reports import outdated
from akri.controller.settings import ControllerSettings
from akri.controller.status import since, statuses
from akri.controller.world import World
from akri.core.ids import ObjectKey
from akri.core.naming import NameRefusal
from akri.core.reports import ConfigurationStatus, Event
from akri.ports import Clock, ClusterPlatform

__all__ = ["Reporting"]

_logger = logging.getLogger(__name__)


class Reporting:
    """Says what is new and keeps what was said, so that nothing is written twice."""

    def __init__(self, platform: ClusterPlatform, clock: Clock, settings: ControllerSettings) -> None:
        """Take where to write, the time, and how often to write."""
        self._platform = platform
        self._clock = clock
        self._settings = settings
        self._world: World | None = None
        self._refusals: tuple[NameRefusal, ...] = ()
        self._written: dict[tuple[ObjectKey, str], ConfigurationStatus] = {}
        self._new = asyncio.Event()

    def show(self, world: World, refusals: tuple[NameRefusal, ...]) -> None:
        """Tell what there is to report about: everything that was observed, and the names that are taken."""
        self._world, self._refusals = world, refusals
        self._new.set()

    async def emit(self, event: Event) -> None:
        """Tell people what happened; a failure of it is logged and stops nothing."""
        try:
            await self._platform.emit(event)
        except Exception:
            _logger.exception("event failed: reason=%s", event.reason.value)

    async def run(self) -> None:
        """Write what is new until cancelled."""
        while True:
            await self._new.wait()
            self._new.clear()
            if self._world is not None:
                await self._report(self._world)
            await self._clock.sleep(self._settings.status)

    async def _report(self, world: World) -> None:
        snapshot, reports = world.snapshot, tuple(world.reports.mirror.objects.values())
        current: dict[tuple[ObjectKey, str], ConfigurationStatus] = {}
        for key, status in statuses(snapshot, reports, self._refusals).items():
            about = (key, snapshot.configurations[key].metadata.uid)
            former = self._written.get(about)
            dated = since(status, former, self._clock.wall())
            if former is not None and (dated == former or not await self._write(about, dated)):
                dated = former
            elif former is None and not await self._write(about, dated):
                continue
            current[about] = dated
        self._written = current
        for report in outdated(reports, snapshot, self._clock.wall(), self._settings.timing, self._settings.report_silence):
            try:
                await self._platform.delete_report(report)
            except Exception:
                _logger.exception("report of a lost node not deleted: node=%s", report.node)

    async def _write(self, about: tuple[ObjectKey, str], status: ConfigurationStatus) -> bool:
        key, uid = about
        try:
            await self._platform.set_status(key, uid, status)
        except Exception:
            _logger.exception("status not written: configuration=%s", key)
            self._new.set()
            return False
        return True

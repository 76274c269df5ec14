"""Reports: on change, as a sign of life, whatever becomes of the one before."""

from __future__ import annotations

import pytest

from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.core.reports import DiscoveryReport
from akri.platforms.local.memory import MemoryStore
from akri.testing.clock import VirtualClock
from akri.testing.faults import FaultyNodePlatform, Orders, Slow
from tests.unit.agent.world import NODE, agent_world, configuration, device, key


async def test_a_report_is_written_on_change_and_once_a_minute_without_one() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(5)
        written = it.platform.counts["report"]
        assert written <= 4
        await it.clock.advance(50)
        assert it.platform.counts["report"] == written
        await it.clock.advance(250)
        assert written + 3 <= it.platform.counts["report"] <= written + 5
        it.source.show(device("foo0"), device("foo1"))
        await it.clock.advance(1)
        (report,) = it.store.reports
        assert report.handlers[0].devices == 2


async def test_devices_that_are_kept_and_edits_are_told_at_once() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(5)
        it.source.show()
        await it.clock.advance(1)
        assert "device foo0: missing from the last answer of its handler (1 answers without it)" in it.problems()
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        assert it.store.reports[0].generation == 2


async def test_a_report_of_a_configuration_that_is_gone_is_forgotten() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        assert it.store.reports == ()
        await it.store.apply(configuration())
        await it.clock.advance(1)
        assert len(it.store.reports) == 1


async def test_a_report_that_takes_long_holds_up_no_other() -> None:
    async with agent_world(device("foo0")) as it:
        it.orders.add("report", Slow(before=9.0))
        await it.store.apply(configuration())
        await it.clock.advance(0.01)
        await it.store.apply(configuration("other"))
        await it.clock.advance(1)
        assert [report.configuration.name for report in it.store.reports] == ["other"]
        await it.clock.advance(20)
        assert len(it.store.reports) == 2


class _Failing(FaultyNodePlatform):
    """A node whose first reports raise."""

    errors: tuple[Exception, ...] = (OSError("one"), OutcomeUnknownError("two"), NotPermittedError("three"), RuntimeError("four"))

    async def publish_report(self, report: DiscoveryReport) -> None:
        if self.errors:
            error, self.errors = self.errors[0], self.errors[1:]
            raise error
        await super().publish_report(report)


async def test_a_report_that_fails_in_any_way_is_logged_and_written_later(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    platform = _Failing(store.node(NODE), Orders(), clock)
    async with agent_world(device("foo0"), store=store, clock=clock, platform=platform):
        await store.apply(configuration())
        await clock.advance(60)
        assert len(store.reports) == 1
        assert caplog.text.count("not published report=default/cam") == 4

"""Reports: on change, as a sign of life, whatever becomes of the one before."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.agent.reporting import kept_devices
from akri.core.device import Device
from akri.core.errors import DiscoveryError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import DeviceId
from akri.core.inventory_commands import Countdown
from akri.core.reports import DiscoveryReport, Reason
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


async def test_a_device_that_is_kept_is_reported_with_the_end_of_its_grace() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration(grace="200"))
        await it.clock.advance(5)
        it.source.show()
        await it.clock.advance(1)
        (kept,) = it.store.reports[0].kept
        assert (kept.device_id, kept.instance, kept.misses) == ("foo0", it.store.instances[0].name, 1)
        assert kept.why == "missing from the last answer of its handler"
        assert kept.until - it.clock.wall() == pytest.approx(199, abs=0.2)
        await it.clock.advance(100)
        assert it.store.reports[0].kept == (kept,)
        await it.clock.advance(110)
        assert not it.store.reports[0].kept


def test_the_end_of_a_grace_stays_as_it_was_said_while_it_is_the_same() -> None:
    one = Countdown(DeviceId("foo0"), None, 10.0, 1, "away")
    (kept,) = kept_devices([one], 1000.0, ())
    assert (kept.instance, kept.until) == ("", 1010.0)
    assert kept_devices([evolve(one, left=9.5)], 1000.4, [kept]) == (kept,)
    assert kept_devices([evolve(one, left=9.5)], 1002.0, [kept]) == (evolve(kept, until=1011.5),)
    assert len(kept_devices([one] * 300, 1000.0, ())) == 100


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


async def test_what_goes_wrong_is_told_once_on_the_configuration_and_again_when_it_comes_back() -> None:
    async with agent_world() as it:
        it.source.fail(DiscoveryError("the bus is gone"))
        await it.store.apply(configuration())
        await it.clock.advance(200)
        (event,) = it.told(Reason.DISCOVERY_FAILED)
        assert (event.kind, event.about, event.warning) == ("Configuration", key("cam"), True)
        assert event.message == "node node-a: handler scripted: the bus is gone"
        it.source.show()
        await it.clock.advance(60)
        it.source.fail(DiscoveryError("the bus is gone again"))
        await it.clock.advance(60)
        assert len(it.told(Reason.DISCOVERY_FAILED)) == 2


async def test_errors_that_change_all_the_time_are_told_now_and_then() -> None:
    async with agent_world() as it:
        await it.store.apply(configuration())
        for number in range(300):
            it.source.show(Device(DeviceId(f"odd\n{number}")))
            await it.clock.advance(0.2)
        assert 3 <= len(it.told(Reason.DISCOVERY_FAILED)) <= 8


async def test_a_report_has_room_for_a_hundred_problems_and_says_how_many_there_are_beside() -> None:
    async with agent_world() as it:
        it.source.show(*(Device(DeviceId(f"odd\n{number}"), {"A=": "x" * 100}) for number in range(300)))
        await it.store.apply(configuration())
        await it.clock.advance(1)
        problems = it.store.reports[0].problems
        assert len(problems) == 101
        assert problems[-1] == "and 500 more"


async def test_one_more_answer_is_no_news() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(2)
        written = it.store.reports[0].written_at
        for _ in range(20):
            it.source.show(device("foo0"))
            await it.clock.advance(1)
        assert it.store.reports[0].written_at == written
        await it.clock.advance(60)
        assert it.store.reports[0].handlers[0].answered_at > written

"""The loop over a platform that loses answers, is slow, refuses, cuts watches or has bugs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve, frozen

from akri.controller.settings import ControllerSettings
from akri.core.errors import InvalidValueError, OutcomeUnknownError
from akri.core.ids import HandlerName, NodeName
from akri.core.reports import DiscoveryReport, HandlerReport, Reason
from akri.ports import ClusterPlatform, Outcome, Refusal, Refused
from akri.scheduling.model import Action, CreatePod, Phase
from akri.scheduling.placement import SPREAD, Opening
from akri.testing.clock import VirtualClock
from akri.testing.faults import Conflict, LostAfter, LostBefore, Orders, Slow
from tests.unit.controller.world import Recording, World, configuration, key, recording, world

POD = "a-cam-aaaaaa-pod"


async def one_device(w: World, *nodes: str) -> None:
    """Let there be one device with room for one broker."""
    await w.store.apply(configuration(capacity=1))
    await w.instance("cam-aaaaaa", *(nodes or ("a",)))
    await w.clock.settle()


def creations(seen: list[Recording]) -> list[str]:
    """Name the pods that were asked for."""
    return [action.key.name for action in seen[0].actions if isinstance(action, CreatePod)]


async def test_nothing_is_asked_twice_while_its_effect_is_not_seen() -> None:
    seen: list[Recording] = []
    async with world(recording(seen, ("execute", Slow(5.0)))) as w:
        await one_device(w)
        await w.instance("cam-bbbbbb", "b")
        await w.clock.advance(4.0)
        assert creations(seen) == [POD, "b-cam-bbbbbb-pod"]
        assert list(w.pods()) == ["b-cam-bbbbbb-pod"]
        await w.clock.advance(2.0)
        assert sorted(w.pods()) == [POD, "b-cam-bbbbbb-pod"]
        assert len(seen[0].actions) == 2


async def test_a_choice_is_kept_while_its_pod_is_on_its_way() -> None:
    seen: list[Recording] = []
    async with world(recording(seen, ("execute", Slow(5.0))), SPREAD) as w:
        await one_device(w, "a", "b")
        for name in ("cam-bbbbbb", "cam-cccccc", "cam-dddddd"):
            await w.instance(name, "a", "b")
            await w.clock.settle()
        await w.clock.advance(10.0)
        assert sorted(creations(seen)) == [POD, "a-cam-cccccc-pod", "b-cam-bbbbbb-pod", "b-cam-dddddd-pod"]


@pytest.mark.parametrize(("fault", "requests"), [(LostBefore(), 2), (LostAfter(), 1), (Conflict(), 2)])
async def test_a_request_that_fails_is_sent_again_if_it_had_no_effect(fault: LostBefore | LostAfter | Conflict, requests: int) -> None:
    seen: list[Recording] = []
    async with world(recording(seen, ("execute", fault))) as w:
        await one_device(w)
        await w.clock.advance(30.0)
        assert list(w.pods()) == [POD]
        assert len(creations(seen)) == requests


@pytest.mark.parametrize("error", [OutcomeUnknownError("no answer"), OSError("gone"), KeyError("bug")])
async def test_a_request_that_raises_is_sent_again(error: Exception) -> None:
    seen: list[Recording] = []
    async with world(recording(seen)) as w:
        seen[0].raising.append(error)
        await one_device(w)
        await w.clock.advance(1.0)
        assert list(w.pods()) == [POD]
        assert len(creations(seen)) == 2


class Refusing(Recording):
    """Refuses every creation for good."""

    async def execute(self, action: Action) -> Outcome:
        """Note and refuse."""
        self.actions.append(action)
        return Refused(Refusal.FORBIDDEN, "no rights")


async def test_a_refusal_is_told_and_tried_again_ever_more_seldom() -> None:
    seen: list[Recording] = []

    def wrap(platform: ClusterPlatform, clock: VirtualClock) -> ClusterPlatform:
        seen.append(Refusing(platform, clock, Orders()))
        return seen[0]

    async with world(wrap) as w:
        await one_device(w)
        await w.clock.advance(300.0)
        assert 10 <= len(creations(seen)) <= 40
        told = {event.message for event in w.store.events}
        assert told == {f"not done, the platform refused it: broker pod default/{POD} is created for node a: no rights"}


async def test_a_slow_request_holds_up_no_other() -> None:
    seen: list[Recording] = []
    async with world(recording(seen, ("execute", Slow(1000.0)))) as w:
        await w.store.apply(configuration(capacity=1))
        for number in range(50):
            await w.instance(f"cam-{number:06d}", "a")
        await w.clock.settle()
        assert len(w.pods()) == 49


async def test_a_cut_watch_is_opened_again_and_touches_nothing() -> None:
    seen: list[Recording] = []
    async with world(recording(seen)) as w:
        await one_device(w)
        await w.play()
        before = w.pod(POD)
        seen[0].cut_watches()
        await w.clock.advance(40.0)
        assert w.pod(POD).metadata.uid == before.metadata.uid
        assert len(seen[0].actions) == 1
        await w.instance("cam-bbbbbb", "b")
        await w.clock.advance(1.0)
        assert "b-cam-bbbbbb-pod" in w.pods()


@frozen(eq=False)
class Broken:
    """A policy with a bug that shows once."""

    bugs: list[str]

    def choose(self, opening: Opening) -> Sequence[NodeName]:
        """Fail once."""
        if self.bugs:
            raise ZeroDivisionError(self.bugs.pop())
        return opening.candidates


async def test_a_policy_with_a_bug_ends_nothing() -> None:
    async with world(placement=Broken(["bug"])) as w:
        await one_device(w)
        assert w.pods() == {}
        await w.clock.advance(2.0)
        assert list(w.pods()) == [POD]


async def test_a_pod_that_is_never_shown_is_asked_for_again() -> None:
    seen: list[Recording] = []
    async with world(recording(seen), settings=ControllerSettings(effect=5.0)) as w:
        await one_device(w)
        await w.store.delete_pod(key(POD), force=True)
        await w.clock.advance(20.0)
        assert list(w.pods()) == [POD]


async def test_nodes_that_went_while_the_controller_was_down_are_cleaned_when_it_starts() -> None:
    async with world(nodes="b") as w:
        await w.store.apply(configuration(capacity=1))
        await w.instance("cam-aaaaaa", "a", "b")
        await w.clock.advance(9.0)
        assert [instance.nodes for instance in w.store.instances] == [("a", "b")]
        await w.clock.advance(2.0)
        assert [instance.nodes for instance in w.store.instances] == [("b",)]
        assert [event.reason for event in w.store.events if event.warning] == [Reason.NODE_LOST]


async def test_reports_of_lost_nodes_are_deleted() -> None:
    async with world() as w:
        stored = await w.store.apply(configuration())
        for name in ("a", "x"):
            report = DiscoveryReport(
                key("cam"), stored.metadata.uid, NodeName(name), 1, w.clock.wall(), (HandlerReport(HandlerName("h"), "e"),)
            )
            await w.store.node(NodeName(name)).publish_report(report)
        await w.clock.advance(100.0)
        assert len(w.store.reports) == 2
        await w.clock.advance(200.0)
        assert [report.node for report in w.store.reports] == ["a"]


async def test_a_status_is_written_when_it_changes_and_not_otherwise() -> None:
    seen: list[Recording] = []
    async with world(recording(seen, ("status", LostBefore()))) as w:
        await one_device(w)
        await w.clock.advance(5.0)
        first = w.store.status(key("cam"))
        assert first is not None
        written = len(seen[0].statuses)
        await w.clock.advance(200.0)
        assert len(seen[0].statuses) == written
        await w.play()
        await w.clock.advance(5.0)
        second = w.store.status(key("cam"))
        assert second is not None
        assert (second.brokers, second.brokers_ready) == (1, 1)
        ready = second.conditions[-1]
        assert (ready.type, ready.status) == ("BrokersReady", True)
        assert ready.since > first.conditions[-1].since
        assert second.conditions[0].since == first.conditions[0].since


async def test_a_failed_broker_shows_in_the_status() -> None:
    async with world() as w:
        await one_device(w)
        await w.play()
        await w.store.change_pod(w.pod(POD), lambda pod: evolve(pod, phase=Phase.FAILED, finished=w.clock.wall()))
        await w.clock.advance(2.0)
        status = w.store.status(key("cam"))
        assert status is not None
        assert status.conditions[-1].reason is Reason.BROKER_BACK_OFF
        assert status.conditions[-1].message == "0 of 1 brokers run, 1 ended and wait to be started again"


@pytest.mark.parametrize("parallel", [0, -1])
def test_at_least_one_request_at_a_time(parallel: int) -> None:
    with pytest.raises(InvalidValueError, match="parallel"):
        ControllerSettings(parallel=parallel)

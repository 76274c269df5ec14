"""What was asked and cannot be seen yet."""

from __future__ import annotations

from akri.controller.expectations import Expectations, Kind, Target, target
from akri.core.ids import NodeName
from akri.core.metadata import OwnerReference
from akri.core.reports import Reason
from akri.scheduling.model import Action, CreatePod, CreateService, DeleteJob, DeletePod, DeleteService, DropFinalizers
from tests.unit.controller.world import key

DELETE = DeletePod(key("p"), "1", Reason.BROKER_REMOVED, "gone")
CREATE = CreatePod(key("p"), key("i"), NodeName("a"), OwnerReference("v0", "Instance", "i", "1"), {}, {}, {})
JOB = DeleteJob(key("p"), "1", Reason.BROKER_REMOVED, "gone")
SERVICE = DeleteService(key("p"), "1")


def nothing(_action: Action) -> bool:
    """See nothing."""
    return False


def everything(_action: Action) -> bool:
    """See everything."""
    return True


def test_each_action_has_the_target_that_it_writes() -> None:
    made = CreateService(key("p"), key("i"), CREATE.owner, {}, {}, {})
    assert target(DELETE) == target(CREATE) == Target(Kind.POD, key("p"))
    assert target(JOB) == Target(Kind.JOB, key("p"))
    assert target(SERVICE) == target(made) == Target(Kind.SERVICE, key("p"))
    assert target(DropFinalizers("Instance", key("p"), ("a",))) == Target(Kind.INSTANCE, key("p"))
    assert target(DropFinalizers("Configuration", key("p"), ("a",))) == Target(Kind.CONFIGURATION, key("p"))


def test_one_action_on_a_target_at_a_time() -> None:
    assert Expectations().sendable([DELETE, CREATE, JOB]) == (DELETE, JOB)
    sent = Expectations().sent(DELETE)
    assert sent.sendable([CREATE, JOB]) == (JOB,)
    assert sent.next_due is None


def test_what_is_under_way_is_waited_for_without_end() -> None:
    sent = Expectations().sent(DELETE)
    assert sent.settle(everything, 1e9) == (sent, ())


def test_what_was_done_is_forgotten_when_it_is_seen() -> None:
    done = Expectations().sent(DELETE).done(DELETE, 30.0)
    assert done.next_due == 30.0
    assert done.settle(nothing, 29.0) == (done, ())
    assert done.settle(everything, 1.0) == (Expectations(), ())
    assert done.settle(nothing, 30.0) == (Expectations(), (DELETE,))
    assert done.settle(everything, 30.0) == (Expectations(), ())


def test_failures_are_counted_until_the_effect_is_seen() -> None:
    failed = Expectations().sent(DELETE).failed(DELETE, 1.0)
    assert dict(failed.failures) == {target(DELETE): 1}
    again, due = failed.settle(nothing, 1.0)
    assert due == (DELETE,)
    twice = again.sent(DELETE).failed(DELETE, 3.0)
    assert dict(twice.failures) == {target(DELETE): 2}
    assert twice.settle(everything, 2.0) == (Expectations(), ())


def test_failures_of_what_nobody_wants_are_forgotten() -> None:
    failed, _ = Expectations().sent(DELETE).failed(DELETE, 1.0).settle(nothing, 1.0)
    assert failed.keep_failures([CREATE]) == failed
    assert failed.keep_failures([JOB]) == Expectations()
    waiting = Expectations().failed(DELETE, 1.0)
    assert waiting.keep_failures([]) == waiting
    assert Expectations().keep_failures([]) == Expectations()


def test_the_next_due_is_the_earliest() -> None:
    assert Expectations().next_due is None
    assert Expectations().done(DELETE, 5.0).failed(JOB, 3.0).sent(SERVICE).next_due == 3.0

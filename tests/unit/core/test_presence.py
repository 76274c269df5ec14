"""What a node knows of a Configuration's devices: no answer is not absence, and every countdown ends exactly at its grace."""

from __future__ import annotations

from akri.core.device import Local, Shared, Sighting
from akri.core.ids import DeviceId, NodeName
from akri.core.presence import ABSENT, GONE, SILENT, UNSEEN, Answering, Away, Endpoint, Missing, NotAsked, Presence
from tests.unit.core.presence_samples import CAMERAS, GRACE, ONE, TWO, A, B, device, looking, remembering


def test_an_endpoint_that_was_not_asked_yet_has_seen_nothing_and_is_not_complete() -> None:
    presence = looking()
    assert presence.endpoints == (Endpoint(A, shared=True, state=NotAsked()),)
    assert not presence.complete
    assert not presence.view(100, GRACE).complete


def test_asked_and_saw_nothing_is_complete() -> None:
    presence = looking().answered(A, [], 101)
    assert presence.complete
    assert presence.view(101, GRACE).complete
    assert presence.view(101, GRACE).present == {}
    assert presence.endpoint(A) == Endpoint(A, shared=True, state=Answering())


def test_without_any_endpoint_nothing_is_complete_and_nothing_is_called_shared() -> None:
    presence = Presence.begin(5)
    assert not presence.complete
    assert not presence.shared
    assert presence.endpoint(A) is None
    assert presence.view(5, GRACE).kept_until == 305


def test_what_an_answer_holds_is_present_for_as_long_as_its_stream_is_open() -> None:
    view = looking().answered(A, [ONE, TWO], 101).view(10_000, GRACE)
    assert view.present == {"one": ONE, "two": TWO}
    assert view.missing == {}
    assert view.shared
    assert view.kept_until == 400
    assert view.problems == ()


def test_registering_again_keeps_place_and_answer_and_takes_the_new_scope() -> None:
    presence = looking(addresses=(A, B)).answered(A, [ONE], 101).registered(A, shared=False)
    assert [one.address for one in presence.endpoints] == [A, B]
    assert presence.endpoint(A) == Endpoint(A, shared=False, state=Answering(), devices={DeviceId("one"): ONE})
    assert presence.endpoint(B) == Endpoint(B, shared=True)


def test_devices_of_a_lost_stream_are_kept_for_the_grace_counted_from_its_loss() -> None:
    presence = looking(shared=False).answered(A, [ONE], 101).lost(A, 200)
    assert presence.endpoint(A) == Endpoint(A, shared=False, state=Away(200), devices={DeviceId("one"): ONE})
    view = presence.view(499.9, GRACE)
    assert view.present == {}
    assert view.missing == {"one": Missing(ONE, shared=False, since=200, misses=0, reason=SILENT)}
    assert presence.view(500, GRACE).missing == {}


def test_a_second_loss_does_not_start_the_countdown_again() -> None:
    presence = looking().answered(A, [ONE], 101).lost(A, 200)
    assert presence.lost(A, 300) == presence


def test_losing_a_stream_that_never_answered_changes_nothing() -> None:
    presence = looking()
    assert presence.lost(A, 200) == presence


def test_a_handler_that_comes_back_and_shows_the_device_ends_the_countdown() -> None:
    presence = looking().answered(A, [ONE], 101).lost(A, 200).answered(A, [ONE], 300)
    assert presence.endpoint(A) == Endpoint(A, shared=True, state=Answering(), devices={DeviceId("one"): ONE})
    assert presence.view(9_999, GRACE).missing == {}


# Absent from a fresh answer


def test_a_shared_device_that_is_missing_from_an_answer_stays_for_the_grace() -> None:
    presence = looking().answered(A, [ONE, TWO], 101).answered(A, [TWO], 200)
    view = presence.view(200, GRACE)
    assert view.present == {"two": TWO}
    assert view.missing == {"one": Missing(ONE, shared=True, since=200, misses=1, reason=ABSENT)}
    assert view.dropped == {}
    assert presence.view(499.99, GRACE).missing.keys() == {"one"}
    assert presence.view(500, GRACE).missing == {}


def test_misses_are_counted_and_do_not_prolong_the_grace() -> None:
    presence = looking().answered(A, [ONE], 101)
    for now in (200.0, 210.0, 220.0):
        presence = presence.answered(A, [], now)
    assert presence.view(220, GRACE).missing == {"one": Missing(ONE, shared=True, since=200, misses=3, reason=ABSENT)}


def test_a_device_that_comes_back_starts_over() -> None:
    presence = looking().answered(A, [ONE], 101).answered(A, [], 200).answered(A, [ONE], 210).answered(A, [], 220)
    assert presence.view(220, GRACE).missing == {"one": Missing(ONE, shared=True, since=220, misses=1, reason=ABSENT)}


def test_the_countdown_of_a_lost_stream_goes_on_in_the_answer_that_lacks_the_device() -> None:
    presence = looking().answered(A, [ONE], 101).lost(A, 200).answered(A, [], 250)
    assert presence.view(250, GRACE).missing == {"one": Missing(ONE, shared=True, since=200, misses=1, reason=ABSENT)}


def test_a_local_device_that_is_missing_from_an_answer_goes_at_once() -> None:
    view = looking(shared=False).answered(A, [ONE, TWO], 101).answered(A, [TWO], 200).view(200, GRACE)
    assert view.present == {"two": TWO}
    assert view.missing == {}
    assert view.dropped == {"one": ABSENT}
    assert not view.shared


def test_a_shared_device_that_is_certainly_gone_goes_at_once() -> None:
    view = looking().answered(A, [ONE, TWO], 101).answered(A, [TWO], 200, [DeviceId("one")]).view(200, GRACE)
    assert view.missing == {}
    assert view.dropped == {"one": GONE}


def test_a_local_device_that_is_certainly_gone_says_so() -> None:
    presence = looking(shared=False).answered(A, [ONE], 101).answered(A, [], 200, [DeviceId("one")])
    assert presence.dropped == {"one": GONE}


def test_a_device_that_was_missing_can_turn_out_to_be_gone() -> None:
    presence = looking().answered(A, [ONE, TWO], 101).answered(A, [], 200).answered(A, [], 210, iter([DeviceId("one")]))
    assert presence.view(210, GRACE).missing.keys() == {"two"}
    assert presence.dropped == {"one": GONE}


def test_what_an_answer_shows_is_there_whatever_it_calls_gone() -> None:
    presence = looking().answered(A, [ONE], 101, [DeviceId("one")])
    assert presence.view(101, GRACE).present == {"one": ONE}
    assert presence.dropped == {}


def test_a_device_that_was_gone_and_comes_back_is_not_gone() -> None:
    presence = looking().answered(A, [ONE], 101).answered(A, [], 102, [DeviceId("one")]).answered(A, [ONE], 103)
    assert presence.dropped == {}
    assert presence.view(103, GRACE).present == {"one": ONE}


def test_an_answer_of_an_endpoint_that_is_not_registered_changes_nothing() -> None:
    presence = looking()
    assert presence.answered(B, [ONE], 101) is presence


# After a start of the agent


def test_remembered_devices_are_kept_for_the_grace_counted_from_the_start() -> None:
    presence = remembering(ONE, shared=False).registered(A, shared=False)
    assert presence.view(399.9, GRACE).missing == {"one": Missing(ONE, shared=False, since=100, misses=0, reason=UNSEEN)}
    assert presence.view(400, GRACE).missing == {}


def test_remembered_devices_that_cannot_be_used_are_passed_over() -> None:
    assert remembering(device("one", **{"A=B": ""}), TWO, shared=True).remembered.keys() == {"two"}


def test_a_remembered_shared_device_outlives_answers_without_it() -> None:
    presence = remembering(ONE, shared=True).registered(A, shared=True).answered(A, [], 110).answered(A, [TWO], 120)
    assert presence.view(120, GRACE).missing == {"one": Missing(ONE, shared=True, since=100, misses=2, reason=ABSENT)}
    assert presence.dropped == {}


def test_a_remembered_device_that_is_seen_again_is_present() -> None:
    presence = remembering(ONE, shared=True).registered(A, shared=True).answered(A, [ONE], 110)
    assert presence.remembered == {}
    assert presence.view(110, GRACE).present == {"one": ONE}


def test_a_remembered_device_that_is_certainly_gone_goes_at_once() -> None:
    presence = remembering(ONE, shared=True).registered(A, shared=True).answered(A, [], 110, [DeviceId("one")])
    assert presence.remembered == {}
    assert presence.dropped == {"one": GONE}


def test_a_remembered_local_device_goes_when_all_endpoints_have_answered_without_it() -> None:
    presence = remembering(ONE, shared=False).registered(A, shared=False).registered(B, shared=False).answered(A, [TWO], 110)
    assert presence.view(110, GRACE).missing.keys() == {"one"}
    presence = presence.answered(B, [], 120)
    assert presence.view(120, GRACE).missing == {}
    assert presence.dropped == {"one": ABSENT}
    assert presence.lost(B, 130).view(130, GRACE).missing == {}


def test_resolving_keeps_remembered_shared_devices_and_earlier_reasons() -> None:
    sightings = [Sighting(ONE, CAMERAS, Local(NodeName("node-a"))), Sighting(TWO, CAMERAS, Shared())]
    presence = Presence.begin(100, sightings).registered(A, shared=False).answered(A, [], 110, [DeviceId("three")])
    assert presence.dropped == {"three": GONE, "one": ABSENT}
    assert presence.remembered == {"two": Missing(TWO, shared=True, since=100, misses=1, reason=ABSENT)}

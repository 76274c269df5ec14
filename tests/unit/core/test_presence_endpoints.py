"""Several handlers under one name, and what of their answers is not used."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import Problem
from akri.core.ids import DeviceId
from akri.core.presence import ABSENT, EXPIRED, GONE, SILENT, Answering, Endpoint, Missing, Presence
from tests.unit.core.presence_samples import GRACE, ONE, TWO, A, B, device, looking, remembering


def test_devices_of_several_endpoints_are_merged() -> None:
    view = looking(addresses=(A, B)).answered(A, [ONE], 101).answered(B, [TWO, ONE], 102).view(102, GRACE)
    assert view.present == {"one": ONE, "two": TWO}
    assert view.problems == ()


def test_of_two_contents_of_one_id_the_first_registered_wins_and_the_other_is_reported() -> None:
    other = device("one", X="2")
    for order in ((A, ONE), (B, other)), ((B, other), (A, ONE)):
        presence = looking(addresses=(A, B))
        for address, shown in order:
            presence = presence.answered(address, [shown], 101)
        view = presence.view(101, GRACE)
        assert view.present == {"one": ONE}
        assert view.problems == (
            Problem("device 'one'", f"{B} describes it in another way than a handler that registered before, which is used"),
        )


def test_handlers_that_disagree_on_shared_are_reported_and_the_first_registered_decides() -> None:
    presence = Presence.begin(0).registered(A, shared=True).registered(B, shared=False).answered(B, [ONE], 1).answered(B, [], 2)
    view = presence.view(2, GRACE)
    assert view.shared
    assert view.missing.keys() == {"one"}
    message = f"says that its devices are not shared; {A} registered first with shared, which is used"
    assert view.problems == (Problem(f"handler {B}", message),)


def test_both_kinds_of_disagreement_are_reported_together() -> None:
    presence = Presence.begin(0).registered(A, shared=False).registered(B, shared=True)
    presence = presence.answered(A, [ONE], 1).answered(B, [device("one")], 1)
    assert [problem.place for problem in presence.view(1, GRACE).problems] == [f"handler {B}", "device 'one'"]
    assert "are shared; unix:/a.sock registered first with not shared" in presence.view(1, GRACE).problems[0].message


def test_a_device_that_one_endpoint_misses_and_another_shows_is_present() -> None:
    presence = looking(addresses=(A, B)).answered(A, [ONE], 101).answered(B, [ONE], 101).answered(A, [], 102)
    view = presence.view(102, GRACE)
    assert view.present == {"one": ONE}
    assert view.missing == {}


def test_a_local_device_of_an_endpoint_that_is_away_is_not_dropped_by_the_answer_of_another() -> None:
    presence = looking(shared=False, addresses=(A, B)).answered(A, [ONE], 101).answered(B, [], 101).lost(A, 102).answered(B, [TWO], 103)
    view = presence.view(103, GRACE)
    assert view.missing == {"one": Missing(ONE, shared=False, since=102, misses=0, reason=SILENT)}
    assert not view.complete


def test_of_two_countdowns_for_one_device_the_later_counts() -> None:
    presence = looking(addresses=(A, B)).answered(A, [ONE], 101).answered(B, [ONE], 101)
    for first, second in (A, B), (B, A):
        view = presence.lost(first, 110).lost(second, 120).view(120, GRACE)
        assert view.missing == {"one": Missing(ONE, shared=True, since=120, misses=0, reason=SILENT)}


def test_of_two_equal_countdowns_the_first_registered_describes_the_device() -> None:
    presence = looking(addresses=(A, B)).answered(A, [ONE], 101).answered(B, [device("one")], 101).lost(A, 110).lost(B, 110)
    assert presence.view(110, GRACE).missing[DeviceId("one")].device == ONE


def test_gone_ids_of_one_endpoint_reach_those_that_are_away_and_not_those_that_answer() -> None:
    three = device("three")
    presence = looking(addresses=(A, B)).answered(B, [ONE, TWO, three], 101).answered(B, [ONE, TWO], 102)
    answering = presence.answered(A, [], 103, [DeviceId("one"), DeviceId("three")])
    assert answering.view(103, GRACE).present.keys() == {"one", "two"}
    assert answering.view(103, GRACE).missing == {}
    away = presence.lost(B, 103).answered(A, [], 104, [DeviceId("one")])
    assert away.view(104, GRACE).present == {}
    assert away.view(104, GRACE).missing.keys() == {"two", "three"}
    assert away.endpoint(A) == Endpoint(A, shared=True, state=Answering())


def test_an_answer_without_gone_ids_leaves_other_endpoints_alone() -> None:
    presence = looking(addresses=(A, B)).answered(B, [ONE], 101)
    assert presence.answered(A, [], 103).endpoints[1] is presence.endpoints[1]


# Forgetting


def test_devices_of_a_forgotten_endpoint_are_kept_like_those_of_one_that_is_away() -> None:
    presence = looking(shared=False, addresses=(A, B)).answered(A, [ONE], 101).answered(B, [], 101).forgotten(A, 200)
    assert [one.address for one in presence.endpoints] == [B]
    assert presence.remembered == {"one": Missing(ONE, shared=False, since=200, misses=0, reason=SILENT)}
    assert presence.view(200, GRACE).missing.keys() == {"one"}


def test_forgetting_one_that_was_away_counts_from_its_loss_and_keeps_what_it_missed() -> None:
    presence = looking().answered(A, [ONE, TWO], 101).answered(A, [ONE], 150).lost(A, 160).forgotten(A, 200)
    assert presence.remembered == {
        "two": Missing(TWO, shared=True, since=150, misses=1, reason=ABSENT),
        "one": Missing(ONE, shared=True, since=160, misses=0, reason=SILENT),
    }
    assert presence.endpoints == ()


def test_what_another_endpoint_shows_is_not_remembered_for_a_forgotten_one() -> None:
    presence = looking(addresses=(A, B)).answered(A, [ONE, TWO], 101).answered(B, [TWO], 101).forgotten(A, 200)
    assert presence.remembered.keys() == {"one"}


def test_forgetting_adds_to_what_is_remembered() -> None:
    presence = remembering(TWO, shared=True).registered(A, shared=True).answered(A, [ONE], 101).forgotten(A, 200)
    assert {id_: one.since for id_, one in presence.remembered.items()} == {"two": 100, "one": 200}


def test_forgetting_an_endpoint_that_is_not_registered_changes_nothing() -> None:
    presence = looking()
    assert presence.forgotten(B, 200) is presence


def test_pruning_forgets_exactly_what_has_expired() -> None:
    presence = remembering(device("old"), shared=True).registered(A, shared=True)
    presence = presence.answered(A, [ONE, TWO], 101).answered(A, [ONE], 150, [DeviceId("gone")])
    early = presence.pruned(399.9, GRACE)
    assert early == presence
    at_400 = presence.pruned(400, GRACE)
    assert at_400.remembered == {}
    assert at_400.dropped == {}
    assert at_400.endpoint(A) == presence.endpoint(A)
    at_450 = presence.pruned(450, GRACE).endpoint(A)
    assert at_450 == Endpoint(A, shared=True, state=Answering(), devices={DeviceId("one"): ONE})


# Verdicts on Instances whose device is not known


def test_the_reason_of_a_dropped_device_is_given() -> None:
    view = looking().answered(A, [ONE], 101).answered(A, [], 102, [DeviceId("one")]).view(102, GRACE)
    assert view.verdict(DeviceId("one"), shared=True, now=102) == GONE


def test_an_unknown_local_device_is_given_up_once_all_have_answered() -> None:
    presence = looking(shared=False)
    assert presence.view(101, GRACE).verdict(DeviceId("one"), shared=False, now=101) is None
    answered = presence.answered(A, [], 102).view(102, GRACE)
    assert answered.verdict(DeviceId("one"), shared=False, now=102) == ABSENT
    assert answered.verdict(None, shared=False, now=102) == ABSENT


def test_an_unknown_shared_device_is_given_up_at_the_end_of_the_grace() -> None:
    view = looking().answered(A, [], 102).view(102, GRACE)
    assert view.verdict(DeviceId("one"), shared=True, now=399.9) is None
    assert view.verdict(DeviceId("one"), shared=True, now=400) == EXPIRED
    assert view.verdict(None, shared=True, now=400) == EXPIRED


# Nonsense in an answer (D1)


def test_bad_devices_are_dropped_one_by_one_and_named() -> None:
    bad_name, bad_value, empty = device("bad", **{"A=B": "x"}), device("nul", A="x\0"), device("")
    endpoint = looking().answered(A, [empty, ONE, bad_name, bad_value, TWO], 101).endpoint(A)
    assert endpoint is not None
    assert endpoint.devices == {"one": ONE, "two": TWO}
    assert endpoint.problems == (
        Problem("device ''.id", "'' is not valid: expected 1 to 4096 characters without control characters"),
        Problem("device 'bad'.properties.A=B", "'A=B' is not valid: expected a name that is not empty and has no '='"),
        Problem("device 'nul'.properties.A", "'x\\x00' is not valid: expected a text without NUL and without halves of surrogate pairs"),
    )


def test_problems_of_an_answer_are_in_the_view_until_the_next_answer() -> None:
    presence = looking(addresses=(A, B)).answered(A, [device("")], 101).answered(B, [device("")], 101)
    assert len(presence.view(101, GRACE).problems) == 2
    assert len(presence.answered(A, [], 102).view(102, GRACE).problems) == 1


def test_a_device_that_turns_bad_counts_as_missing() -> None:
    presence = looking().answered(A, [ONE], 101).answered(A, [device("one", X="\0")], 102)
    assert presence.view(102, GRACE).missing.keys() == {"one"}


def test_of_equal_ids_in_one_answer_one_is_used_whatever_their_order_and_it_is_reported() -> None:
    other = device("one", X="2")
    for answer in [ONE, other], [other, ONE], [other, ONE, other]:
        endpoint = looking().answered(A, answer, 101).endpoint(A)
        assert endpoint is not None
        assert endpoint.devices == {"one": ONE}
        assert endpoint.problems == (Problem("device 'one'", "the answer holds this id more than once; one of them is used"),)


def test_equal_ids_are_told_apart_by_mounts_and_device_nodes_too() -> None:
    by_mount = [Device(DeviceId("m"), mounts=(Mount("/m", f"/{n}"),)) for n in "ab"]
    by_node = [Device(DeviceId("n"), device_nodes=(DeviceNode("/dev/n", f"/dev/{n}"),)) for n in "ab"]
    endpoint = looking().answered(A, [*reversed(by_mount), *reversed(by_node)], 101).endpoint(A)
    assert endpoint is not None
    assert endpoint.devices == {"m": by_mount[0], "n": by_node[0]}


# Order never counts as a change (D4)

MOUNTS = (Mount("/a", "/x"), Mount("/b", "/y"))
NODES = (DeviceNode("/dev/a", "/dev/x"), DeviceNode("/dev/b", "/dev/y"))


def test_the_order_of_mounts_and_device_nodes_is_not_content() -> None:
    first = Device(DeviceId("one"), mounts=MOUNTS, device_nodes=NODES)
    second = evolve(first, mounts=MOUNTS[::-1], device_nodes=NODES[::-1])
    for once, again in (first, second), (second, first):
        presence = looking().answered(A, [once], 101)
        assert presence.view(101, GRACE).present == {"one": first}
        later = presence.answered(A, [again], 102)
        assert later == presence
        assert later.view(102, GRACE).present[DeviceId("one")] is presence.view(101, GRACE).present[DeviceId("one")]


def test_a_changed_device_is_taken_in_its_new_form() -> None:
    moved = Device(DeviceId("one"), {"X": "2"}, MOUNTS[::-1], NODES[::-1])
    presence = looking().answered(A, [ONE], 101).answered(A, [moved], 102)
    assert presence.view(102, GRACE).present == {"one": Device(DeviceId("one"), {"X": "2"}, MOUNTS, NODES)}


DEVICES = st.builds(
    Device,
    id=st.sampled_from(["", "a", "b", "c"]).map(DeviceId),
    properties=st.dictionaries(st.sampled_from(["P", "Q", "="]), st.sampled_from(["1", "\0"]), max_size=2),
    mounts=st.lists(st.sampled_from([*MOUNTS, Mount("relative", "/z")]), max_size=2).map(tuple),
    device_nodes=st.lists(st.sampled_from(NODES), max_size=2).map(tuple),
)


@given(st.lists(st.lists(DEVICES, max_size=6), min_size=1, max_size=3), st.data())
def test_d4_the_order_of_an_answer_never_matters(answers: list[list[Device]], data: st.DataObject) -> None:
    straight = shuffled = looking(addresses=(A, B))
    for turn, answer in enumerate(answers):
        straight = straight.answered(A, answer, 101.0 + turn)
        shuffled = shuffled.answered(A, data.draw(st.permutations(answer)), 101.0 + turn)
    assert shuffled == straight
    assert shuffled.view(200, GRACE) == straight.view(200, GRACE)


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 2e6))
def test_e8_no_device_is_given_up_before_its_grace_and_every_one_at_it(lost_at: float, grace: float, now: float) -> None:
    presence = looking(now=0).answered(A, [ONE], lost_at).lost(A, lost_at)
    assert ("one" in presence.view(now, grace).missing) == (now < lost_at + grace)
    assert ("one" in presence.pruned(now, grace).view(now, grace).missing) == (now < lost_at + grace)

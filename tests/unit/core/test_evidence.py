from __future__ import annotations

import pytest

from akri.core.evidence import (
    ABSENCE,
    ABSENCE_WITHOUT_PODS,
    LISTS_APART,
    UNSEEN_GRACE,
    Evidence,
    Holder,
    Listing,
    PodObservation,
    Use,
    Verdict,
)
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName

CAM, MIC = ResourceName("akri.sh/cam"), ResourceName("akri.sh/mic")
X, Y = PluginDeviceId("cam-0"), PluginDeviceId("cam-1")
ID, OTHER = (CAM, X), (CAM, Y)
UNKNOWN = frozenset({""})
POD, POD_2 = ObjectKey("default", "pod"), ObjectKey("default", "pod-2")


def pod(uid: str = "u1", *, key: ObjectKey = POD, ended: bool = False, asks: int = 1, resource: ResourceName = CAM) -> PodObservation:
    return PodObservation(key, uid, ended, {resource: asks})


def listing(at: float, users: dict[PluginDeviceId, ObjectKey] | None = None, *pods: ObjectKey, resource: ResourceName = CAM) -> Listing:
    return Listing(at, {resource: users} if users else {}, frozenset(pods))


def used(*, ends: bool = False) -> Evidence:
    """X was answered at 10, shown for POD at 11; then the pod ended, or did not."""
    evidence = (
        Evidence(started=0.0).reset_pods([pod()]).pods_current(10.5).list(listing(9.0)).answered([ID], 10.0).list(listing(11.0, {X: POD}))
    )
    return evidence.put_pod(pod(ended=True)) if ends else evidence


def absent(evidence: Evidence, *times: float) -> Evidence:
    for at in times:
        evidence = evidence.list(listing(at))
    return evidence


def test_the_figures_of_the_protocol() -> None:
    assert (LISTS_APART, ABSENCE, UNSEEN_GRACE, ABSENCE_WITHOUT_PODS) == (0.25, 10.0, 30.0, 60.0)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_an_end_or_a_long_absence_releases(verdict: Verdict) -> None:
    assert verdict.release == (verdict in {Verdict.ENDED, Verdict.ABSENT})


def test_the_words_for_people() -> None:
    assert {verdict.name: verdict.value for verdict in Verdict} == {
        "ALLOCATING": "an Allocate for it is under way",
        "STARTING": "not every pod of this node was listed since the last start",
        "IN_USE": "a pod uses it",
        "NOT_ABSENT_TWICE": "it was not absent from two Lists that are far enough apart",
        "NOT_PROVEN": "nothing proves the end of its pod, and it is not absent for long enough",
        "PODS_NOT_CURRENT": "the pod watch has not caught up since its last Allocate, so an unknown pod may use it",
        "PERHAPS_UNLISTED": "a pod asks for more devices than the List shows for it",
        "ENDED": "its pod has ended",
        "ABSENT": "it is absent for long enough",
    }


class TestTwoLists:
    """Rule a."""

    def test_listed_is_in_use(self) -> None:
        assert used().judge(ID) is Verdict.IN_USE

    def test_never_listed_is_not_absent_yet(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).answered([ID], 10.0).list(listing(10.0))
        assert evidence.judge(ID) is Verdict.NOT_ABSENT_TWICE

    def test_one_list_is_not_enough(self) -> None:
        assert absent(used(ends=True), 12.0).judge(ID) is Verdict.NOT_ABSENT_TWICE

    @pytest.mark.parametrize(("second", "verdict"), [(12.25, Verdict.ENDED), (12.2499, Verdict.NOT_ABSENT_TWICE)])
    def test_two_lists_must_be_250_ms_apart(self, second: float, verdict: Verdict) -> None:
        assert absent(used(ends=True), 12.0, second).judge(ID) is verdict

    def test_the_first_and_the_last_of_the_row_count(self) -> None:
        assert absent(used(ends=True), 12.0, 12.1, 12.2, 12.3).judge(ID) is Verdict.ENDED

    def test_a_list_that_shows_it_begins_the_row_anew(self) -> None:
        evidence = absent(absent(used(ends=True), 12.0).list(listing(12.2, {X: POD})), 12.3)
        assert evidence.judge(ID) is Verdict.NOT_ABSENT_TWICE
        assert absent(evidence, 12.5).judge(ID) is Verdict.NOT_ABSENT_TWICE
        assert absent(evidence, 12.55).judge(ID) is Verdict.ENDED

    def test_only_lists_sent_after_the_answer_count(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).list(listing(9.0)).answered([ID], 10.0)
        assert evidence.list(listing(10.0)).uses[ID] == Use(10.0)
        assert evidence.list(listing(10.01)).uses[ID] == Use(10.0, None, 10.01, 10.01)

    def test_a_list_that_was_overtaken_counts_for_nothing(self) -> None:
        evidence = used()
        assert evidence.list(listing(11.0)) is evidence
        assert evidence.list(listing(10.9)) is evidence
        assert evidence.list(listing(11.1)) is not evidence

    def test_an_id_under_another_resource_is_another_id(self) -> None:
        evidence = used().list(listing(12.0, {X: POD}, resource=MIC))
        assert evidence.uses[ID].absent_from == 12.0


class TestUse:
    def test_absence_is_the_time_between_the_first_and_the_last_list(self) -> None:
        assert Use(0.0).absent is None
        assert Use(0.0, None, 3.0, None).absent is None
        assert Use(0.0, None, None, 4.0).absent is None
        assert Use(0.0, None, 3.0, 3.0).absent == 0.0
        assert Use(0.0, None, 3.0, 7.5).absent == 4.5

    def test_nothing_is_taken_in_while_an_allocate_is_under_way(self) -> None:
        assert Use(None).listed(5.0, None) == Use(None)
        assert Use(None).listed(5.0, Holder(POD, "u1")) == Use(None)

    def test_being_listed_ends_the_absence(self) -> None:
        assert Use(1.0, None, 2.0, 3.0).listed(4.0, Holder(POD, "u1")) == Use(1.0, Holder(POD, "u1"))

    def test_absence_keeps_the_holder(self) -> None:
        assert Use(1.0, Holder(POD, "u1")).listed(4.0, None) == Use(1.0, Holder(POD, "u1"), 4.0, 4.0)
        assert Use(1.0, Holder(POD, "u1"), 4.0, 4.0).listed(5.0, None) == Use(1.0, Holder(POD, "u1"), 4.0, 5.0)


class TestAllocate:
    def test_nothing_is_released_while_it_is_under_way(self) -> None:
        evidence = absent(used(ends=True), 12.0, 13.0).allocating([ID])
        assert evidence.judge(ID) is Verdict.ALLOCATING
        assert absent(evidence, 14.0, 25.0).judge(ID) is Verdict.ALLOCATING
        assert list(evidence.releasable()) == []

    def test_an_id_that_is_not_followed_is_not_judged(self) -> None:
        assert Evidence(started=0.0).judge(ID) is Verdict.ALLOCATING

    def test_its_answer_forgets_the_holder_and_the_absence(self) -> None:
        evidence = absent(used(ends=True), 12.0, 13.0).answered([ID], 13.5)
        assert evidence.uses[ID] == Use(13.5)
        assert absent(evidence, 14.0, 15.0).judge(ID) is Verdict.NOT_PROVEN

    def test_other_ids_go_on(self) -> None:
        evidence = used().allocating([OTHER])
        assert evidence.uses == {ID: Use(10.0, Holder(POD, "u1")), OTHER: Use(None)}
        assert evidence.answered([OTHER], 12.0).uses == {ID: Use(10.0, Holder(POD, "u1")), OTHER: Use(12.0)}


class TestFollowing:
    def test_new_ids_count_from_now_known_ones_stay_and_others_go(self) -> None:
        evidence = used().hold([ID, OTHER], 12.0)
        assert evidence.uses == {ID: Use(10.0, Holder(POD, "u1")), OTHER: Use(12.0, former=UNKNOWN, lingers=52.0)}
        assert evidence.hold([OTHER], 13.0).uses == {OTHER: Use(12.0, former=UNKNOWN, lingers=52.0)}

    def test_an_allocate_under_way_is_not_forgotten(self) -> None:
        assert used().allocating([OTHER]).hold([], 12.0).uses == {OTHER: Use(None)}
        assert used().allocating([ID]).hold([ID], 12.0).uses == {ID: Use(None, former=frozenset({"u1"}))}

    def test_releasable_are_exactly_those_judged_so(self) -> None:
        evidence = absent(used(ends=True).hold([ID, OTHER], 11.5), 12.0, 12.5)
        assert list(evidence.releasable()) == [ID]
        assert list(absent(used().drop_pod(POD, "u1"), 12.0, 22.0).releasable()) == [ID]

    def test_listed_ids_are_those_of_the_last_list(self) -> None:
        evidence = Evidence(started=0.0)
        assert evidence.listed_ids(CAM) == frozenset()
        evidence = evidence.list(Listing(1.0, {CAM: {X: POD, Y: POD}, MIC: {PluginDeviceId("m"): POD}}))
        assert evidence.listed_ids(CAM) == {X, Y}
        assert evidence.listed_ids(MIC) == {PluginDeviceId("m")}
        assert evidence.list(listing(2.0)).listed_ids(CAM) == frozenset()


class TestProof:
    """Rule b."""

    def test_its_pod_has_ended(self) -> None:
        assert absent(used(ends=True), 12.0, 12.5).judge(ID) is Verdict.ENDED

    def test_the_end_may_be_seen_after_the_absence(self) -> None:
        evidence = absent(used(), 12.0, 12.5)
        assert evidence.judge(ID) is Verdict.NOT_PROVEN
        assert evidence.put_pod(pod(ended=True)).judge(ID) is Verdict.ENDED

    def test_an_ended_pod_that_is_gone_is_still_a_proof(self) -> None:
        assert absent(used(ends=True).drop_pod(POD, "u1"), 12.0, 12.5).judge(ID) is Verdict.ENDED

    def test_a_pod_that_is_gone_without_an_end_proves_nothing(self) -> None:
        assert absent(used().drop_pod(POD, "u1"), 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_a_pod_that_vanished_from_the_whole_set_proves_nothing(self) -> None:
        assert absent(used().reset_pods([]), 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_the_whole_set_may_show_the_end(self) -> None:
        assert absent(used().reset_pods([pod(ended=True)]), 12.0, 12.5).judge(ID) is Verdict.ENDED

    @pytest.mark.parametrize("whole", [True, False])
    def test_an_end_that_was_none_is_taken_back(self, whole: bool) -> None:
        evidence = used(ends=True)
        evidence = evidence.reset_pods([pod()]) if whole else evidence.put_pod(pod())
        assert evidence.ended == frozenset()
        assert absent(evidence.drop_pod(POD, "u1"), 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_an_end_seen_once_outlives_other_whole_sets(self) -> None:
        assert used(ends=True).reset_pods([pod("u9", key=POD_2)]).ended == {"u1"}

    def test_the_end_of_a_pod_of_another_uid_proves_nothing(self) -> None:
        evidence = used().drop_pod(POD, "u1").put_pod(pod("u2", ended=True))
        assert absent(evidence, 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_the_end_of_another_pod_proves_nothing(self) -> None:
        evidence = used().put_pod(pod("u2", key=POD_2, ended=True))
        assert absent(evidence, 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_only_ends_that_can_matter_are_remembered(self) -> None:
        evidence = used().put_pod(pod("u2", key=POD_2, ended=True))
        assert evidence.ended == {"u2"}
        assert evidence.drop_pod(POD_2, "u2").ended == frozenset()
        assert used(ends=True).drop_pod(POD, "u1").ended == {"u1"}

    def test_dropping_a_former_uid_leaves_the_pod_of_the_same_name(self) -> None:
        evidence = used().put_pod(pod("u2")).drop_pod(POD, "u1")
        assert evidence.pods == {POD: pod("u2")}
        assert evidence.drop_pod(POD, "u2").pods == {}

    def test_dropping_leaves_other_pods(self) -> None:
        assert used().put_pod(pod("u2", key=POD_2)).drop_pod(POD, "u1").pods == {POD_2: pod("u2", key=POD_2)}


class TestWithoutProof:
    """Rule c."""

    @pytest.mark.parametrize(("last", "verdict"), [(22.0, Verdict.ABSENT), (21.999, Verdict.NOT_PROVEN)])
    def test_absent_for_ten_seconds(self, last: float, verdict: Verdict) -> None:
        evidence = used().drop_pod(POD, "u1")
        assert absent(evidence, 12.0, last).judge(ID) is verdict

    @pytest.mark.parametrize(("last", "verdict"), [(72.0, Verdict.ABSENT), (71.999, Verdict.NOT_PROVEN)])
    def test_sixty_seconds_without_a_pod_watch(self, last: float, verdict: Verdict) -> None:
        evidence = Evidence(started=0.0, watching=False).answered([ID], 10.0).list(listing(11.0, {X: POD}))
        assert evidence.judge(ID) is Verdict.IN_USE
        assert absent(evidence, 12.0, last).judge(ID) is verdict

    @pytest.mark.parametrize(("current", "verdict"), [(10.0, Verdict.PODS_NOT_CURRENT), (10.001, Verdict.ABSENT)])
    def test_the_pod_watch_must_have_caught_up_since_the_answer(self, current: float, verdict: Verdict) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).pods_current(current).answered([ID], 10.0)
        assert absent(evidence, 12.0, 22.0).judge(ID) is verdict

    def test_a_pod_watch_that_never_said_so_has_not_caught_up(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).answered([ID], 10.0)
        assert absent(evidence, 12.0, 22.0).judge(ID) is Verdict.PODS_NOT_CURRENT

    def test_a_pod_that_asks_for_more_than_is_shown_may_use_it(self) -> None:
        evidence = absent(used().put_pod(pod("u2", key=POD_2)).drop_pod(POD, "u1"), 12.0, 22.0)
        assert evidence.judge(ID) is Verdict.PERHAPS_UNLISTED
        assert evidence.put_pod(pod("u2", key=POD_2, ended=True)).judge(ID) is Verdict.ABSENT
        assert evidence.put_pod(pod("u2", key=POD_2, asks=0)).judge(ID) is Verdict.ABSENT
        assert evidence.put_pod(pod("u2", key=POD_2, resource=MIC)).judge(ID) is Verdict.ABSENT

    @pytest.mark.parametrize(("asks", "verdict"), [(1, Verdict.ABSENT), (2, Verdict.PERHAPS_UNLISTED)])
    def test_what_is_shown_for_the_pod_is_counted(self, asks: int, verdict: Verdict) -> None:
        evidence = used().drop_pod(POD, "u1").put_pod(pod("u2", key=POD_2, asks=asks))
        for at in (12.0, 22.0):
            evidence = evidence.list(listing(at, {Y: POD_2}))
        assert evidence.judge(ID) is verdict

    def test_nothing_is_shown_where_no_list_is_known(self) -> None:
        use = Use(10.0, None, 12.0, 30.0)
        evidence = Evidence(0.0, synced=True, current=20.0, uses={ID: use}, settled=frozenset({CAM}))
        assert evidence.judge(ID) is Verdict.ABSENT
        assert evidence.put_pod(pod()).judge(ID) is Verdict.PERHAPS_UNLISTED


class TestStart:
    """Rule d."""

    def test_lists_count_from_the_start(self) -> None:
        evidence = Evidence(started=5.0)
        assert evidence.list(listing(5.0)) is evidence
        assert evidence.list(listing(5.1)).last == listing(5.1)

    def test_nothing_is_released_before_the_first_list(self) -> None:
        assert Evidence(started=0.0).reset_pods([]).hold([ID], 1.0).judge(ID) is Verdict.STARTING

    def test_nothing_is_released_before_the_pods_are_known(self) -> None:
        evidence = absent(Evidence(started=0.0).hold([ID], 1.0), 2.0, 30.0)
        assert evidence.judge(ID) is Verdict.STARTING
        evidence = absent(evidence.reset_pods([]).pods_current(31.0), 31.0, 70.9)
        assert evidence.judge(ID) is Verdict.NOT_PROVEN
        assert absent(evidence, 71.0).judge(ID) is Verdict.ABSENT

    def test_every_pod_that_asks_for_the_resource_must_have_been_listed(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([pod(), pod("u2", key=POD_2)]).pods_current(5.0).hold([ID, OTHER], 1.0)
        evidence = evidence.list(listing(2.0, {Y: POD_2}))
        assert evidence.judge(ID) is Verdict.STARTING
        assert evidence.list(listing(3.0, {X: POD})).judge(ID) is Verdict.IN_USE

    def test_a_pod_that_is_listed_without_devices_counts_as_listed(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([pod()]).hold([ID], 1.0).list(listing(2.0, None, POD))
        assert evidence.judge(ID) is Verdict.NOT_ABSENT_TWICE

    def test_a_list_before_the_watch_knew_the_pod_does_not_count_for_it(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([pod("u2", key=POD_2)]).hold([ID], 1.0).list(listing(2.0, {Y: POD}))
        evidence = evidence.put_pod(pod()).drop_pod(POD_2, "u2").list(listing(3.0))
        assert evidence.judge(ID) is Verdict.STARTING

    @pytest.mark.parametrize("other", [pod("u2", key=POD_2, ended=True), pod("u2", key=POD_2, asks=0), pod("u2", key=POD_2, resource=MIC)])
    def test_pods_that_cannot_use_it_are_not_waited_for(self, other: PodObservation) -> None:
        evidence = Evidence(started=0.0).reset_pods([other]).hold([ID], 1.0)
        assert absent(evidence, 2.0).judge(ID) is Verdict.NOT_ABSENT_TWICE

    def test_a_pod_that_the_api_drops_is_not_waited_for_any_more(self) -> None:
        evidence = absent(Evidence(started=0.0).reset_pods([pod()]).hold([ID], 1.0), 2.0)
        assert evidence.judge(ID) is Verdict.STARTING
        assert absent(evidence.drop_pod(POD, "u1"), 3.0).judge(ID) is Verdict.NOT_ABSENT_TWICE

    def test_once_settled_a_new_pod_does_not_unsettle(self) -> None:
        evidence = absent(used().put_pod(pod("u2", key=POD_2)), 12.0)
        assert evidence.judge(ID) is Verdict.NOT_ABSENT_TWICE

    def test_each_resource_settles_for_itself(self) -> None:
        mic = (MIC, PluginDeviceId("mic-0"))
        evidence = Evidence(started=0.0).reset_pods([pod(resource=MIC)]).hold([ID, mic], 1.0).list(listing(2.0))
        assert (evidence.judge(ID), evidence.judge(mic)) == (Verdict.NOT_ABSENT_TWICE, Verdict.STARTING)
        assert evidence.settled == {CAM}
        assert evidence.list(listing(3.0, None, POD)).settled == {CAM, MIC}

    def test_only_present_pods_are_remembered_as_listed(self) -> None:
        evidence = used()
        assert evidence.shown == {"u1"}
        assert evidence.drop_pod(POD, "u1").list(listing(12.0)).shown == frozenset()
        assert evidence.list(listing(12.0)).shown == {"u1"}

    def test_a_start_of_the_kubelet_begins_anew_and_keeps_the_holder(self) -> None:
        evidence = absent(used(), 12.0).start(13.0)
        assert evidence.uses == {ID: Use(13.0, Holder(POD, "u1"))}
        assert (evidence.started, evidence.settled, evidence.shown, evidence.last) == (13.0, frozenset(), frozenset(), None)
        assert (evidence.judge(ID), evidence.pods) == (Verdict.STARTING, {POD: pod()})
        assert evidence.list(listing(13.0)) is evidence
        assert evidence.list(listing(14.0, None, POD)).put_pod(pod(ended=True)).list(listing(14.5)).judge(ID) is Verdict.ENDED

    def test_a_start_of_the_kubelet_leaves_an_allocate_under_way(self) -> None:
        former = frozenset({"u1"})
        assert used().allocating([ID]).start(13.0).uses == {ID: Use(None, former=former)}
        assert used().allocating([ID]).answered([ID], 12.0).start(13.0).uses == {ID: Use(13.0, former=former)}


def test_requests_cannot_be_changed_from_outside() -> None:
    requests = {CAM: 1}
    seen = PodObservation(POD, "u1", requests=requests)
    requests[CAM] = 2
    assert (seen.requests, seen.ended) == ({CAM: 1}, False)


def test_what_a_fresh_start_assumes() -> None:
    fresh = Evidence(started=1.0)
    assert (fresh.watching, fresh.synced, fresh.current, fresh.uses, fresh.pods, fresh.last) == (True, False, None, {}, {}, None)
    assert fresh.reset_pods([]).synced

from __future__ import annotations

import pytest

from akri.core.evidence import Evidence, Holder, Listing, PodObservation, Use, Verdict
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


class TestHolder:
    """Whose uid it is that List shows under a name."""

    def test_the_uid_is_that_of_the_pod_watch(self) -> None:
        assert used().uses[ID].holder == Holder(POD, "u1")

    def test_a_pod_that_the_watch_does_not_know_yet_is_known_later(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).answered([ID], 10.0).list(listing(11.0, {X: POD}))
        assert evidence.uses[ID].holder == Holder(POD, None)
        assert evidence.put_pod(pod()).list(listing(12.0, {X: POD})).uses[ID].holder == Holder(POD, "u1")

    def test_one_that_had_ended_before_it_was_listed_is_a_former_pod_of_the_name(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([pod(ended=True)]).answered([ID], 10.0).list(listing(11.0, {X: POD}))
        assert evidence.uses[ID].holder == Holder(POD, "")
        assert absent(evidence, 12.0, 12.5).judge(ID) is Verdict.NOT_PROVEN

    def test_two_uids_under_one_name_prove_nothing_for_good(self) -> None:
        evidence = used().put_pod(pod("u2")).list(listing(12.0, {X: POD}))
        assert evidence.uses[ID].holder == Holder(POD, "")
        evidence = evidence.list(listing(13.0, {X: POD})).put_pod(pod("u2", ended=True))
        assert evidence.uses[ID].holder == Holder(POD, "")
        assert absent(evidence, 14.0, 14.5).judge(ID) is Verdict.NOT_PROVEN

    def test_a_pod_that_is_listed_after_its_removal_stays_the_same(self) -> None:
        evidence = used(ends=True).drop_pod(POD, "u1").list(listing(12.0, {X: POD}))
        assert evidence.uses[ID].holder == Holder(POD, "u1")

    def test_one_that_ends_while_it_is_listed_stays_the_same(self) -> None:
        assert used(ends=True).list(listing(12.0, {X: POD})).uses[ID].holder == Holder(POD, "u1")

    def test_another_name_is_another_holder(self) -> None:
        evidence = used().put_pod(pod("u2", key=POD_2)).list(listing(12.0, {X: POD_2}))
        assert evidence.uses[ID].holder == Holder(POD_2, "u2")


class TestFormerUsers:
    """An id can be offered again while a container of a pod that was deleted by force lives on."""

    def again(self, evidence: Evidence, at: float = 12.0) -> Evidence:
        """X is given to POD_2, which ends at once."""
        evidence = evidence.allocating([ID]).answered([ID], at).put_pod(pod("u2", key=POD_2)).list(listing(at + 0.1, {X: POD_2}))
        return evidence.put_pod(pod("u2", key=POD_2, ended=True))

    def test_the_end_of_the_next_pod_says_nothing_about_the_former_one(self) -> None:
        evidence = self.again(used().drop_pod(POD, "u1"))
        assert evidence.uses[ID] == Use(12.0, Holder(POD_2, "u2"), former=frozenset({"u1"}))
        assert absent(evidence, 13.0, 13.5).judge(ID) is Verdict.NOT_PROVEN

    @pytest.mark.parametrize(("last", "verdict"), [(21.999, Verdict.NOT_PROVEN), (22.0, Verdict.ENDED)])
    def test_ten_seconds_after_the_answer_the_former_one_has_ended_too(self, last: float, verdict: Verdict) -> None:
        assert absent(self.again(used()), 21.0, last).judge(ID) is verdict

    def test_being_listed_for_ten_seconds_does_as_well(self) -> None:
        evidence = self.again(used()).list(listing(21.9, {X: POD_2}))
        assert evidence.uses[ID].former == {"u1"}
        assert evidence.list(listing(22.0, {X: POD_2})).uses[ID].former == frozenset()

    def test_a_former_one_that_is_proven_to_have_ended_does_not_matter(self) -> None:
        evidence = self.again(used(ends=True).drop_pod(POD, "u1"))
        assert evidence.uses[ID].former == frozenset()
        assert absent(evidence, 13.0, 13.5).judge(ID) is Verdict.ENDED

    def test_the_proof_may_come_later(self) -> None:
        evidence = absent(self.again(used()), 13.0, 13.5)
        assert evidence.judge(ID) is Verdict.NOT_PROVEN
        evidence = evidence.put_pod(pod(ended=True)).drop_pod(POD, "u1")
        assert evidence.judge(ID) is Verdict.ENDED

    def test_an_unknown_former_one_is_waited_for(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).hold([ID], 1.0).answered([ID], 10.0)
        assert evidence.uses[ID].former == UNKNOWN
        evidence = self.again(evidence.list(listing(11.0)))
        assert absent(evidence, 13.0, 13.5).judge(ID) is Verdict.NOT_PROVEN

    def test_what_was_found_held_may_have_had_former_users(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([pod()]).hold([ID], 1.0).list(listing(2.0, {X: POD})).put_pod(pod(ended=True))
        assert absent(evidence, 3.0, 40.999).judge(ID) is Verdict.NOT_PROVEN
        assert absent(evidence, 3.0, 41.0).judge(ID) is Verdict.ENDED

    def test_they_add_up(self) -> None:
        evidence = used().allocating([ID]).answered([ID], 12.0).list(listing(12.5)).put_pod(pod("u2", key=POD_2))
        evidence = evidence.list(listing(13.0, {X: POD_2})).allocating([ID])
        assert evidence.uses[ID] == Use(None, former=frozenset({"u1", "u2"}))
        assert evidence.allocating([ID]).uses[ID] == Use(None, former=frozenset({"u1", "u2"}))

    def test_an_answer_to_an_allocate_that_nobody_announced_forgets_nobody(self) -> None:
        assert used().answered([ID], 12.0).uses[ID] == Use(12.0, former=frozenset({"u1"}))


class TestPodsThatVanish:
    """A pod that vanishes without an end may live on for a while, and what its init container holds was never listed."""

    HELD = (
        Evidence(started=0.0)
        .reset_pods([pod(asks=2)])
        .pods_current(11.0)
        .list(listing(0.5))
        .answered([ID], 1.0)
        .list(listing(2.0, {Y: POD}))
    )

    @pytest.mark.parametrize(("last", "verdict"), [(40.0, Verdict.ABSENT), (39.999, Verdict.NOT_PROVEN)])
    def test_absence_begins_anew_when_it_vanishes(self, last: float, verdict: Verdict) -> None:
        evidence = absent(self.HELD, 12.0, 29.0)
        assert evidence.judge(ID) is Verdict.PERHAPS_UNLISTED
        evidence = evidence.drop_pod(POD, "u1")
        assert evidence.judge(ID) is Verdict.NOT_ABSENT_TWICE
        assert absent(evidence, 30.0, last).judge(ID) is verdict

    def test_one_of_another_resource_does_not_matter(self) -> None:
        evidence = absent(self.HELD.put_pod(pod("u2", key=POD_2, resource=MIC)), 12.0, 29.0)
        assert evidence.drop_pod(POD_2, "u2").uses == evidence.uses

    def test_one_that_had_ended_does_not_matter(self) -> None:
        evidence = absent(self.HELD.put_pod(pod(ended=True)), 12.0, 29.0)
        assert evidence.drop_pod(POD, "u1").judge(ID) is Verdict.ABSENT

    def test_one_that_is_replaced_under_its_name_has_vanished(self) -> None:
        evidence = absent(self.HELD, 12.0, 29.0)
        assert evidence.put_pod(pod("u2", asks=0)).judge(ID) is Verdict.NOT_ABSENT_TWICE
        assert evidence.put_pod(pod("u1", asks=0)).judge(ID) is Verdict.ABSENT

    def test_a_watch_that_began_anew_may_have_missed_one(self) -> None:
        evidence = absent(self.HELD.drop_pod(POD, "u1"), 12.0, 29.0)
        assert evidence.judge(ID) is Verdict.ABSENT
        evidence = evidence.reset_pods([])
        assert evidence.uses[ID] == Use(1.0, former=frozenset(), grace=30.0)
        assert absent(evidence, 30.0, 69.999).judge(ID) is Verdict.NOT_PROVEN
        assert absent(evidence, 30.0, 70.0).judge(ID) is Verdict.ABSENT


@pytest.mark.parametrize(("last", "long"), [(20.0, True), (19.999, False)])
def test_an_answer_is_long_ago_after_ten_seconds(last: float, long: bool) -> None:
    assert used().list(listing(last)).answered_long_ago(ID) is long
    assert not used().list(listing(last)).answered_long_ago(OTHER)
    assert not used().list(listing(last)).allocating([ID]).answered_long_ago(ID)


def test_without_a_list_no_answer_is_long_ago() -> None:
    assert Evidence(started=0.0).answered([ID], 1.0).answered_long_ago(ID) is False


def test_before_the_first_list_any_id_may_have_had_a_user() -> None:
    evidence = Evidence(started=0.0).reset_pods([])
    assert evidence.allocating([ID]).uses == {ID: Use(None, former=UNKNOWN)}
    assert evidence.list(listing(1.0)).allocating([ID]).uses == {ID: Use(None)}
    assert evidence.list(listing(1.0)).start(2.0).allocating([ID]).uses == {ID: Use(None, former=UNKNOWN)}

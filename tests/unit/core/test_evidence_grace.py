"""How long containers of a pod that vanished without an end are waited for (docs/decisions/evidence-measured.md)."""

from __future__ import annotations

import pytest

from akri.core.evidence import ABSENCE, UNSEEN_GRACE, Evidence, Listing, PodObservation, Verdict
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName

CAM = ResourceName("akri.sh/cam")
X = PluginDeviceId("cam-0")
ID = (CAM, X)
POD, POD_2 = ObjectKey("default", "pod"), ObjectKey("default", "pod-2")


def pod(uid: str, *, key: ObjectKey, ended: bool = False) -> PodObservation:
    return PodObservation(key, uid, ended, {CAM: 1})


def listing(at: float, users: dict[PluginDeviceId, ObjectKey] | None = None) -> Listing:
    return Listing(at, {CAM: users} if users else {})


def absent(evidence: Evidence, *times: float) -> Evidence:
    for at in times:
        evidence = evidence.list(listing(at))
    return evidence


class TestGrace:
    """Containers of a pod that was deleted by force live on for as long as their kubelet gives them."""

    GRACE = 20.0

    def evidence(self, told: float | None = None) -> Evidence:
        """X is used by a pod with a grace of 20 s; told: what its deletion gives it, as far as it was seen."""
        stays = PodObservation(POD, "u1", requests={CAM: 1}, grace=self.GRACE)
        evidence = Evidence(started=0.0).reset_pods([stays]).list(listing(9.0)).answered([ID], 10.0).pods_current(10.5)
        evidence = evidence.list(listing(11.0, {X: POD}))
        return evidence.put_pod(PodObservation(POD, "u1", requests={CAM: 1}, grace=self.GRACE, told=told)) if told is not None else evidence

    def released_at(self, evidence: Evidence) -> float:
        """Ask for a List every second until the id is released."""
        for at in range(12, 120):
            evidence = evidence.list(listing(float(at))).pods_current(float(at))
            if evidence.judge(ID).release:
                return float(at)
        raise AssertionError(evidence.judge(ID))

    def test_a_deletion_that_was_seen_gives_what_it_says(self) -> None:
        assert self.released_at(self.evidence(told=0.0).drop_pod(POD, "u1")) == 12 + ABSENCE
        assert self.released_at(self.evidence(told=5.0).drop_pod(POD, "u1")) == 12 + ABSENCE + 5

    def test_a_deletion_that_says_nothing_gives_the_pods_own_grace(self) -> None:
        assert self.released_at(self.evidence().drop_pod(POD, "u1")) == 12 + ABSENCE + self.GRACE

    @pytest.mark.parametrize("told", [None, 0.0])
    def test_one_that_was_not_seen_gives_the_pods_own_grace(self, told: float | None) -> None:
        assert self.released_at(self.evidence(told).reset_pods([])) == 12 + ABSENCE + self.GRACE

    def test_a_kubelet_that_hears_of_it_later_lists_the_pod_for_a_while(self) -> None:
        evidence = self.evidence().reset_pods([]).list(listing(11.5, {X: POD}))
        assert self.released_at(evidence) == 12 + ABSENCE + self.GRACE

    def test_another_pod_that_vanishes_costs_nothing_while_the_holder_is_known_to_live(self) -> None:
        other = PodObservation(POD_2, "u2", requests={CAM: 1}, grace=self.GRACE)
        evidence = self.evidence().put_pod(other).drop_pod(POD_2, "u2").list(listing(11.5, {X: POD}))
        evidence = evidence.put_pod(PodObservation(POD, "u1", requests={CAM: 1}, grace=self.GRACE, told=0.0)).drop_pod(POD, "u1")
        assert self.released_at(evidence) == 12 + ABSENCE

    def test_a_pod_that_nobody_saw_is_given_what_is_usual(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).list(listing(9.0)).answered([ID], 10.0).pods_current(10.5)
        assert self.released_at(evidence.reset_pods([])) == 12 + ABSENCE + UNSEEN_GRACE
        assert self.released_at(evidence) == 12 + ABSENCE

    def test_an_end_that_is_proven_needs_no_patience(self) -> None:
        ended = PodObservation(POD, "u1", ended=True, requests={CAM: 1}, grace=self.GRACE)
        assert self.released_at(self.evidence().put_pod(ended)) == 13

    def test_what_vanished_before_the_agent_started_may_live_on_for_as_long(self) -> None:
        evidence = Evidence(started=0.0).reset_pods([]).hold([ID], 11.0)
        assert self.released_at(evidence) == 11 + ABSENCE + UNSEEN_GRACE
        assert not evidence.list(listing(50.9)).answered_long_ago(ID)
        assert evidence.list(listing(51.0)).answered_long_ago(ID)

    def test_where_lists_show_pods_to_their_last_process_nothing_is_given_to_unknown_ones(self) -> None:
        found = Evidence(started=0.0, unseen_grace=0.0).reset_pods([]).hold([ID], 11.0)
        assert self.released_at(found) == 12 + ABSENCE
        assert found.list(listing(21.0)).answered_long_ago(ID)
        answered = Evidence(started=0.0, unseen_grace=0.0).reset_pods([]).list(listing(9.0)).answered([ID], 10.0).pods_current(10.5)
        assert self.released_at(answered.reset_pods([])) == 12 + ABSENCE

    def test_the_next_pod_does_not_hide_one_that_lives_on(self) -> None:
        evidence = self.evidence().reset_pods([]).allocating([ID]).answered([ID], 12.0)
        follower = pod("u2", key=POD_2)
        evidence = evidence.put_pod(follower).list(listing(13.0, {X: POD_2})).put_pod(pod("u2", key=POD_2, ended=True))
        evidence = absent(evidence, 14.0, 12 + ABSENCE + self.GRACE - 0.1).pods_current(24.0)
        assert evidence.judge(ID) is Verdict.NOT_PROVEN
        assert absent(evidence, 12 + ABSENCE + self.GRACE).judge(ID) is Verdict.ENDED

    def test_the_next_pod_is_judged_alone_once_the_former_has_ended_for_certain(self) -> None:
        evidence = self.evidence().reset_pods([]).allocating([ID]).answered([ID], 12.0)
        evidence = evidence.put_pod(pod("u2", key=POD_2)).list(listing(12.0 + ABSENCE + self.GRACE, {X: POD_2}))
        evidence = absent(evidence.put_pod(pod("u2", key=POD_2, ended=True)), 43.0, 43.3)
        assert evidence.judge(ID) is Verdict.ENDED

    def test_a_start_of_the_kubelet_forgets_nothing_of_it(self) -> None:
        evidence = self.evidence().reset_pods([]).start(11.5)
        assert self.released_at(evidence) == 12 + ABSENCE + self.GRACE

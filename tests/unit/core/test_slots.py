from __future__ import annotations

from types import MappingProxyType

import pytest

from akri.core.errors import Problem
from akri.core.ids import ObjectKey, SlotId, VirtualDeviceId
from akri.core.slots import Claimable, Fence, Held, Ours, SlotTable, Taken, Unreadable
from akri.core.usage import FREE, HeldByConfiguration, HeldByNode, Usage
from tests.unit.core.sharing_samples import CAM, ONE, TWO, A, B, instance, table

OWN = HeldByNode(A)
CAM_0 = HeldByConfiguration(VirtualDeviceId(CAM, 0), A)


class TestReading:
    def test_takes_identity_revision_and_capacity(self) -> None:
        read = SlotTable.read(instance("", "", revision=7, uid="u"), A)
        assert (read.node, read.key, read.uid, read.revision, read.capacity) == (A, ObjectKey("default", ONE), "u", 7, 2)
        assert read.instance == ONE
        assert (read.unreadable, dict(read.doubts), read.inherited) == ((), {}, frozenset())

    def test_reads_every_kind_of_usage(self) -> None:
        assert dict(table("", "node-a", "C:cam-0:node-a").usages) == {0: FREE, 1: OWN, 2: CAM_0}

    def test_keeps_slots_beyond_the_capacity(self) -> None:
        assert dict(table("", "node-b", capacity=1).usages) == {0: FREE, 1: HeldByNode(B)}

    @pytest.mark.parametrize("key", ["nonsense", "cam-2-0", "cam-1-01", "cam-1--1", "cam-1-"])
    def test_reports_a_key_that_is_no_slot_of_it(self, key: str) -> None:
        read = SlotTable.read(instance("", extra={key: "node-b"}), A)
        problem = Problem("spec.deviceUsage", f"key '{key}' is not a slot: expected 'cam-1-<index>'")
        assert read.unreadable == (Unreadable(key, problem),)
        assert dict(read.usages) == {0: FREE}

    def test_reports_a_value_that_cannot_be_read_and_blocks_its_slot(self) -> None:
        read = table("", "a b")
        message = "deviceUsage: 'a b' is not valid: expected '', '<node>' or 'C:<virtual device id>:<node>'"
        assert read.unreadable == (Unreadable("cam-1-1", Problem("spec.deviceUsage.cam-1-1", message), 1),)
        assert dict(read.usages) == {0: FREE}
        assert read.usage(1) is None

    def test_goes_on_behind_keys_and_values_that_cannot_be_read(self) -> None:
        read = SlotTable.read(instance("a b", "node-a", extra={"x": "", "cam-1-2": "node-b"}), A)
        assert dict(read.usages) == {1: OWN, 2: HeldByNode(B)}
        assert [entry.key for entry in read.unreadable] == ["cam-1-0", "x"]

    def test_mappings_cannot_be_changed_from_outside(self) -> None:
        usages: dict[int, Usage] = {0: FREE}
        made = SlotTable(A, ObjectKey("default", ONE), "uid", 1, 1, usages)
        usages[0] = OWN
        assert made.usages == {0: FREE}
        assert isinstance(made.usages, MappingProxyType)
        assert isinstance(made.doubts, MappingProxyType)


class TestObserving:
    def test_a_later_state_replaces_everything_read(self) -> None:
        seen = table("node-b").observe(instance("", "a b", revision=2))
        assert (seen.revision, seen.capacity, dict(seen.usages), len(seen.unreadable)) == (2, 2, {0: FREE}, 1)

    def test_an_older_state_changes_nothing(self) -> None:
        known = table("node-a", revision=5)
        assert known.observe(instance("", revision=4)) is known

    def test_the_same_revision_is_taken_in(self) -> None:
        assert dict(table("node-a", revision=5).observe(instance("", revision=5)).usages) == {0: FREE}

    def test_keeps_doubts_until_they_are_settled(self) -> None:
        seen = table("").sent(0, OWN).observe(instance("node-a", revision=2))
        assert dict(seen.doubts) == {0: OWN}

    def test_another_uid_is_another_instance(self) -> None:
        known = table("node-a", revision=5).inherit().sent(0, FREE)
        seen = known.observe(instance("", uid="new", revision=1))
        assert seen == SlotTable.read(instance("", uid="new", revision=1), A)
        assert (seen.node, dict(seen.usages), dict(seen.doubts), seen.inherited) == (A, {0: FREE}, {}, frozenset())

    def test_what_is_not_held_any_more_was_not_inherited_any_more(self) -> None:
        seen = table("node-a", "node-a").inherit().observe(instance("", "node-a", revision=2))
        assert seen.inherited == {1}

    def test_what_is_held_later_is_not_inherited(self) -> None:
        assert table("node-a", "").inherit().observe(instance("node-a", "node-a", revision=2)).inherited == {0}


class TestWrites:
    def test_a_write_is_in_doubt_from_its_sending_until_it_is_settled(self) -> None:
        sent = table("", "").sent(1, CAM_0).sent(0, OWN)
        assert dict(sent.doubts) == {0: OWN, 1: CAM_0}
        assert dict(sent.settled(0).doubts) == {1: CAM_0}
        assert dict(sent.usages) == {0: FREE, 1: FREE}

    def test_the_last_write_counts(self) -> None:
        assert dict(table("node-a").sent(0, OWN).sent(0, FREE).doubts) == {0: FREE}

    def test_settling_what_is_not_in_doubt_changes_nothing(self) -> None:
        known = table("", "").sent(1, OWN)
        assert known.settled(0) == known

    def test_only_what_is_ours_and_not_in_doubt_may_be_released(self) -> None:
        known = table("node-a", "node-b", "")
        ours, theirs = Held(SlotId(ONE, 0), OWN), Held(SlotId(ONE, 1), HeldByNode(B))
        assert known.may_release(ours)
        assert not known.may_release(theirs)
        assert not known.may_release(Held(SlotId(ONE, 0), CAM_0))
        # The answer to a second release would settle the doubt of the first one, which may still be on its way.
        assert not known.sent(0, FREE).may_release(ours)
        assert known.sent(2, OWN).may_release(ours)
        assert known.sent(0, FREE).settled(0).may_release(ours)

    def test_a_fence_ends_all_doubts_and_inheritance_and_is_a_read(self) -> None:
        fenced = table("node-a", "", revision=1).inherit().sent(1, OWN).fenced(instance("node-a", "node-a", revision=2))
        assert (dict(fenced.doubts), fenced.inherited, fenced.revision) == ({}, frozenset(), 2)
        assert dict(fenced.usages) == {0: OWN, 1: OWN}

    def test_a_fence_whose_answer_came_late_does_not_bring_an_older_state_back(self) -> None:
        fenced = table("node-a", revision=5).sent(0, FREE).fenced(instance("", revision=4))
        assert (dict(fenced.doubts), dict(fenced.usages), fenced.revision) == ({}, {0: OWN}, 5)


class TestUsage:
    def test_a_missing_key_below_the_capacity_is_free(self) -> None:
        read = table("node-b", capacity=3)
        assert [read.usage(index) for index in range(4)] == [HeldByNode(B), FREE, FREE, None]

    def test_an_unreadable_key_that_blocks_no_slot_leaves_missing_keys_free(self) -> None:
        assert SlotTable.read(instance(capacity=1, extra={"x": ""}), A).usage(0) == FREE

    def test_used_counts_held_and_unreadable_slots_but_not_unreadable_keys(self) -> None:
        read = SlotTable.read(instance("node-b", "", "a b", "C:cam-0:node-a", extra={"x": "node-b", "y": ""}), A)
        assert read.used() == 3
        assert table("", "").used() == 0

    def test_nodes_holding_are_in_slot_order_each_once(self) -> None:
        usage = {"cam-1-3": "node-a", "cam-1-1": "node-b", "cam-1-2": "C:cam-1:node-b", "cam-1-0": ""}
        read = SlotTable.read(instance(capacity=4, extra=usage), A)
        assert list(read.nodes_holding()) == [B, A]


class TestState:
    def test_free_is_claimable(self) -> None:
        assert table("").state(0, OWN) == Claimable()

    def test_a_missing_key_is_claimable(self) -> None:
        assert table(capacity=1).state(0, CAM_0) == Claimable()

    @pytest.mark.parametrize(("text", "wanted"), [("node-a", OWN), ("C:cam-0:node-a", CAM_0)])
    def test_held_as_wanted_is_ours(self, text: str, wanted: HeldByNode | HeldByConfiguration) -> None:
        assert table(text).state(0, wanted) == Ours()

    @pytest.mark.parametrize(
        ("text", "wanted", "holder"),
        [
            ("node-b", OWN, HeldByNode(B)),
            ("node-a", CAM_0, OWN),
            ("C:cam-0:node-a", OWN, CAM_0),
            ("C:cam-1:node-a", CAM_0, HeldByConfiguration(VirtualDeviceId(CAM, 1), A)),
            ("C:cam-0:node-b", CAM_0, HeldByConfiguration(VirtualDeviceId(CAM, 0), B)),
        ],
    )
    def test_held_otherwise_is_taken(
        self, text: str, wanted: HeldByNode | HeldByConfiguration, holder: HeldByNode | HeldByConfiguration
    ) -> None:
        assert table(text).state(0, wanted) == Taken(holder)

    def test_unreadable_is_taken_by_nobody_knows_whom(self) -> None:
        assert table("a b").state(0, OWN) == Taken(None)

    @pytest.mark.parametrize("texts", [("",), ("", "")])
    def test_beyond_the_capacity_nothing_is_claimable(self, texts: tuple[str, ...]) -> None:
        assert table(*texts, capacity=1).state(1, OWN) == Taken(None)

    def test_beyond_the_capacity_what_is_ours_stays_ours(self) -> None:
        assert table("", "node-a", capacity=1).state(1, OWN) == Ours()

    @pytest.mark.parametrize("text", ["", "node-a", "node-b", "a b"])
    def test_in_doubt_needs_a_fence_whatever_is_known(self, text: str) -> None:
        assert table(text, text).sent(0, FREE).state(0, OWN) == Fence()
        assert table(text, text).sent(1, FREE).state(0, OWN) != Fence()

    def test_inherited_needs_a_fence(self) -> None:
        read = table("node-a", "").inherit()
        assert (read.state(0, OWN), read.state(1, OWN)) == (Fence(), Claimable())


class TestFree:
    def test_lists_free_and_missing_slots_below_the_capacity_lowest_first(self) -> None:
        assert list(table("node-b", "", "a b", capacity=5).free()) == [1, 3, 4]
        assert list(table("", "", "", capacity=2).free()) == [0, 1]

    def test_those_in_doubt_come_last(self) -> None:
        assert list(table("", "", "").sent(0, OWN).free()) == [1, 2, 0]


class TestHeld:
    def test_lists_what_this_node_holds_lowest_first_also_beyond_the_capacity(self) -> None:
        usage = {"cam-1-4": "node-a", "cam-1-2": "C:cam-0:node-a", "cam-1-1": "node-b", "cam-1-0": ""}
        read = SlotTable.read(instance(capacity=2, extra=usage), A)
        assert list(read.held()) == [Held(SlotId(ONE, 2), CAM_0), Held(SlotId(ONE, 4), OWN)]

    def test_inherit_marks_exactly_what_is_held(self) -> None:
        read = table("node-a", "", "node-b", "C:cam-0:node-a")
        assert read.inherited == frozenset()
        assert read.inherit().inherited == {0, 3}

    def test_virtual_devices_are_those_held_through_the_configuration(self) -> None:
        read = table("node-a", "C:cam-3:node-a", "C:cam-4:node-b", "C:cam-0:node-a")
        assert list(read.virtual()) == [(VirtualDeviceId(CAM, 3), SlotId(ONE, 1)), (VirtualDeviceId(CAM, 0), SlotId(ONE, 3))]


class TestHealth:
    def test_free_and_own_are_healthy_all_else_is_not(self) -> None:
        read = table("", "node-a", "node-b", "C:cam-0:node-a", "a b", capacity=6)
        expected = {"cam-1-0": True, "cam-1-1": True, "cam-1-2": False, "cam-1-3": False, "cam-1-4": False, "cam-1-5": True}
        assert read.health() == expected

    def test_beyond_the_capacity_only_what_this_node_holds_through_the_instance_is_listed(self) -> None:
        read = table("", "", "node-a", "node-b", "C:cam-0:node-a", capacity=1, name=TWO)
        assert read.health() == {"cam-2-0": True, "cam-2-2": False}

    def test_own_at_the_edge_of_the_capacity(self) -> None:
        assert table("", "node-a", capacity=1).health() == {"cam-1-0": True, "cam-1-1": False}
        assert table("", "node-a", capacity=2).health() == {"cam-1-0": True, "cam-1-1": True}

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from akri.core.allocation import (
    Binding,
    ByConfiguration,
    ByInstance,
    ClaimSlot,
    Denial,
    FenceInstance,
    Grant,
    Level,
    ReleaseSlot,
    Steps,
    allocate,
)
from akri.core.errors import AkriError, ClaimRefusedError, DeviceUnavailableError, InvalidValueError
from akri.core.ids import ConfigurationName, InstanceName, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.slots import Held, SlotTable
from akri.core.usage import FREE, HeldByConfiguration, HeldByNode
from tests.unit.core.sharing_samples import CAM, ONE, THREE, TWO, A, table

BY_ONE, BY_CAM = ByInstance(ONE), ByConfiguration(CAM)
OWN = HeldByNode(A)


def decide(
    level: Level,
    ids: Iterable[str],
    *tables: SlotTable,
    serving: Iterable[InstanceName] | None = None,
    unused: Iterable[str] = (),
    answered: Mapping[str, SlotId] | None = None,
) -> Grant | Steps | Denial:
    """Decide for node-a over these tables, all of them served unless told."""
    known = {one.instance: one for one in tables}
    return allocate(
        level,
        [PluginDeviceId(id_) for id_ in ids],
        A,
        known,
        serving=known if serving is None else serving,
        unused=[PluginDeviceId(id_) for id_ in unused],
        answered=None if answered is None else {PluginDeviceId(id_): slot for id_, slot in answered.items()},
    )


def slot(name: InstanceName, index: int = 0) -> SlotId:
    return SlotId(name, index)


def own(index: int) -> Binding:
    return Binding(PluginDeviceId(f"cam-1-{index}"), slot(ONE, index), OWN)


def virtual(k: int, at: SlotId) -> Binding:
    return Binding(PluginDeviceId(f"cam-{k}"), at, HeldByConfiguration(VirtualDeviceId(CAM, k), A))


def denied(decision: Grant | Steps | Denial) -> AkriError:
    assert isinstance(decision, Denial)
    return decision.error


class TestByInstance:
    def test_a_free_slot_is_claimed(self) -> None:
        assert decide(BY_ONE, ["cam-1-1"], table("", "")) == Steps((ClaimSlot(own(1)),))

    def test_a_held_slot_is_granted_without_a_write(self) -> None:
        assert decide(BY_ONE, ["cam-1-0"], table("node-a")) == Grant((own(0),))

    def test_several_are_granted_in_the_order_asked_for(self) -> None:
        assert decide(BY_ONE, ["cam-1-1", "cam-1-0"], table("node-a", "node-a")) == Grant((own(1), own(0)))

    def test_only_what_is_missing_is_claimed(self) -> None:
        assert decide(BY_ONE, ["cam-1-0", "cam-1-1"], table("node-a", "")) == Steps((ClaimSlot(own(1)),))

    def test_an_id_asked_for_twice_is_one_id(self) -> None:
        assert decide(BY_ONE, ["cam-1-0", "cam-1-0"], table("")) == Steps((ClaimSlot(own(0)),))
        assert decide(BY_ONE, ["cam-1-0", "cam-1-0"], table("node-a")) == Grant((own(0),))

    def test_doubt_needs_one_fence_for_the_instance(self) -> None:
        in_doubt = table("", "", "").sent(0, OWN).sent(1, FREE)
        decision = decide(BY_ONE, ["cam-1-0", "cam-1-1", "cam-1-2"], in_doubt)
        assert decision == Steps((FenceInstance(ONE), ClaimSlot(own(2))))

    def test_what_was_found_at_the_start_needs_a_fence(self) -> None:
        assert decide(BY_ONE, ["cam-1-0"], table("node-a").inherit()) == Steps((FenceInstance(ONE),))

    @pytest.mark.parametrize(
        ("text", "who", "holder"),
        [
            ("node-b", "node-b", "node-b"),
            ("C:cam-3:node-b", "node-b (as cam-3)", "C:cam-3:node-b"),
            ("C:cam-3:node-a", "node-a (as cam-3)", "C:cam-3:node-a"),
        ],
    )
    def test_a_refusal_names_the_holder(self, text: str, who: str, holder: str) -> None:
        error = denied(decide(BY_ONE, ["cam-1-0"], table(text)))
        assert isinstance(error, ClaimRefusedError)
        assert (str(error), error.holder) == (f"slot cam-1-0 is held by {who}", holder)

    @pytest.mark.parametrize(("id_", "capacity"), [("cam-1-0", 1), ("cam-1-1", 1)])
    def test_a_slot_that_nobody_can_have_is_refused(self, id_: str, capacity: int) -> None:
        error = denied(decide(BY_ONE, [id_], table("a b", capacity=capacity)))
        assert isinstance(error, ClaimRefusedError)
        assert str(error) == f"slot {id_} cannot be claimed: it is beyond the capacity, or its usage cannot be read"
        assert error.holder == ""

    def test_one_refusal_refuses_all(self) -> None:
        error = denied(decide(BY_ONE, ["cam-1-0", "cam-1-1"], table("", "node-b")))
        assert str(error) == "slot cam-1-1 is held by node-b"

    @pytest.mark.parametrize("tables", [(table("", name=TWO), table("")), (table("", name=TWO),), ()])
    def test_a_slot_of_another_instance_or_an_unknown_one_is_refused(self, tables: tuple[SlotTable, ...]) -> None:
        id_ = "cam-2-0" if len(tables) == 2 else "cam-1-0"
        error = denied(decide(BY_ONE, [id_], *tables))
        assert isinstance(error, DeviceUnavailableError)
        assert str(error) == f"device {id_} is not a slot of Instance cam-1 on this node"

    def test_a_text_that_is_no_slot_is_refused(self) -> None:
        assert isinstance(denied(decide(BY_ONE, ["nonsense"], table(""))), InvalidValueError)

    @pytest.mark.parametrize("text", ["", "node-a"])
    def test_a_device_that_is_gone_is_not_handed_out(self, text: str) -> None:
        error = denied(decide(BY_ONE, ["cam-1-0"], table(text), serving=[TWO]))
        assert isinstance(error, DeviceUnavailableError)
        assert str(error) == "the device of Instance cam-1 is gone: slot cam-1-0 cannot be handed out"


class TestByConfiguration:
    def test_a_free_id_is_bound_to_the_lowest_free_slot(self) -> None:
        assert decide(BY_CAM, ["cam-0"], table("node-b", "", "")) == Steps((ClaimSlot(virtual(0, slot(ONE, 1))),))

    def test_least_used_first_then_by_name(self) -> None:
        busy, idle, idle_too = table("node-b", ""), table("", "", name=TWO), table("", "", name=THREE)
        assert decide(BY_CAM, ["cam-0"], idle_too, busy, idle) == Steps((ClaimSlot(virtual(0, slot(TWO))),))

    def test_several_ids_get_different_instances_in_the_order_asked_for(self) -> None:
        decision = decide(BY_CAM, ["cam-1", "cam-0"], table("", ""), table("node-b", "", name=TWO))
        assert decision == Steps((ClaimSlot(virtual(1, slot(ONE))), ClaimSlot(virtual(0, slot(TWO, 1)))))

    def test_an_id_asked_for_twice_is_one_id(self) -> None:
        assert decide(BY_CAM, ["cam-0", "cam-0"], table("")) == Steps((ClaimSlot(virtual(0, slot(ONE))),))

    def test_a_held_id_keeps_its_binding_without_a_write(self) -> None:
        assert decide(BY_CAM, ["cam-0"], table("", "C:cam-0:node-a"), table("", name=TWO)) == Grant((virtual(0, slot(ONE, 1)),))

    def test_the_binding_of_another_node_is_not_ours(self) -> None:
        assert decide(BY_CAM, ["cam-0"], table("C:cam-0:node-b", "")) == Steps((ClaimSlot(virtual(0, slot(ONE, 1))),))

    def test_a_free_id_keeps_away_from_instances_of_held_ids_of_the_request(self) -> None:
        one, two = table("C:cam-1:node-a", "", "", capacity=3), table("node-b", "node-b", "", name=TWO)
        assert decide(BY_CAM, ["cam-0", "cam-1"], one, two) == Steps((ClaimSlot(virtual(0, slot(TWO, 2))),))

    def test_held_ids_outside_the_request_do_not_matter(self) -> None:
        assert decide(BY_CAM, ["cam-0"], table("C:cam-1:node-a", "")) == Steps((ClaimSlot(virtual(0, slot(ONE, 1))),))

    @pytest.mark.parametrize("id_", ["mic-0", "cam-1-0"])
    def test_an_id_of_another_configuration_is_refused(self, id_: str) -> None:
        error = denied(decide(BY_CAM, [id_], table("")))
        assert isinstance(error, DeviceUnavailableError)
        assert str(error) == f"device {id_} is not a virtual device of Configuration cam"

    def test_a_text_that_is_no_virtual_device_is_refused(self) -> None:
        assert isinstance(denied(decide(ByConfiguration(ConfigurationName("nonsense")), ["nonsense"], table(""))), InvalidValueError)

    def test_a_held_id_whose_device_is_gone_is_refused(self) -> None:
        error = denied(decide(BY_CAM, ["cam-0"], table("C:cam-0:node-a"), table("", name=TWO), serving=[TWO]))
        assert isinstance(error, DeviceUnavailableError)
        assert str(error) == "the device of Instance cam-1 is gone: cam-0 is bound to it"

    def test_free_ids_go_only_to_instances_that_are_served_and_known(self) -> None:
        decision = decide(BY_CAM, ["cam-0"], table(""), table("node-b", "", name=TWO), serving=[TWO, THREE])
        assert decision == Steps((ClaimSlot(virtual(0, slot(TWO, 1))),))


class TestNoFreeInstance:
    def test_names_every_instance_and_why(self) -> None:
        tables = [
            table("C:cam-1:node-a", "node-b", capacity=1),
            table("node-b", "C:cam-9:node-c", name=TWO),
            table("", name=THREE),
            table("a b", name="cam-4"),
        ]
        error = denied(decide(BY_CAM, ["cam-1", "cam-0"], *tables, serving=[ONE, TWO, InstanceName("cam-4")]))
        assert isinstance(error, ClaimRefusedError)
        assert str(error) == (
            "no Instance has a free slot for cam-0: cam-1 is given to another device of this request; "
            "cam-2 is held by node-b, node-c; the device of cam-3 is gone; cam-4 is held by somebody whose name cannot be read"
        )
        assert error.holder == ""

    def test_says_that_there_is_nothing(self) -> None:
        assert str(denied(decide(BY_CAM, ["cam-0"]))) == "no Instance has a free slot for cam-0: no device was found"

    def test_more_ids_than_instances_are_refused(self) -> None:
        error = denied(decide(BY_CAM, ["cam-0", "cam-1"], table("", "")))
        assert str(error) == "no Instance has a free slot for cam-1: cam-1 is given to another device of this request"


class TestDoubt:
    def test_an_id_whose_claim_is_in_doubt_binds_to_nothing_else(self) -> None:
        in_doubt = table("", "").sent(1, virtual(0, slot(ONE, 1)).usage)
        assert decide(BY_CAM, ["cam-0"], in_doubt, table("", name=TWO)) == Steps((FenceInstance(ONE),))

    def test_a_claim_in_doubt_wins_over_a_binding(self) -> None:
        in_doubt = table("", name=TWO).sent(0, virtual(0, slot(TWO)).usage)
        assert decide(BY_CAM, ["cam-0"], table("C:cam-0:node-a"), in_doubt) == Steps((FenceInstance(TWO),))

    def test_of_two_claims_in_doubt_the_first_instance_and_slot_counts(self) -> None:
        usage = virtual(0, slot(ONE)).usage
        two = table("", "", name=TWO).sent(1, usage).sent(0, usage)
        three = table("", name=THREE).sent(0, usage)
        assert decide(BY_CAM, ["cam-0"], three, two) == Steps((FenceInstance(TWO),))

    def test_a_release_in_doubt_needs_a_fence_for_the_id_that_is_bound_there(self) -> None:
        in_doubt = table("C:cam-0:node-a", "").sent(0, FREE)
        assert decide(BY_CAM, ["cam-0"], in_doubt) == Steps((FenceInstance(ONE),))
        assert decide(BY_CAM, ["cam-1"], in_doubt) == Steps((ClaimSlot(virtual(1, slot(ONE, 1))),))

    def test_what_is_in_doubt_is_used_last(self) -> None:
        in_doubt = table("", "").sent(0, FREE)
        other = table("node-b", "", name=TWO)
        assert decide(BY_CAM, ["cam-0"], in_doubt, other) == Steps((ClaimSlot(virtual(0, slot(TWO, 1))),))
        assert decide(BY_CAM, ["cam-0"], in_doubt) == Steps((ClaimSlot(virtual(0, slot(ONE, 1))),))
        assert decide(BY_CAM, ["cam-0"], table("").sent(0, FREE)) == Steps((FenceInstance(ONE),))

    def test_a_claim_in_doubt_at_instance_level_binds_no_virtual_device(self) -> None:
        assert decide(BY_CAM, ["cam-0"], table("", "").sent(0, OWN)) == Steps((ClaimSlot(virtual(0, slot(ONE, 1))),))


class TestTwoSlotsOfOneId:
    """A claim that took effect very late can leave one id on two slots."""

    ONE_OF_TWO = (table("C:cam-0:node-a"), table("C:cam-0:node-a", name=TWO))

    @pytest.mark.parametrize("told", [slot(ONE), slot(TWO)])
    def test_the_one_that_the_kubelet_was_told_counts(self, told: SlotId) -> None:
        assert decide(BY_CAM, ["cam-0"], *self.ONE_OF_TWO, answered={"cam-0": told}) == Grant((virtual(0, told),))

    @pytest.mark.parametrize("told", [slot(ONE), slot(TWO)])
    def test_the_answer_of_another_id_does_not_count(self, told: SlotId) -> None:
        assert decide(BY_CAM, ["cam-0"], *self.ONE_OF_TWO, answered={"cam-1": told}) == Grant((virtual(0, slot(ONE)),))

    def test_without_an_answer_one_whose_device_is_there_counts(self) -> None:
        assert decide(BY_CAM, ["cam-0"], *self.ONE_OF_TWO, serving=[TWO]) == Grant((virtual(0, slot(TWO)),))

    def test_what_was_told_counts_even_if_its_device_is_gone(self) -> None:
        error = denied(decide(BY_CAM, ["cam-0"], *self.ONE_OF_TWO, serving=[TWO], answered={"cam-0": slot(ONE)}))
        assert str(error) == "the device of Instance cam-1 is gone: cam-0 is bound to it"

    def test_else_the_first_slot_counts(self) -> None:
        assert decide(BY_CAM, ["cam-0"], *reversed(self.ONE_OF_TWO)) == Grant((virtual(0, slot(ONE)),))
        assert decide(BY_CAM, ["cam-0"], table("C:cam-0:node-a", "C:cam-0:node-a")) == Grant((virtual(0, slot(ONE)),))


class TestRebinding:
    """Held ids of one request that are bound to one Instance."""

    BOTH = table("C:cam-0:node-a", "C:cam-1:node-a")

    def release(self, k: int, index: int) -> ReleaseSlot:
        return ReleaseSlot(Held(slot(ONE, index), HeldByConfiguration(VirtualDeviceId(CAM, k), A)))

    def test_the_one_that_is_proven_unused_is_released(self) -> None:
        assert decide(BY_CAM, ["cam-0", "cam-1"], self.BOTH, unused=["cam-1"]) == Steps((self.release(1, 1),))

    def test_the_order_of_the_request_does_not_matter(self) -> None:
        assert decide(BY_CAM, ["cam-0", "cam-1"], self.BOTH, unused=["cam-0"]) == Steps((self.release(0, 0),))

    def test_of_two_unused_ones_the_first_asked_for_stays(self) -> None:
        assert decide(BY_CAM, ["cam-1", "cam-0"], self.BOTH, unused=["cam-0", "cam-1"]) == Steps((self.release(0, 0),))

    def test_several_are_released_at_once(self) -> None:
        three = table("C:cam-0:node-a", "C:cam-1:node-a", "C:cam-2:node-a")
        decision = decide(BY_CAM, ["cam-0", "cam-1", "cam-2"], three, unused=["cam-1", "cam-2"])
        assert decision == Steps((self.release(1, 1), self.release(2, 2)))

    def test_where_both_may_be_in_use_it_is_an_error(self) -> None:
        error = denied(decide(BY_CAM, ["cam-0", "cam-1"], self.BOTH, unused=["cam-7"]))
        assert isinstance(error, DeviceUnavailableError)
        assert str(error) == "cam-1 is bound to Instance cam-1, as another device of this request is"

    def test_doubt_is_fenced_first_and_once(self) -> None:
        three = table("C:cam-0:node-a", "C:cam-1:node-a", "C:cam-2:node-a").inherit()
        decision = decide(BY_CAM, ["cam-0", "cam-1", "cam-2"], three, unused=["cam-1", "cam-2"])
        assert decision == Steps((FenceInstance(ONE),))

    def test_free_ids_wait_until_that_is_done(self) -> None:
        decision = decide(BY_CAM, ["cam-0", "cam-1", "cam-2"], self.BOTH, table("", name=TWO), unused=["cam-1"])
        assert decision == Steps((self.release(1, 1),))

    def test_afterwards_the_released_one_goes_to_another_instance(self) -> None:
        decision = decide(BY_CAM, ["cam-0", "cam-1"], table("C:cam-0:node-a", ""), table("", name=TWO), unused=["cam-1"])
        assert decision == Steps((ClaimSlot(virtual(1, slot(TWO))),))

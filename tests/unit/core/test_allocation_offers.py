from __future__ import annotations

from typing import ClassVar

from akri.core.allocation import ByConfiguration, ByInstance, advertised, held_ids, strays
from akri.core.ids import ConfigurationName, PluginDeviceId, SlotId, VirtualDeviceId
from akri.core.slots import Held
from akri.core.usage import HeldByConfiguration, HeldByNode
from tests.unit.core.sharing_samples import CAM, ONE, THREE, TWO, A, table

BY_ONE, BY_CAM = ByInstance(ONE), ByConfiguration(CAM)
CAM_0, CAM_1 = PluginDeviceId("cam-0"), PluginDeviceId("cam-1")


def held(name: str, index: int, k: int | None = None) -> Held:
    usage = HeldByNode(A) if k is None else HeldByConfiguration(VirtualDeviceId(CAM, k), A)
    return Held(SlotId.parse(f"{name}-{index}"), usage)


class TestHeldIds:
    TABLES: ClassVar = {
        TWO: table("C:cam-0:node-a", "node-a", "C:mic-0:node-a", name=TWO),
        ONE: table("node-a", "C:cam-1:node-a", "node-b", "C:cam-0:node-a", "C:cam-2:node-b", ""),
    }

    def test_by_instance_they_are_its_slots(self) -> None:
        assert held_ids(BY_ONE, self.TABLES) == {"cam-1-0": (held(ONE, 0),)}

    def test_by_configuration_they_are_its_virtual_devices_in_order_of_instances(self) -> None:
        assert held_ids(BY_CAM, self.TABLES) == {"cam-1": (held(ONE, 1, 1),), "cam-0": (held(ONE, 3, 0), held(TWO, 0, 0))}
        assert list(held_ids(BY_CAM, self.TABLES)) == ["cam-1", "cam-0"]

    def test_nothing_is_held_through_what_is_not_there(self) -> None:
        assert held_ids(ByInstance(THREE), self.TABLES) == {}
        assert held_ids(ByConfiguration(ConfigurationName("fan")), self.TABLES) == {}
        assert held_ids(BY_CAM, {}) == {}


class TestStrays:
    BOTH: ClassVar = {CAM_0: (held(ONE, 0, 0), held(TWO, 0, 0), held(THREE, 1, 0))}

    def test_all_but_the_slot_that_the_kubelet_was_told(self) -> None:
        assert strays(self.BOTH, {CAM_0: SlotId(TWO, 0)}) == (held(ONE, 0, 0), held(THREE, 1, 0))

    def test_none_where_nothing_was_told(self) -> None:
        assert strays(self.BOTH, {CAM_1: SlotId(TWO, 0)}) == ()

    def test_none_where_the_slot_that_was_told_is_not_held_any_more(self) -> None:
        assert strays(self.BOTH, {CAM_0: SlotId(TWO, 1)}) == ()

    def test_none_where_only_one_slot_is_held(self) -> None:
        assert strays({CAM_0: (held(ONE, 0, 0),)}, {CAM_0: SlotId(ONE, 0)}) == ()
        assert strays({CAM_0: (held(ONE, 0, 0),)}, {CAM_0: SlotId(TWO, 0)}) == ()

    def test_of_several_ids(self) -> None:
        ids = {**self.BOTH, CAM_1: (held(ONE, 1, 1), held(TWO, 1, 1))}
        assert strays(ids, {CAM_1: SlotId(ONE, 1), CAM_0: SlotId(ONE, 0)}) == (held(TWO, 0, 0), held(THREE, 1, 0), held(TWO, 1, 1))


class TestAdvertisedByInstance:
    def test_is_the_health_of_its_slots(self) -> None:
        tables = {ONE: table("", "node-a", "node-b"), TWO: table("", name=TWO)}
        assert advertised(BY_ONE, tables, serving=[ONE]) == {"cam-1-0": True, "cam-1-1": True, "cam-1-2": False}

    def test_of_a_device_that_is_gone_only_what_is_held_is_listed_as_unhealthy(self) -> None:
        tables = {ONE: table("", "node-a", "node-b", "C:cam-0:node-a")}
        assert advertised(BY_ONE, tables, serving=[TWO]) == {"cam-1-1": False}

    def test_of_an_unknown_instance_nothing(self) -> None:
        assert advertised(BY_ONE, {TWO: table("node-a", name=TWO)}, serving=[ONE]) == {}


class TestAdvertisedByConfiguration:
    def test_one_free_id_for_each_instance_with_a_free_slot(self) -> None:
        tables = {ONE: table("", ""), TWO: table("node-b", name=TWO), THREE: table("node-b", "", name=THREE)}
        assert advertised(BY_CAM, tables, serving=tables) == {"cam-0": True, "cam-1": True}

    def test_a_slot_that_may_be_free_counts(self) -> None:
        assert advertised(BY_CAM, {ONE: table("").sent(0, HeldByNode(A))}, serving=[ONE]) == {"cam-0": True}

    def test_instances_that_are_not_served_do_not_count(self) -> None:
        assert advertised(BY_CAM, {ONE: table(""), TWO: table("", name=TWO)}, serving=[TWO]) == {"cam-0": True}
        assert advertised(BY_CAM, {ONE: table("")}, serving=[]) == {}

    def test_held_ids_stay_and_free_ones_fill_the_gaps(self) -> None:
        tables = {ONE: table("C:cam-1:node-a"), TWO: table("", name=TWO), THREE: table("", name=THREE)}
        assert advertised(BY_CAM, tables, serving=tables) == {"cam-1": True, "cam-0": True, "cam-2": True}

    def test_what_other_nodes_hold_or_what_is_held_through_an_instance_is_no_id(self) -> None:
        tables = {ONE: table("C:cam-0:node-b", "node-a", "")}
        assert advertised(BY_CAM, tables, serving=tables) == {"cam-0": True}

    def test_a_held_id_whose_device_is_gone_is_unhealthy(self) -> None:
        tables = {ONE: table("C:cam-0:node-a", ""), TWO: table("", name=TWO)}
        assert advertised(BY_CAM, tables, serving=[TWO]) == {"cam-0": False, "cam-1": True}

    def test_an_id_on_two_slots_is_healthy_if_one_device_is_there(self) -> None:
        tables = {ONE: table("C:cam-0:node-a"), TWO: table("C:cam-0:node-a", name=TWO)}
        assert advertised(BY_CAM, tables, serving=[TWO]) == {"cam-0": True}

    def test_an_instance_with_a_held_id_is_offered_again_only_once_a_pod_was_seen_to_use_it(self) -> None:
        tables = {ONE: table("C:cam-0:node-a", "")}
        assert advertised(BY_CAM, tables, serving=tables) == {"cam-0": True}
        assert advertised(BY_CAM, tables, serving=tables, listed=[CAM_1]) == {"cam-0": True}
        assert advertised(BY_CAM, tables, serving=tables, listed=[CAM_0]) == {"cam-0": True, "cam-1": True}

    def test_one_unlisted_id_of_two_is_enough_to_wait(self) -> None:
        tables = {ONE: table("C:cam-0:node-a", "C:cam-1:node-a", "")}
        assert advertised(BY_CAM, tables, serving=tables, listed=[CAM_0]) == {"cam-0": True, "cam-1": True}

    def test_other_instances_are_offered_meanwhile(self) -> None:
        tables = {ONE: table("C:cam-0:node-a", ""), TWO: table("", name=TWO)}
        assert advertised(BY_CAM, tables, serving=tables) == {"cam-0": True, "cam-1": True}

"""Instances follow devices and edits; a slow, refused or lost request holds up its own Instance alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import define, evolve, field

from akri.core.configuration import DiscoveryRequest, UnreadableConfiguration
from akri.core.device import Device, DeviceNode
from akri.core.errors import Problem
from akri.core.evidence import ABSENCE
from akri.core.ids import DeviceId, NodeName, ObjectKey, PluginDeviceId, ResourceName
from akri.core.reports import Reason
from akri.platforms.local.memory import MemoryStore
from akri.testing.clock import VirtualClock
from akri.testing.faults import Conflict, Fault, LostAfter, LostBefore, Operation, Slow
from tests.unit.agent.world import HANDLER, Plugins, agent_world, configuration, device, key, resource


async def test_devices_become_instances_and_are_offered_and_go_again() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        assert it.plugins.healthy("cam-8120fe") == ["cam-8120fe-0", "cam-8120fe-1"]
        assert it.plugins.healthy("cam") == ["cam-0", "cam-1"]
        assert len(it.told(Reason.DEVICE_FOUND)) == 2
        it.source.show(device("foo1"), gone=("foo0",))
        await it.clock.advance(1)
        assert [instance.name for instance in it.store.instances] == ["cam-a19705"]
        assert it.plugins.devices("cam-8120fe") == {}
        assert it.plugins.healthy("cam") == ["cam-0"]
        assert "its handler says that it is gone" in it.told(Reason.DEVICE_LOST)[0].message
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        assert it.plugins.offered == {}


async def test_an_edited_capacity_rolls_out_up_and_down() -> None:
    async with agent_world(device("foo0")) as it:
        for capacity in (1, 3, 2):
            await it.store.apply(configuration(capacity=capacity))
            await it.clock.advance(1)
            slots = [f"cam-8120fe-{index}" for index in range(capacity)]
            assert it.plugins.healthy("cam-8120fe") == slots
            assert it.instance().capacity == capacity
            assert sorted(it.instance().device_usage) == slots


async def test_edited_broker_properties_and_details_roll_out_and_what_did_not_change_goes_on() -> None:
    async with agent_world(device("foo0", KIND="usb")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        uid = it.instance().metadata.uid
        await it.store.apply(evolve(configuration(), broker_properties={"SIZE": "640"}))
        await it.clock.advance(1)
        assert dict(it.instance().broker_properties) == {"KIND": "usb", "SIZE": "640"}
        assert (await it.allocate("cam-8120fe", "cam-8120fe-0"))["SIZE"] == "640"
        assert len(it.source.asked) == 1
        changed = evolve(configuration(), broker_properties={"SIZE": "640"}, discovery=DiscoveryRequest(HANDLER, "others"))
        it.source.show(device("foo0", KIND="usb"), device("foo1"))
        await it.store.apply(changed)
        await it.clock.advance(1)
        assert len(it.source.asked) == 2
        assert it.instance().metadata.uid == uid
        assert it.plugins.healthy("cam-a19705") == ["cam-a19705-0"]


async def test_a_device_that_new_details_do_not_match_goes_at_once() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.store.apply(evolve(configuration(), discovery=DiscoveryRequest(HANDLER, "narrower")))
        it.source.show(device("foo1"))
        await it.clock.advance(1)
        assert [instance.name for instance in it.store.instances] == ["cam-a19705"]


async def test_an_edit_that_cannot_be_read_takes_nothing_away() -> None:
    async with agent_world(device("foo0")) as it:
        stored = await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.store.apply(UnreadableConfiguration(stored.metadata, (Problem("spec.capacity", "is text"),)))
        await it.clock.advance(1)
        assert it.plugins.healthy("cam") == ["cam-0"]
        await it.store.delete(key("cam"))
        await it.store.apply(UnreadableConfiguration(stored.metadata, (Problem("spec.capacity", "is text"),)))
        await it.clock.advance(1)
        assert it.plugins.offered == {}


_FAULTS = [Conflict(), LostBefore(3.0), LostAfter(3.0), Slow(after=20.0), Slow(before=20.0)]


@pytest.mark.parametrize("fault", _FAULTS)
@pytest.mark.parametrize("operation", ["create", "update"])
async def test_a_write_that_fails_is_tried_again_and_holds_up_no_other_instance(fault: Fault, operation: Operation) -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        it.orders.add(operation, fault)
        await it.store.apply(configuration())
        await it.clock.advance(0.2)
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(0.2)
        ready = [name for name in ("cam-8120fe", "cam-a19705") if len(it.plugins.healthy(name)) == 2]
        assert ready
        await it.allocate(ready[0], f"{ready[0]}-0")
        await it.clock.advance(30)
        assert [instance.capacity for instance in it.store.instances] == [2, 2]


async def test_a_slow_request_does_not_hold_up_the_health_of_other_slots() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        it.orders.add("update", Slow(before=9.0), Slow(before=9.0))
        await it.store.apply(evolve(configuration(capacity=2), broker_properties={"A": "B"}))
        await it.clock.advance(0.5)
        instance = it.instance()
        await it.store.put_instance(evolve(instance, device_usage={**instance.device_usage, "cam-8120fe-0": "node-b"}))
        await it.clock.advance(0.2)
        assert it.plugins.healthy("cam-8120fe") == ["cam-8120fe-1"]


async def test_a_due_time_that_passes_while_a_request_is_under_way_spins_no_loop() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration(grace="3"))
        await it.clock.advance(1)
        it.orders.add("update", Slow(before=9.0), Slow(before=9.0))
        it.source.show(device("foo1"))
        await it.store.apply(evolve(configuration(grace="3"), broker_properties={"A": "B"}))
        await it.clock.advance(60)
        assert [instance.name for instance in it.store.instances] == ["cam-a19705"]


async def test_the_younger_of_two_namesakes_waits_until_the_name_is_free() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.store.apply(configuration(namespace="other"))
        await it.clock.advance(1)
        assert [instance.key.namespace for instance in it.store.instances] == ["default"]
        (refused,) = [report for report in it.store.reports if report.configuration.namespace == "other"]
        assert "default/cam" in refused.problems[0]
        await it.allocate("cam", "cam-0")
        it.end("cam")
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        assert [instance.key.namespace for instance in it.store.instances] == ["other"]
        assert it.plugins.healthy("cam") == ["cam-0"]
        assert it.agent.inventory.refused == {}


async def test_an_instance_named_like_a_configuration_is_not_offered_until_the_name_is_free() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(evolve(configuration("cam-8120fe"), discovery=DiscoveryRequest(HANDLER, "none of these")))
        await it.clock.advance(1)
        await it.store.apply(configuration())
        await it.clock.advance(1)
        offered = it.plugins.devices("cam-8120fe")
        assert "cam-8120fe-0" in offered  # the Configuration's first virtual device, not the Instance's first slot
        assert it.plugins.healthy("cam") == []
        await it.store.delete(key("cam-8120fe"))
        await it.clock.advance(1)
        assert it.plugins.healthy("cam") == ["cam-0"]


async def test_an_instance_that_is_deleted_while_it_is_used_lingers_unhealthy_until_its_pod_ends() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        it.source.show(gone=("foo0",))
        await it.clock.advance(1)
        assert it.store.instances == ()
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": False}
        await it.clock.advance(60)
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": False}
        it.end("cam-8120fe")
        await it.clock.advance(1)
        assert it.plugins.devices("cam-8120fe") == {}
        assert resource("cam-8120fe") not in it.plugins.offered


async def test_a_slot_that_a_pod_still_uses_is_taken_again_before_its_instance_is_offered() -> None:
    listed = ("cam-8120fe-0", "rubbish", "cam-a19705-0", "cam-8120fe-9")
    users = {resource("cam-8120fe"): {PluginDeviceId(one): key("user") for one in listed}}
    async with agent_world(device("foo0"), users=users) as it:
        it.orders.add("claim", LostBefore(1.0))
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(0.5)
        assert it.plugins.devices("cam-8120fe") == {}
        await it.clock.advance(10)
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        assert it.plugins.healthy("cam-8120fe") == ["cam-8120fe-0", "cam-8120fe-1"]
        (lost,) = it.told(Reason.SLOT_LOST)
        assert "pod default/user on node-a uses slot cam-8120fe-9" in lost.message


async def test_what_a_pod_uses_through_the_configuration_is_taken_again_when_its_device_is_back() -> None:
    async with agent_world(device("foo0"), device("foo1"), shared=False) as it:
        await it.store.apply(configuration(capacity=1))
        await it.clock.advance(2)
        await it.allocate("cam", "cam-0")
        (held,) = it.usages()
        it.source.show()
        await it.clock.advance(60)
        assert it.store.instances == ()
        it.source.show(device("foo0"), device("foo1"))
        await it.clock.advance(2)
        assert it.usages() == {held: "C:cam-0:node-a"}
        assert it.told(Reason.SLOT_LOST) == []
        assert it.agent.orphans() == {}


async def test_what_a_pod_used_through_the_configuration_is_not_taken_again_once_it_has_ended() -> None:
    async with agent_world(device("foo0"), shared=False) as it:
        await it.store.apply(configuration(capacity=1))
        await it.clock.advance(2)
        await it.allocate("cam", "cam-0")
        it.source.show()
        await it.clock.advance(2)
        assert list(it.agent.orphans()) != []
        it.end("cam")
        await it.clock.advance(2)
        assert list(it.agent.orphans()) != []
        await it.clock.advance(ABSENCE)
        assert it.agent.orphans() == {}
        it.source.show(device("foo0"))
        await it.clock.advance(2)
        assert it.usages() == {}


async def test_a_slot_of_an_instance_that_went_is_not_taken_again_for_an_id_that_stands_for_another_one() -> None:
    async with agent_world(device("foo0"), shared=False) as it:
        await it.store.apply(configuration(capacity=1))
        await it.clock.advance(2)
        await it.allocate("cam", "cam-0")
        it.source.show(device("foo1"))
        await it.clock.advance(2)
        it.end("cam")
        await it.allocate("cam", "cam-0", user="another")
        held = it.usages()
        it.source.show(device("foo0"), device("foo1"))
        await it.clock.advance(2)
        assert it.usages() == held


async def test_what_a_pod_uses_through_the_configuration_is_taken_again_by_the_next_agent() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    async with agent_world(device("foo0"), store=store, clock=clock, shared=False) as it:
        await store.apply(configuration(capacity=1))
        await clock.advance(2)
        await it.allocate("cam", "cam-0")
        held = it.usages()
        it.source.show()
        await clock.advance(2)
        orphaned, users = it.agent.orphans(), it.users
    assert store.instances == ()
    async with agent_world(device("foo0"), store=store, clock=clock, shared=False, users=users, orphaned=orphaned) as it:
        await clock.advance(2)
        assert it.usages() == held


async def test_a_slot_that_another_node_got_meanwhile_is_said_to_be_lost_and_who_has_it() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    async with agent_world(device("foo0"), store=store, clock=clock) as it:
        await store.apply(configuration(capacity=2))
        await clock.advance(1)
    taken = evolve(it.instance(), nodes=(NodeName("node-b"),), device_usage={"cam-8120fe-0": "node-b", "cam-8120fe-1": ""})
    await store.put_instance(taken)
    users = {resource("cam-8120fe"): {PluginDeviceId("cam-8120fe-0"): key("user")}}
    async with agent_world(device("foo0"), store=store, clock=clock, users=users) as it:
        await clock.advance(2)
        assert it.instance().nodes == ("node-b", "node-a")
        (lost,) = it.told(Reason.SLOT_LOST)
        assert lost.message.endswith("which this node lost and cannot have back: slot cam-8120fe-0 is held by node-b")
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": False, "cam-8120fe-1": True}


async def test_a_moved_device_is_told_to_its_pods_at_both_levels() -> None:
    def camera(node: str) -> Device:
        return Device(DeviceId("foo0"), device_nodes=(DeviceNode(node, node),))

    async with agent_world(camera("/dev/video0")) as it:
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        await it.allocate("cam", "cam-0", user="first")
        await it.allocate("cam-8120fe", "cam-8120fe-1" if "cam-8120fe-0" in it.usages() else "cam-8120fe-0", user="second")
        await it.clock.advance(1)
        it.source.show(camera("/dev/video7"))
        await it.clock.advance(1)
        moved = it.told(Reason.DEVICE_MOVED)
        assert [(event.kind, event.about.name) for event in moved] == [("Instance", "cam-8120fe"), ("Pod", "first"), ("Pod", "second")]
        await it.clock.advance(60)
        assert len(it.told(Reason.DEVICE_MOVED)) == 3


@define(eq=False)
class _Refusing(Plugins):
    """Plugins that raise these errors first."""

    errors: list[Exception] = field(factory=lambda: [RuntimeError("no room"), OSError("no socket")])

    def offer(self, resource: ResourceName, devices: Mapping[PluginDeviceId, bool], *, in_use: bool) -> None:
        if self.errors:
            raise self.errors.pop()
        super().offer(resource, devices, in_use=in_use)


async def test_a_round_that_fails_is_logged_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async with agent_world(device("foo0"), plugins=_Refusing()) as it:
        await it.store.apply(configuration())
        await it.clock.advance(5)
        assert it.plugins.healthy("cam") == ["cam-0"]
        assert {event.message for event in it.told(Reason.DISCOVERY_FAILED)} == {"RuntimeError: no room", "OSError: no socket"}
        assert "a round failed configuration=default/cam" in caplog.text


async def test_presence_forgets_devices_whose_grace_is_over() -> None:
    async with agent_world() as it:
        await it.store.apply(configuration(grace="10"))
        for number in range(50):
            it.source.show(device(f"foo{number}"))
            await it.clock.advance(5)
        (endpoint,) = it.agent.discovery.presence[ObjectKey("default", "cam")].endpoints
        assert len(endpoint.missing) <= 3
        assert len(it.store.instances) <= 4

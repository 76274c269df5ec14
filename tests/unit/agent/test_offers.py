"""What the kubelet is offered follows the state, and is told only when it changed."""

from __future__ import annotations

from attrs import evolve

from akri.core.ids import PluginDeviceId
from tests.unit.agent.world import agent_world, configuration, device, key, resource


async def test_health_follows_what_other_nodes_take() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration(capacity=2))
        await it.clock.advance(1)
        instance = it.instance()
        await it.store.put_instance(evolve(instance, device_usage={"cam-8120fe-0": "node-b", "cam-8120fe-1": "C:cam-0:node-b"}))
        await it.clock.advance(1)
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": False, "cam-8120fe-1": False}
        assert it.plugins.devices("cam") == {"cam-0": True}
        await it.store.put_instance(evolve(it.instance(), device_usage={"cam-8120fe-0": "", "cam-8120fe-1": ""}))
        await it.clock.advance(1)
        assert it.plugins.devices("cam") == {"cam-0": True, "cam-1": True}


async def test_what_pods_use_is_registered_first() -> None:
    async with agent_world(device("foo0"), device("foo1")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        assert it.plugins.urgent == set()
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        assert it.plugins.urgent == {resource("cam-8120fe")}
        it.end("cam-8120fe")
        await it.clock.advance(1)
        assert it.plugins.urgent == set()


async def test_a_resource_that_lingers_comes_back_with_its_device() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        await it.clock.advance(1)
        it.source.show(gone=("foo0",))
        await it.clock.advance(1)
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": False}
        it.source.show(device("foo0"))
        await it.clock.advance(2)
        assert it.plugins.devices("cam-8120fe") == {"cam-8120fe-0": True}
        assert it.usages() == {"cam-8120fe-0": "node-a"}
        assert list(it.agent.state.users(key("cam"), it.instance().name)) == [key("user")]


async def test_all_of_a_configuration_that_is_deleted_while_it_is_used_lingers() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam", "cam-0")
        await it.clock.advance(1)
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        assert it.plugins.offered == {resource("cam"): {PluginDeviceId("cam-0"): False}}
        it.end("cam")
        await it.clock.advance(1)
        assert it.plugins.offered == {}

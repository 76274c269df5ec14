"""E2, as far as one machine shows it: an agent, a kubelet or a handler that starts anew takes nothing away from anybody."""

from __future__ import annotations

import pytest

from tests.scenarios.cluster import cluster, configuration, device, resource


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_e2_an_agent_that_starts_anew_frees_nothing_and_fences_before_it_answers(level: str) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        pod = await node.run_pod("user", {resource(level): 1})
        held, uid = it.usages(), it.instance().metadata.uid
        for _ in range(3):
            await node.stop_agent()
            await it.clock.advance(20)
            node.start_agent()
            begin = it.clock.now()
            await it.until(lambda: node.agent.state.resources.keys() <= node.host.streaming and bool(node.agent.state.resources))
            assert it.clock.now() - begin <= 5.0
            await it.clock.advance(30)
            assert it.usages() == held
        fences = node.platform.counts["fence"]
        await pod.delete()
        pod = await node.run_pod("user", {resource(level): 1})
        assert node.platform.counts["fence"] == fences + 1
        assert it.usages() == held
        assert it.instance().metadata.uid == uid
        await pod.delete()
        await it.until(lambda: not it.usages(), 15)


@pytest.mark.parametrize("shared", [True, False])
async def test_e2_an_agent_that_starts_anew_serves_its_plugins_before_a_handler_answers(shared: bool) -> None:
    async with cluster(device("foo0", PATH="/dev/foo0"), device("foo1"), shared=shared) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        first, second = sorted(instance.name for instance in it.store.instances)
        before = await node.run_pod("before", {resource(first): 1})
        held = it.usages()
        await node.stop_agent()
        node.source.hang()
        node.start_agent(remembering=True)
        await it.until(lambda: {"cam", first, second} == {name.removeprefix("akri.sh/") for name in node.host.streaming}, 5)
        await it.until(lambda: node.healthy(first) == [f"{first}-0"] and node.healthy(second) == [f"{second}-0"], 5)
        after = await node.run_pod("after", {resource(second): 1})
        environment = {**before.edits["main-0"].environment, **after.edits["main-0"].environment}
        assert environment["PATH"] == "/dev/foo0"
        assert held.items() < it.usages().items()
        await it.clock.advance(290)
        assert len(it.store.instances) == 2
        node.source.show(device("foo0", PATH="/dev/foo0"), device("foo1"))
        await it.clock.advance(60)
        assert (len(it.store.instances), len(it.usages())) == (2, 2)


async def test_e2_what_is_remembered_and_not_seen_again_goes_after_its_grace() -> None:
    async with cluster(device("foo0"), device("foo1")) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        await node.stop_agent()
        node.source.show(device("foo1"))
        node.start_agent(remembering=True)
        await it.clock.advance(290)
        assert len(it.store.instances) == 2
        await it.until(lambda: [instance.device_id for instance in it.store.instances] == ["foo1"], 20)


async def test_e2_a_kubelet_that_starts_anew_gets_everything_again_and_nothing_is_freed() -> None:
    async with cluster(device("foo0"), device("foo1")) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        pod = await node.run_pod("user", {resource("cam-8120fe"): 1})
        held = it.usages()
        await node.manager.restart()
        await it.until(lambda: {"cam", "cam-8120fe", "cam-a19705"} == {name.removeprefix("akri.sh/") for name in node.host.streaming}, 5)
        await it.clock.advance(30)
        assert it.usages() == held
        await pod.delete()
        await it.until(lambda: not it.usages(), 15)


async def test_e2_watches_that_break_take_nothing_away() -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        await node.run_pod("user", {resource("cam"): 1})
        held, uid = it.usages(), it.instance().metadata.uid
        for _ in range(5):
            for one in it.nodes:
                one.platform.cut_watches(3.0)
            await it.clock.advance(10)
        assert (it.usages(), it.instance().metadata.uid) == (held, uid)
        assert set(it.instance().nodes) == {"node-a", "node-b"}

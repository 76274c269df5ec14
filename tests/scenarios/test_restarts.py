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
